# SPDX-License-Identifier: Apache-2.0
"""The three enumerations. Plain values; their numbers and texts are those of the
wire."""

from __future__ import annotations

from enum import IntEnum


class DeviceKind(IntEnum):
    """What kind of memory: ``str()`` gives ``cpu``, ``cuda``, ``xpu``."""

    UNSPECIFIED = 0
    HOST = 1
    CUDA = 2
    XPU = 3

    def __str__(self) -> str:
        return ("<invalid>", "cpu", "cuda", "xpu")[self]

    @property
    def nixl_mem_type(self) -> str:
        """NIXL's name of it, ``DRAM`` or ``VRAM``. ValueError for UNSPECIFIED."""
        if self is DeviceKind.UNSPECIFIED:
            raise ValueError("an unspecified device has no NIXL memory type")
        return "DRAM" if self is DeviceKind.HOST else "VRAM"


class OperationKind(IntEnum):
    """What the initiating side does: ``str()`` gives ``READ``, ``WRITE``."""

    UNSPECIFIED = 0
    READ = 1
    WRITE = 2

    def __str__(self) -> str:
        return ("<invalid>", "READ", "WRITE")[self]


class OperationStatus(IntEnum):
    """Where an operation stands. From COMPLETE on it is terminal and never changes, and
    nothing can touch the operation's memory any more."""

    UNINITIALIZED = 0
    INITIALIZED = 1
    IN_PROGRESS = 2
    COMPLETE = 3
    CANCELLED = 4
    ERRORED = 5

    def __str__(self) -> str:
        return ("<invalid>", "INIT", "PROC", "DONE", "STOP", "ERR")[self]
