# SPDX-License-Identifier: Apache-2.0
"""What all operations have in common: status, waiting, ending. Any thread; the awaiting
methods in any event loop, several at once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from . import _native
from ._arguments import Descriptors, check_descriptors
from ._awaitable import Awaitable
from ._closing import AsyncClosing
from ._completion import QUIET, Pending, When, completions
from ._descriptor import connection_of
from ._done_callback import DoneCallback
from ._enums import OperationKind, OperationStatus
from ._errors import Cancelled, Error, Unsupported, error_of
from ._log import logger
from ._numbers import check_seconds
from ._plan import Plan, plan_of
from ._streams import stream_to_wait

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._connection import Connection
    from ._connector import Connector

_STATUSES = tuple(OperationStatus)
# How long leaving a `with` block may wait for the memory of a cancelled operation, in
# seconds. Nobody uses it yet: it is quiet after some microseconds, or when the
# library's thread next gets a processor. A peer uses it: that may take longer than one
# can wait.
_UNUSED, _IN_USE = 0.02, 0.001


class AbstractOperation(AsyncClosing, Awaitable, ABC):
    """A transfer, or memory exposed for one.

    While it is not terminal its memory belongs to it; afterwards nothing can touch that
    memory. Leaving ``with`` or ``async with``, close(), and dropping the last reference
    mean: cancel, unless it is terminal. The memory's owner is kept alive until it is.

    This constructor checks its arguments and is for subclasses. TypeError, ValueError.
    """

    __slots__ = (
        "__weakref__",
        "_connection",
        "_kind",
        "_local",
        "_native",
        "_pending",
        "_remote_descriptors",
        "_stream",
    )

    _native: _native.Operation

    def __init__(
        self,
        connection: Connection | Connector,
        operation_kind: OperationKind,
        local_descriptors: Descriptors,
        remote_descriptors: Descriptors | None,
        notification_key: str | None,
    ) -> None:
        if operation_kind not in (OperationKind.READ, OperationKind.WRITE):
            raise ValueError("operation_kind is READ or WRITE")
        if notification_key is not None and not isinstance(notification_key, str):
            raise TypeError("notification_key is a str or None")
        if notification_key == "":
            raise ValueError("notification_key is empty")
        self._set(
            connection,
            OperationKind(operation_kind),
            check_descriptors(local_descriptors),
            remote_descriptors,
        )

    def _set(
        self,
        connection: Connection | Connector,
        kind: OperationKind,
        local: Descriptors,
        theirs: Descriptors | None,
    ) -> None:
        self._kind = kind
        self._local = local
        self._remote_descriptors = theirs
        self._pending: Pending | None = None
        self._stream: object = None  # the one that was given
        self._connection = connection_of(connection)

    @property
    def connection(self) -> Connection:
        """The local Connection that carries it."""
        return self._connection

    @property
    def connector(self) -> Connector:
        """The Connector of that Connection."""
        return self._connection.connector

    @property
    def operation_kind(self) -> OperationKind:
        """What the initiating side does: READ or WRITE."""
        return self._kind

    @property
    def status(self) -> OperationStatus:
        """Where it stands now. Costs nothing and changes nothing."""
        return _STATUSES[self._native.status]

    @property
    def bytes_transferred(self) -> int:
        """All bytes once COMPLETE; before that, as far as this side knows."""
        return self._native.bytes_transferred

    @property
    def path(self) -> str:
        """How the bytes went; empty before any moved, and where this side is not
        told."""
        return self._native.path

    def explain(self) -> Plan:
        """Which path it takes and why. Settled when the operation begins, and again if
        that path turns out to be closed; the exposing side knows the peer's path only,
        once it is told. Does not wait."""
        return plan_of(self._native.explain())

    def done(self) -> bool:
        """Whether it is terminal."""
        return self._native.is_terminal

    def cancel(self) -> None:
        """Asks for the end and returns. The status turns CANCELLED once the memory is
        quiet, which a wait tells; a terminal operation is left as it is, though a
        readable that stays open is open no more."""
        self._native.cancel()

    @abstractmethod
    async def wait_for_completion(self) -> None:
        """Returns when the operation is terminal, without suspending if it is already.

        Raises the operation's Error, a RuntimeError, if it is ERRORED: Disconnected,
        TimedOut (its deadline), Cancelled (by the peer) and so on. Returns if it is
        COMPLETE or CANCELLED. Cancelling the wait leaves the operation running.
        """
        await self._wait()

    def wait(self, timeout: float | None = None) -> bool:
        """The same for synchronous code: sleeps at most `timeout` seconds without the
        GIL. True when terminal; False if it is still running. Raises as
        wait_for_completion(), and what a signal handler raises."""
        if not self._native.wait(check_seconds(timeout)):
            return False
        self._raise_if_errored()
        return True

    def wait_on(self, stream: Any = None) -> None:
        """Makes a stream of the GPU that has the memory wait, on that GPU, until the
        operation has ended; returns at once, or when the copy has got what it needs of
        CUDA, which takes milliseconds of a first one. What the stream is given from now
        on sees the data, if the operation is COMPLETE in the end: look at its status
        before you pass on what was computed behind it.

        `stream`: as for create_readable(); None is the one that the operation was given
        when it was made, or else the current one. It is let go however the operation
        ends, and does nothing else until then: give the operation a timeout if nobody
        may come. InvalidArgument for memory that is not a GPU's, without a stream, for
        that of another GPU, and for a readable without `readers`, which has no end of
        its own; TypeError for what is no stream."""
        waiting = self._stream if stream is None else stream
        self._native.wait_on(stream_to_wait(waiting, self._local))

    def result(self) -> Any:
        """What has come of a terminal operation: of a read its results(), otherwise
        None. Raises its Error if it is ERRORED, Cancelled if it was cancelled, and
        RuntimeError if it is still running. Does not wait."""
        if not self._native.is_terminal:
            raise RuntimeError(f"{self!r} is still running")
        self._raise_if_errored()
        if self.status is OperationStatus.CANCELLED:
            raise Cancelled(f"{self!r} was cancelled")
        return None

    def exception(self) -> Error | None:
        """The Error of an ERRORED operation, otherwise None. Does not wait."""
        failure = self._native.failure()
        if failure is None:
            return None
        return error_of(*failure, peer=self._peer(), path=self._native.path)

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Calls ``callback(operation)`` once it is terminal, soon if it is already:
        in the event loop that runs in the calling thread; without one, on a thread of
        the package, as also if that loop has been closed. What it raises is logged. The
        operation is kept until then. TypeError if it cannot be called."""
        if not callable(callback):
            raise TypeError(f"a callback can be called; {callback!r} cannot")
        DoneCallback(self, callback).promise()

    def close(self) -> None:
        """Cancels it unless it is terminal, and ends a readable that stays open. Waits
        for quiet memory, though not long where a peer is using it: wait() or aclose()
        tells then."""
        native = getattr(self, "_native", None)
        if native is None or native.is_quiet:
            return
        is_running = native.status == OperationStatus.IN_PROGRESS
        native.cancel()
        with suppress(Unsupported):  # a forked child has nothing to wait for
            native.wait_quiet(_IN_USE if is_running else _UNUSED)

    async def aclose(self) -> None:
        """The same, and waits until the memory is quiet."""
        if not self._native.is_quiet:
            self._native.cancel()
            with suppress(Unsupported):
                await self._wait_until(QUIET)

    async def _wait(self) -> None:
        if not self._native.is_terminal:
            await self._wait_until_terminal()
        self._raise_if_errored()

    async def _wait_until_terminal(self) -> None:
        native = self._native
        loop = asyncio.get_running_loop()
        loop_ends = completions(loop)
        while not native.is_terminal:
            pending = self._pending
            if pending is None or pending.loop_ends() is not loop_ends:
                pending = Pending(loop_ends)
                if not loop_ends.watch(native, pending):
                    return
                self._pending = pending
            await pending.add(loop)

    async def _wait_until(self, when: When) -> None:
        loop = asyncio.get_running_loop()
        loop_ends = completions(loop)
        pending = Pending(loop_ends)
        if loop_ends.watch(self._native, pending, when):
            await pending.add(loop)

    def __del__(self) -> None:
        # Not a ResourceWarning: callers of all generations end operations in this way.
        if not logger.isEnabledFor(DEBUG):
            return
        native = getattr(self, "_native", None)
        if native is not None and not native.is_terminal:
            logger.debug("dropped, which cancels it: %s", repr(self))

    def _raise_if_errored(self) -> None:
        error = self.exception()
        if error is None:
            return
        try:
            raise error
        finally:
            del error  # its traceback holds this frame, and so the operation

    def _peer(self) -> str | None:
        return None

    # Names of the time before that tests and subclasses of others use.
    async def _wait_for_completion_(self, *_: Any, **__: Any) -> None:
        await self._wait()

    @property
    def _notification_key(self) -> str:
        return self._native.notification_key

    @property
    def _status(self) -> OperationStatus:
        return self.status

    def _release(self) -> None:
        self.close()
