# SPDX-License-Identifier: Apache-2.0
"""A look at a peer's memory where it is, without a copy. Made by a Connector's view()
and begin_view(). Any thread."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._arguments import check_metadata, wrong_kind
from ._completion import REVOKED
from ._enums import OperationKind, OperationStatus
from ._errors import InvalidArgument
from ._log import is_debugging, logger
from ._metadata import RdmaMetadata, RemotePages, remote_of
from ._numbers import nanoseconds
from ._operation import AbstractOperation
from ._plan import Plan

if TYPE_CHECKING:
    from ._connection import Connection
    from ._connector import Connector


class View(AbstractOperation, Coroutine[Any, Any, "View"]):
    """A peer's readable memory as it is, for reading only.

    The memory is that of empty(), like() or allocate() in a process of this host. To
    open it takes the same time for any size. COMPLETE means open; from then on the peer
    waits for the end of the view before it takes its memory back: close it soon after
    `is_revoked`. It is open as long as it, or an array of it, is held; close() and
    leaving ``with`` end it at once, and then arrays can still be read, though what
    they show is no longer promised.

    TypeError; InvalidArgument for metadata of a writable; Unsupported, by the wait, if
    the memory cannot be mapped: the peer has then heard nothing and it can still be
    read. `timeout` in seconds, of the opening.

    >>> async with connector.view(metadata) as view:
    ...     total = view.array("float32").sum()
    """

    __slots__ = ("_is_ended",)

    def __init__(
        self,
        connection: Connection | Connector,
        remote_metadata: RdmaMetadata | RemotePages,
        *,
        timeout: float | None = None,
    ) -> None:
        check_metadata(remote_metadata)
        if remote_metadata.operation_kind != OperationKind.READ:
            raise InvalidArgument(wrong_kind(remote_metadata, OperationKind.READ))
        deadline = nanoseconds(timeout)
        self._is_ended = False
        self._set(connection, OperationKind.READ, [], None)
        is_told = is_debugging()  # before the library tells of its path
        self._native = self._connection._native.begin_view(
            remote_of(remote_metadata), deadline
        )
        if is_told:
            logger.debug("begun %s on %s", repr(self), str(self._connection))

    async def wait_for_completion(self) -> None:
        """Until it is open: see AbstractOperation."""
        await self._wait()

    @property
    def is_revoked(self) -> bool:
        """Whether the peer wants its memory back, for which it now waits, or is
        gone."""
        return self._native.is_revoked

    async def wait_for_revocation(self) -> None:
        """Until `is_revoked`, or the view has ended in another way. Cancelling the wait
        changes nothing."""
        await self._wait_until(REVOKED)

    @property
    def is_closed(self) -> bool:
        """Whether it shows nothing any more: it was closed or cancelled, its Connector
        was closed, or it has failed."""
        return self._is_ended or self._native.is_quiet

    def cancel(self) -> None:
        """As close(), without waiting: one that is open ends as a success, so its
        status stays COMPLETE."""
        self._is_ended = True
        super().cancel()

    def close(self) -> None:
        self._is_ended = True
        super().close()

    async def aclose(self) -> None:
        self._is_ended = True
        await super().aclose()

    def explain(self) -> Plan:
        """How many bytes it shows, and ``host.map``, the only path there is for that;
        an empty path if it could not be opened. It moves no ranges, and `paths` is
        empty."""
        return super().explain()

    def __bool__(self) -> bool:
        return True  # also of one that has no len(), or shows nothing

    def __len__(self) -> int:
        """How many descriptors it shows. InvalidArgument unless it is open."""
        self._check_open()
        return self._native.viewed_count

    def memory(self, index: int = 0) -> memoryview:
        """The bytes of a descriptor, for reading only. InvalidArgument unless it is
        open, IndexError."""
        count = len(self)
        if not -count <= index < count:
            descriptors = "1 descriptor" if count == 1 else f"{count} descriptors"
            raise IndexError(f"the view shows {descriptors}, none is {index}")
        return self._native.viewed_bytes(index % count)

    def array(
        self,
        dtype: Any = "uint8",
        shape: int | Sequence[int] | None = None,
        *,
        index: int = 0,
    ) -> Any:
        """The same as an array of numpy, of one dimension if `shape` is None.
        ValueError if the bytes do not make one."""
        numpy = import_module("numpy")
        array = numpy.frombuffer(self.memory(index), dtype=dtype)
        return array if shape is None else array.reshape(shape)

    def _check_open(self) -> None:
        failure = self.exception()
        if failure is not None:
            raise InvalidArgument(f"the view failed: {failure}") from failure
        if self.is_closed:
            raise InvalidArgument("the view is closed")
        if self.status is not OperationStatus.COMPLETE:
            raise InvalidArgument("the view is not open yet: wait for its completion")

    def _peer(self) -> str | None:
        return self._native.remote

    def __repr__(self) -> str:
        return f"View(remote='{self._native.remote}', status='{self.status}')"
