# SPDX-License-Identifier: Apache-2.0
"""What a transfer moves between a pool of memory of each process. Values, which travel
to the processes as JSON; gpu/work.h reads the same."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Work:
    """Page k of a pool is the `page_bytes` bytes at k * page_bytes. A READ moves the
    pages `there`, of the exposing process, to those `here`, of the measuring one, in
    their order; a WRITE the other way."""

    kind: str
    page_bytes: int
    pool_bytes: int
    here: list[int]
    there: list[int]

    @property
    def size(self) -> int:
        return self.page_bytes * len(self.here)

    @property
    def sources(self) -> list[int]:
        return self.there if self.kind == "READ" else self.here

    @property
    def targets(self) -> list[int]:
        return self.here if self.kind == "READ" else self.there

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def whole(kind: str, size: int) -> Work:
    return Work(kind, size, size, [0], [0])


def scattered(kind: str, count: int, page_bytes: int) -> Work:
    """Every other page of a pool, in an order that is shuffled at each end for itself:
    no two pages are adjacent at either."""
    shuffle = random.Random(page_bytes)
    here = shuffle.sample(range(0, 2 * count, 2), count)
    there = shuffle.sample(range(0, 2 * count, 2), count)
    return Work(kind, page_bytes, 2 * count * page_bytes, here, there)
