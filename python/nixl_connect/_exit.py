# SPDX-License-Identifier: Apache-2.0
"""The end of the process: closes what is open, in bounded time, while the interpreter
can still run what waits for it. Imported for its effect."""

from __future__ import annotations

import atexit
import os
import threading

from . import _native
from ._callbacks import stop_callbacks
from ._completion import forget_loops
from ._connection import live_connections


def _close_all() -> None:
    for connection in list(live_connections):
        connection.close()
    _native.finish_closing()
    stop_callbacks()
    forget_loops()
    _native.release_due()
    _native.leave_threads_behind(threading.active_count() > 1)


atexit.register(_close_all)
os.register_at_fork(after_in_child=_native.forget_closing)
os.register_at_fork(after_in_child=_native.forget_threads)
