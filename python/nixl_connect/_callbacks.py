# SPDX-License-Identifier: Apache-2.0
"""Calls something when an operation has ended: in the caller's event loop if one runs,
otherwise on the one thread of the package. That thread also logs what the library has
to say. It starts with the first Connector, or, if the log is off, with the first such
call, and ends when the process does."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from itertools import count

from . import _native
from ._completion import completions
from ._library_log import LibraryLog
from ._log import logger

Call = Callable[[], object]
_STOP, _LOG = 0, 1


def call_when_done(operation: _native.Operation, call: Call) -> None:
    """Calls `call` once `operation` is terminal, never from here."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        _thread().watch(operation, call)
        return
    if not completions(loop).watch(operation, lambda: loop.call_soon(call)):
        loop.call_soon(call)


def hear_library() -> None:
    """Has the library's log come to the package's logger, until the process ends. If
    there can be no thread for that, it stays where it is."""
    with _lock, suppress(RuntimeError):
        if not _is_over:
            _started().hear_library()


class CallbackThread:
    """Sleeps in a completion queue, and makes the calls and the records that are
    due."""

    def __init__(self) -> None:
        self._queue = _native.CompletionQueue()
        self._log = LibraryLog(self._queue, _LOG)
        self._calls: dict[int, Call] = {}
        self._tokens = count(_LOG + 1)
        self._thread = threading.Thread(
            target=self._run, name="nixl_connect_callbacks", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def hear_library(self) -> None:
        self._log.open()

    def watch(self, operation: _native.Operation, call: Call) -> None:
        token = next(self._tokens)
        self._calls[token] = call
        if not operation.notify(self._queue, token):
            self._queue.push(token)

    def stop(self) -> None:
        """Ends the thread after the calls and the records that are due."""
        self._queue.push(_STOP)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while True:
            self._queue.sleep()
            tokens = self._queue.drain()
            for token in tokens:
                if token > _LOG:
                    self._call(self._calls.pop(token))
                elif token == _LOG:
                    self._log.deliver()
            if _STOP in tokens:
                self._log.close()
                return

    @staticmethod
    def _call(call: Call) -> None:
        try:
            call()
        except Exception:
            raised = traceback.format_exc().rstrip()
            logger.error("a completion callback raised\n%s", raised)


# A collection while it is held may drop a DoneCallback, which asks for the thread.
_lock = threading.RLock()
_running: CallbackThread | None = None
_is_over = False


def _thread() -> CallbackThread:
    with _lock:
        return _started()


def _started() -> CallbackThread:
    global _running
    if _running is None:
        made = CallbackThread()
        if _running is None:  # otherwise such a DoneCallback was quicker
            _running = made
            try:
                made.start()
            except RuntimeError:
                _running = None
                raise
    return _running


def stop_callbacks() -> None:
    """At exit, after the Connectors were closed, so that no call and no record is left
    behind."""
    global _running, _is_over
    with _lock:
        running, _running = _running, None
        _is_over = True
    if running is not None:
        running.stop()


def _forget_in_child() -> None:
    global _lock, _running
    _lock = threading.RLock()
    _running = None


os.register_at_fork(after_in_child=_forget_in_child)
