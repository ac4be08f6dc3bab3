# SPDX-License-Identifier: Apache-2.0
"""A look at a peer's memory where it is, without a copy. Made by a Connector's view()
and begin_view(). Any thread."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._arguments import check_metadata, wrong_kind
from ._enums import OperationKind, OperationStatus
from ._errors import InvalidArgument
from ._metadata import RdmaMetadata, RemotePages, remote_of
from ._numbers import nanoseconds
from ._operation import AbstractOperation

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

    >>> async with await connector.view(metadata) as view:
    ...     total = view.array("float32").sum()
    """

    __slots__ = ()

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
        self._set(connection, OperationKind.READ, [], None)
        self._native = self._connection._native.begin_view(
            remote_of(remote_metadata), deadline
        )

    async def wait_for_completion(self) -> None:
        """Until it is open: see AbstractOperation."""
        await self._wait()

    @property
    def is_revoked(self) -> bool:
        """Whether the peer wants its memory back, for which it now waits, or is
        gone."""
        return self._native.is_revoked

    def __len__(self) -> int:
        """How many descriptors it shows. RuntimeError unless COMPLETE."""
        self._check_open()
        return self._native.viewed_count

    def memory(self, index: int = 0) -> memoryview:
        """The bytes of a descriptor, for reading only. RuntimeError unless COMPLETE,
        IndexError."""
        count = len(self)
        if not -count <= index < count:
            raise IndexError(f"the view shows {count} descriptors, none is {index}")
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
        if self.status is not OperationStatus.COMPLETE:
            raise RuntimeError(
                f"a view shows memory once it is open; this one is {self.status}"
            )

    def _peer(self) -> str | None:
        return self._native.remote

    def __repr__(self) -> str:
        return f"View(remote='{self._native.remote}', status='{self.status}')"
