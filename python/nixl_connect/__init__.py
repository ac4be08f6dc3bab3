# SPDX-License-Identifier: Apache-2.0
"""Moves memory between processes, and speaks NIXL's metadata.

One process exposes memory and sends under a kilobyte of metadata to another over any
channel; the other reads or writes that memory directly. Nobody polls.

    connector = Connector()
    readable = await connector.create_readable(Descriptor(source))
    send(readable.metadata().model_dump_json())
    await readable.wait_for_completion()

and, in the other process:

    metadata = RdmaMetadata.model_validate_json(receive())
    read = await connector.begin_read(metadata, Descriptor(target), timeout=5)
    await read.wait_for_completion()
"""

from typing import TYPE_CHECKING

from . import _exit as _exit
from ._active import ActiveOperation, ReadOperation, WriteOperation
from ._allocation import empty, like
from ._connection import Connection
from ._connector import Connector
from ._descriptor import Descriptor
from ._device import Device
from ._dynamo import install_as_dynamo
from ._enums import DeviceKind, OperationKind, OperationStatus
from ._errors import (
    Cancelled,
    Disconnected,
    Error,
    InvalidArgument,
    NoResources,
    TimedOut,
    Unsupported,
)
from ._log import logger
from ._metadata import RdmaMetadata, RemotePages, SerializedDescriptor
from ._native import version as __version__
from ._operation import AbstractOperation
from ._passive import PassiveOperation, ReadableOperation, WritableOperation
from ._plan import PathEstimate, Plan
from ._remote import Remote
from ._view import View
from ._waiting import as_completed, wait_all

if not TYPE_CHECKING:
    from ._modules import __getattr__ as __getattr__

__all__ = [
    "AbstractOperation",
    "ActiveOperation",
    "Cancelled",
    "Connection",
    "Connector",
    "Descriptor",
    "Device",
    "DeviceKind",
    "Disconnected",
    "Error",
    "InvalidArgument",
    "NoResources",
    "OperationKind",
    "OperationStatus",
    "PassiveOperation",
    "PathEstimate",
    "Plan",
    "RdmaMetadata",
    "ReadOperation",
    "ReadableOperation",
    "Remote",
    "RemotePages",
    "SerializedDescriptor",
    "TimedOut",
    "Unsupported",
    "View",
    "WritableOperation",
    "WriteOperation",
    "__version__",
    "as_completed",
    "empty",
    "install_as_dynamo",
    "like",
    "logger",
    "wait_all",
]
