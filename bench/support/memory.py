# SPDX-License-Identifier: Apache-2.0
"""Memory to move, as memory.h has it: touched, and on huge pages where the system
grants them."""

from __future__ import annotations

import mmap

import numpy as np
import numpy.typing as npt

HUGE_PAGE = 2 << 20

Bytes = npt.NDArray[np.uint8]


def make_memory(size: int) -> Bytes:
    whole_pages = (size + HUGE_PAGE - 1) // HUGE_PAGE * HUGE_PAGE
    mapping = mmap.mmap(-1, whole_pages + HUGE_PAGE)
    mapping.madvise(mmap.MADV_HUGEPAGE)
    pages = np.frombuffer(mapping, dtype=np.uint8)
    start = -pages.ctypes.data % HUGE_PAGE
    memory = pages[start : start + size]
    memory[:] = 1
    return memory
