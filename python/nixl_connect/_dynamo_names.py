# SPDX-License-Identifier: Apache-2.0
"""What a module dynamo.nixl_connect has: its 17 classes, its logger and, for those who
ask by name, all that nixl_connect has. Imported by the files of that name only."""

from __future__ import annotations

from logging import getLogger
from typing import Any

import nixl_connect

from . import _log
from ._active import ActiveOperation, ReadOperation, WriteOperation
from ._connection import Connection
from ._connector import Connector
from ._descriptor import Descriptor
from ._device import Device
from ._enums import DeviceKind, OperationKind, OperationStatus
from ._metadata import RdmaMetadata, SerializedDescriptor
from ._operation import AbstractOperation
from ._passive import PassiveOperation, ReadableOperation, WritableOperation
from ._remote import Remote

__all__ = [
    "AbstractOperation",
    "ActiveOperation",
    "Connection",
    "Connector",
    "Descriptor",
    "Device",
    "DeviceKind",
    "OperationKind",
    "OperationStatus",
    "PassiveOperation",
    "RdmaMetadata",
    "ReadOperation",
    "ReadableOperation",
    "Remote",
    "SerializedDescriptor",
    "WritableOperation",
    "WriteOperation",
]


def __getattr__(name: str) -> Any:
    """Whatever else there is, in that module's words if it is not."""
    try:
        return getattr(nixl_connect, name)
    except AttributeError:
        raise AttributeError(
            f"module 'dynamo.nixl_connect' has no attribute {name!r}"
        ) from None


# Our records go by the logger that Dynamo's users know, its level and its handlers.
logger = getLogger("dynamo.nixl_connect")
_log.logger.parent = logger
_log.logger.setLevel(_log.logger.level)  # Forgets which levels were enabled before.
