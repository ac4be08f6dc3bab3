# SPDX-License-Identifier: Apache-2.0
"""Waiting for many operations at once: wait_all() and as_completed(). Any thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from typing import Generic, TypeVar

from . import _native
from ._completion import completions
from ._numbers import check_seconds
from ._operation import AbstractOperation

Operation = TypeVar("Operation", bound=AbstractOperation)


def _listed(operations: Iterable[Operation]) -> list[Operation]:
    if isinstance(operations, AbstractOperation):
        raise TypeError("operations is a list of operations; put brackets round one")
    if not isinstance(operations, Iterable):
        raise TypeError(f"operations is a list of operations, not {operations!r}")
    listed = list(operations)
    for each in listed:
        if not isinstance(each, AbstractOperation):
            raise TypeError(f"{each!r} is among the operations, but is none")
    return listed


def _time_is_up(running: int) -> TimeoutError:
    are = "operation is" if running == 1 else "operations are"
    return TimeoutError(f"{running} {are} still running")


def wait_all(
    operations: Iterable[AbstractOperation], timeout: float | None = None
) -> bool:
    """Sleeps until all are terminal, at most `timeout` seconds, without the GIL. True
    then; False if some are still running. When all are terminal, raises the Error of
    the first that is ERRORED. TypeError for anything but operations."""
    waited = _listed(operations)
    timeout = check_seconds(timeout)
    end = None if timeout is None else time.monotonic() + timeout
    for operation in waited:
        left = None if end is None else max(0.0, end - time.monotonic())
        if not operation._native.wait(left):
            return False
    for operation in waited:
        operation._raise_if_errored()
    return True


class as_completed(Generic[Operation]):
    """The operations in the order in which they end, for ``for`` and ``async for``.
    They come out terminal; their result() tells how. TimeoutError from the loop when
    `timeout` seconds, from its start on, have passed first; they go on running then.
    TypeError for anything but operations.

    >>> for read in as_completed(reads, timeout=60):
    ...     read.result()
    """

    def __init__(
        self, operations: Iterable[Operation], timeout: float | None = None
    ) -> None:
        self._operations = _listed(operations)
        self._timeout = check_seconds(timeout)

    def __iter__(self) -> Iterator[Operation]:
        queue = _native.CompletionQueue()
        running = dict(enumerate(self._operations))
        for token, operation in running.items():
            if not operation._native.notify(queue, token):
                queue.push(token)
        end = None if self._timeout is None else time.monotonic() + self._timeout
        while running:
            left = None if end is None else max(0.0, end - time.monotonic())
            if not queue.wait(left):
                raise _time_is_up(len(running))
            for token in queue.drain():
                yield running.pop(token)

    async def __aiter__(self) -> AsyncIterator[Operation]:
        loop = asyncio.get_running_loop()
        loop_ends = completions(loop)
        ended: asyncio.Queue[Operation] = asyncio.Queue()
        for operation in self._operations:
            put = partial(ended.put_nowait, operation)
            if not loop_ends.watch(operation._native, put):
                put()
        end = None if self._timeout is None else loop.time() + self._timeout
        for count in range(len(self._operations)):
            left = None if end is None else max(0.0, end - loop.time())
            try:
                operation = await asyncio.wait_for(ended.get(), left)
            except asyncio.TimeoutError:
                raise _time_is_up(len(self._operations) - count) from None
            yield operation
