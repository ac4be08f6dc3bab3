# SPDX-License-Identifier: Apache-2.0
"""The exposing side: memory that peers read or write while its holder does nothing.
Made by a Connector's create_readable() and create_writable(), or directly. Any
thread."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from . import _native
from ._arguments import Descriptors, check_descriptors, memory_of
from ._enums import OperationKind
from ._log import is_debugging, logger
from ._metadata import RdmaMetadata, metadata_of
from ._numbers import check_count, nanoseconds
from ._operation import AbstractOperation
from ._streams import stream_of

if TYPE_CHECKING:
    from ._connection import Connection
    from ._connector import Connector


class PassiveOperation(AbstractOperation):
    """The exposing side: memory that peers read or write.

    COMPLETE after `readers` peers have succeeded, ERRORED when the `timeout` (seconds)
    passes or an initiator fails or cancels, CANCELLED by this side. None are the
    `readers` of a caller who counts none: see ReadableOperation. Of memory of a GPU,
    what `stream` was given before comes first: see Connector.create_readable().
    TypeError for what is no descriptor, ValueError for an empty list, mixed device
    kinds, a null pointer, read-only memory as a target and a target that overlaps
    itself; Error if memory cannot be exposed.
    """

    __slots__ = ("_metadata",)

    def __init__(
        self,
        connection: Connection | Connector,
        operation_kind: OperationKind,
        local_descriptors: Descriptors,
        *,
        timeout: float | None = None,
        readers: int | None = None,
        stream: Any = None,
    ) -> None:
        check_descriptors(local_descriptors)
        memory = memory_of(local_descriptors)
        _native.check_exposed(memory, operation_kind is OperationKind.WRITE)
        order = stream_of(stream, local_descriptors)
        deadline = nanoseconds(timeout)
        quota = 1 if readers is None else check_count(readers, "readers", 2**32 - 1)
        super().__init__(connection, operation_kind, local_descriptors, None, None)
        self._stream = None if stream is False else stream
        self._metadata: dict[bool, RdmaMetadata] = {}
        stays_open = readers is None and operation_kind is OperationKind.READ
        self._native = self._connection._native.create(
            self._kind, memory, deadline, quota, stays_open, order
        )
        if is_debugging():
            logger.debug("exposed %s", repr(self))

    def metadata(self, hex_encode: bool = False) -> RdmaMetadata:
        """What the peer needs; the same at each call. `hex_encode` chooses the older of
        the two text forms, which every generation of peer reads."""
        found = self._metadata.get(hex_encode)
        if found is None:
            found = metadata_of(self._native.metadata(hex_encode))
            self._metadata[hex_encode] = found
        return found

    def to_serialized(self) -> RdmaMetadata:
        """The same as metadata()."""
        return self.metadata()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(operation_kind={self._kind}, "
            f"local_descriptors={self._local}, "
            f"notification_key='{self._notification_key}', status='{self.status}')"
        )


class _OfKind(PassiveOperation):
    """A PassiveOperation of one kind: what ReadableOperation and WritableOperation
    share."""

    __slots__ = ()

    _KIND: ClassVar[OperationKind]

    def __init__(
        self,
        connection: Connection | Connector,
        local_descriptors: Descriptors,
        *,
        timeout: float | None = None,
        readers: int | None = None,
        stream: Any = None,
    ) -> None:
        super().__init__(
            connection,
            self._KIND,
            local_descriptors,
            timeout=timeout,
            readers=readers,
            stream=stream,
        )


class ReadableOperation(_OfKind, Coroutine[Any, Any, "ReadableOperation"]):
    """Memory exposed for reading.

    Without `readers` it is COMPLETE when the first peer has read it, and further peers
    may go on reading until it is closed (``with``, close(), aclose(), cancel()) or
    dropped, as callers of all generations expect; only then is the memory quiet. With
    `readers` it is quiet when that many have succeeded: nobody can read it any more.

    >>> with connector.create_readable(Descriptor(source)) as readable:
    ...     send(readable.metadata().model_dump_json())
    ...     await readable.wait_for_completion()
    """

    __slots__ = ()

    _KIND = OperationKind.READ

    async def wait_for_completion(self) -> None:
        """Until a peer has read the memory: see AbstractOperation."""
        await self._wait()


class WritableOperation(_OfKind, Coroutine[Any, Any, "WritableOperation"]):
    """Memory exposed for writing.

    >>> with connector.create_writable(Descriptor(target)) as writable:
    ...     send(writable.metadata().model_dump_json())
    ...     await writable.wait_for_completion()
    """

    __slots__ = ()

    _KIND = OperationKind.WRITE

    async def wait_for_completion(self) -> None:
        """Until a peer has written all of it: see AbstractOperation."""
        await self._wait()
