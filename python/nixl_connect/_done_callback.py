# SPDX-License-Identifier: Apache-2.0
"""What add_done_callback() was given, called once whatever becomes of the event loop.
It is held by whoever is to call it; a loop that is closed lets go of it. Any
thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ._callbacks import call_when_done


class DoneCallback:
    """Calls ``callback(operation)``. If it is dropped before, its loop was closed, and
    the thread of the package takes over."""

    __slots__ = ("_callback", "_is_called", "_is_promised", "_operation", "_process")

    def __init__(self, operation: Any, callback: Callable[[Any], object]) -> None:
        self._operation = operation
        self._callback = callback
        self._is_called = False
        self._is_promised = False
        self._process = os.getpid()

    def promise(self) -> None:
        """From here on it will be called, if not already."""
        call_when_done(self._operation._native, self)
        self._is_promised = True

    def __call__(self) -> None:
        self._is_called = True
        self._callback(self._operation)

    def __del__(self) -> None:
        if self._is_called or not self._is_promised or sys.is_finalizing():
            return
        if self._process == os.getpid():  # in a forked child it is the parent's to call
            with suppress(RuntimeError):  # no thread, at the very end of the process
                call_when_done(self._operation._native, self)
