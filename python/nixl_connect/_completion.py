# SPDX-License-Identifier: Apache-2.0
"""How an event loop learns that operations have ended: one queue with one eventfd for
each loop, which the loop itself watches. Called on the loop's thread, except where
said.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from itertools import count

from . import _native

Call = Callable[[], object]

When = int
TERMINAL: When = 0
"""The operation is terminal."""
QUIET: When = 1
"""Its memory is quiet."""
REVOKED: When = 2
"""The view is revoked, or has ended."""


class Pending:
    """The waits for one operation in one loop: however many there are and were, the
    operation notifies the loop once."""

    __slots__ = ("futures", "loop_ends")

    def __init__(self, loop_ends: LoopCompletions) -> None:
        self.loop_ends = weakref.ref(loop_ends)  # an operation may outlive its loop
        self.futures: set[asyncio.Future[None]] = set()

    def add(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """A future for one more wait. It is let go when it is done, for one that was
        cancelled holds the frames, and so the operation, that were waiting for it."""
        future: asyncio.Future[None] = loop.create_future()
        self.futures.add(future)
        future.add_done_callback(self.futures.discard)
        return future

    def __call__(self) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(None)


class LoopCompletions:
    """The ends of operations that one event loop waits for. The loop holds it, as one
    of its readers, and lets it go when it is closed."""

    __slots__ = ("__weakref__", "_calls", "_queue", "_tokens")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._queue = _native.CompletionQueue()
        self._calls: dict[int, Call] = {}
        self._tokens = count(1)
        loop.add_reader(self._queue.fileno(), self._deliver)

    def watch(
        self, operation: _native.Operation, call: Call, when: When = TERMINAL
    ) -> bool:
        """Has `call` called when that has come. False if it has already."""
        token = next(self._tokens)
        self._calls[token] = call
        if operation.notify(self._queue, token, when):
            return True
        del self._calls[token]
        return False

    def _deliver(self) -> None:
        for token in self._queue.drain():
            self._calls.pop(token)()


# Weak at both ends: completions hold futures, which hold their loop.
_of_loop: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, weakref.ref[LoopCompletions]
] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


class _OfThread(threading.local):
    """The completions of the loop that ran last in this thread."""

    loop: Callable[[], asyncio.AbstractEventLoop | None] = staticmethod(lambda: None)
    completions: Callable[[], LoopCompletions | None] = staticmethod(lambda: None)


_of_thread = _OfThread()


def completions(loop: asyncio.AbstractEventLoop) -> LoopCompletions:
    """Those of `loop`, which runs in the calling thread."""
    if _of_thread.loop() is loop:
        found = _of_thread.completions()
        if found is not None:
            return found
    with _lock:
        known = _of_loop.get(loop)
        found = None if known is None else known()
        if found is None:
            found = LoopCompletions(loop)
            _of_loop[loop] = weakref.ref(found)
    _of_thread.loop = weakref.ref(loop)
    _of_thread.completions = weakref.ref(found)
    return found


def forget_loops() -> None:
    """Drops all queues: at exit, and in a forked child, where they are the parent's."""
    global _of_thread, _lock
    _of_loop.clear()
    _of_thread = _OfThread()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=forget_loops)
