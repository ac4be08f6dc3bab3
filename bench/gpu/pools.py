# SPDX-License-Identifier: Apache-2.0
"""Memory that is moved: of a GPU, plain, or of nixl_connect.empty(). Each word of 8
bytes of a source has its own number, so a target tells what came where. Used by the
processes of this folder, each by one thread."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import numpy as np
import numpy.typing as npt
from gpu_driver import Gpu
from layout import Work
from memory import make_memory

PART = 8 << 20
# Smaller allocations share a block of the driver's with others.
BLOCK = 2 << 20

Words = npt.NDArray[np.uint64]
gpus: dict[int, Gpu] = {}  # this process uses one at most


def gpu_of(ordinal: int) -> Gpu:
    if ordinal not in gpus:
        gpus[ordinal] = Gpu(ordinal)
    return gpus[ordinal]


class Pool:
    """Memory of `size` bytes at `address`, of which a work may need less; `device` as
    nixl_connect names it."""

    def __init__(self, address: int, size: int, device: str):
        self.address, self.size, self.device = address, size, device

    def prepare(self, work: Work, is_source: bool) -> None:
        """Gives each word its own number, from 1 on, or clears them."""
        if not is_source:
            return self.clear(work.pool_bytes)
        for start in range(0, work.pool_bytes, PART):
            end = min(start + PART, work.pool_bytes)
            self._put(start, np.arange(start // 8 + 1, end // 8 + 1, dtype=np.uint64))

    def clear(self, size: int) -> None:
        raise NotImplementedError

    def check(self, work: Work) -> None:
        """ValueError unless the pages that were written to hold the numbers of their
        sources, and all others nothing."""
        origin = dict(zip(work.targets, work.sources, strict=True))
        cell = min(work.page_bytes, PART)
        words, cells_of_page = cell // 8, work.page_bytes // cell
        offsets = np.arange(1, words + 1, dtype=np.uint64)
        cells, at_once = work.pool_bytes // cell, PART // cell
        for first in range(0, cells, at_once):
            count = min(at_once, cells - first)
            found = self._get(first * cell, count * cell).reshape(count, words)
            expected = np.zeros_like(found)
            for row in range(count):
                page, part = divmod(first + row, cells_of_page)
                if page in origin:
                    start = (origin[page] * cells_of_page + part) * words
                    expected[row] = offsets + np.uint64(start)
            if not np.array_equal(found, expected):
                raise ValueError("wrong bytes arrived, or in a wrong place")

    def _put(self, offset: int, words: Words) -> None:
        raise NotImplementedError

    def _get(self, offset: int, size: int) -> Words:
        raise NotImplementedError


class GpuPool(Pool):
    def __init__(self, ordinal: int, size: int):
        self._gpu = gpu_of(ordinal)
        whole_blocks = (size + BLOCK - 1) // BLOCK * BLOCK
        super().__init__(self._gpu.allocate(whole_blocks), size, f"cuda:{ordinal}")

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._gpu.free(self.address)

    def clear(self, size: int) -> None:
        self._gpu.clear(self.address, size)

    def _put(self, offset: int, words: Words) -> None:
        self._gpu.write(self.address + offset, words.ctypes.data, words.nbytes)

    def _get(self, offset: int, size: int) -> Words:
        words = np.empty(size // 8, dtype=np.uint64)
        self._gpu.read(words.ctypes.data, self.address + offset, words.nbytes)
        return words


class HostPool(Pool):
    """Of an array of bytes, which it keeps."""

    def __init__(self, array: Any):
        self.array = array
        super().__init__(array.ctypes.data, array.nbytes, "cpu")

    def clear(self, size: int) -> None:
        self.array[:size] = 0

    def _put(self, offset: int, words: Words) -> None:
        self.array[offset : offset + words.nbytes] = words.view(np.uint8)

    def _get(self, offset: int, size: int) -> Words:
        part: Words = self.array[offset : offset + size].view(np.uint64)
        return part


class Place:
    """Where a process has its pool, which grows as works ask for more."""

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._name = ""

    def pool(self, name: str, size: int) -> Pool:
        """`name` as make_pool() has it. The one from before, if it will do."""
        if self._pool is None or name != self._name or size > self._pool.size:
            self._pool = None
            self._pool = make_pool(name, size)
            self._name = name
        return self._pool


def make_pool(place: str, size: int) -> Pool:
    """`place`: gpu:N, plain, or arena, of nixl_connect.empty()."""
    if place == "plain":
        return HostPool(make_memory(size))
    if place == "arena":
        import nixl_connect

        return HostPool(nixl_connect.empty(size))
    kind, _, ordinal = place.partition(":")
    if kind != "gpu":
        raise ValueError(f"there is no memory of the kind {place!r}")
    return GpuPool(int(ordinal), size)
