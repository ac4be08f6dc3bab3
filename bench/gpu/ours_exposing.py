# SPDX-License-Identifier: Apache-2.0
"""The exposing process of ours_peer.py, which says what the commands are."""

from __future__ import annotations

import time
from typing import Any

from layout import Work
from ours_side import Side, descriptor_of
from pools import Pool

# Of one writable; so many never come.
WRITERS = 1 << 30


class Exposing:
    def __init__(self) -> None:
        self._side = Side()
        self._exposed: tuple[Pool, Work] | None = None
        self._operations: list[Any] = []

    def expose(
        self,
        work: dict[str, Any],
        place: str,
        operations: int = 1,
        readable_each: bool = False,
    ) -> dict[str, Any]:
        self.release()
        moved = Work(**work)
        pool, is_read = self._side.pool(moved, place), moved.kind == "READ"
        pool.prepare(moved, is_source=is_read)
        self._exposed = (pool, moved)
        connector, whole = self._side.connector, descriptor_of(pool, moved)
        start = time.perf_counter_ns()
        for _ in range(operations):
            if is_read:
                readers = 1 if readable_each else None
                made: Any = connector.create_readable(whole, readers=readers)
            else:
                made = connector.create_writable(whole, readers=WRITERS)
            self._operations.append(made)
        texts = [each.metadata().model_dump_json() for each in self._operations]
        create_us = (time.perf_counter_ns() - start) / 1e3 / operations
        return {"metadata": texts, "create_us": create_us}

    def check(self) -> None:
        assert self._exposed
        pool, work = self._exposed
        pool.check(work)

    def release(self) -> None:
        for each in self._operations:
            each.close()
        self._operations.clear()
