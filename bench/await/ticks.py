# SPDX-License-Identifier: Apache-2.0
"""A tick of the kernel's timer on the event loop, finer than the loop's own timers,
which epoll rounds to milliseconds: it tells how long the loop stood still."""

from __future__ import annotations

import asyncio
import ctypes
import os

from session import now_us

PERIOD_NS = 250_000

_CLOCK_MONOTONIC = 1
_libc = ctypes.CDLL(None, use_errno=True)


class TimerSpec(ctypes.Structure):
    """Source: timerfd_settime(2), struct itimerspec of 64-bit Linux."""

    _fields_ = [
        (name, ctypes.c_long)
        for name in ("interval_s", "interval_ns", "value_s", "value_ns")
    ]


class Ticks:
    """Used on the running loop's thread, as a context manager."""

    def __init__(self) -> None:
        self.longest_us = 0.0  # Between two ticks, beyond the period.
        self._descriptor = _libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def __enter__(self) -> Ticks:
        spec = TimerSpec(0, PERIOD_NS, 0, PERIOD_NS)
        _libc.timerfd_settime(self._descriptor, 0, ctypes.byref(spec), None)
        self._last = now_us()
        asyncio.get_running_loop().add_reader(self._descriptor, self._tick)
        return self

    def __exit__(self, *_: object) -> None:
        self._note(now_us())
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _tick(self) -> None:
        os.read(self._descriptor, 8)
        self._note(now_us())

    def _note(self, now: float) -> None:
        gap = now - self._last - PERIOD_NS / 1000
        self.longest_us, self._last = max(self.longest_us, gap), now
