# SPDX-License-Identifier: Apache-2.0
"""The measuring process of ours_peer.py, which says what the commands are."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
from layout import Work
from nixl_connect import Descriptor, RdmaMetadata
from ours_side import Side, descriptor_of
from pools import Pool
from serving import measure_series

# Far more than an operation takes.
LIMIT_S = 20


class Measuring:
    def __init__(self) -> None:
        self._side = Side()
        self._loop = asyncio.new_event_loop()

    def explain(
        self, work: dict[str, Any], place: str, metadata: list[str]
    ) -> dict[str, Any]:
        lists = self._lists(work, place)
        remote = RdmaMetadata.model_validate_json(metadata[0])
        plan = self._side.connector.explain(remote_of(lists, remote), local_of(lists))
        obstacles = [
            f"{each.path}: {each.obstacle}"
            for each in plan.paths
            if each.path.startswith("cuda") and each.obstacle
        ]
        return {"path": plan.path, "obstacles": obstacles}

    def measure(
        self,
        work: dict[str, Any],
        place: str,
        metadata: list[str],
        operations: int,
        end: str,
        window: int = 0,
        check: bool = False,
    ) -> dict[str, Any]:
        lists = self._lists(work, place, check)
        remote = remote_of(lists, RdmaMetadata.model_validate_json(metadata[0]))
        local = local_of(lists)
        paths: set[str] = set()

        def begin() -> Any:
            if lists.work.kind == "READ":
                return self._side.connector.begin_read(remote, local, timeout=LIMIT_S)
            return self._side.connector.begin_write(local, remote, timeout=LIMIT_S)

        def spin(operation: Any) -> None:
            while not operation.done():
                pass
            operation.result()
            paths.add(operation.path)

        def wait(operation: Any) -> None:
            operation.wait()
            paths.add(operation.path)

        seen = {"spin": spin, "wait": wait}[end]
        measure_series(3, 0, begin, seen)  # To warm up.
        lists.check(check)
        series = measure_series(operations, window, begin, seen)
        return {**series, "path": ", ".join(sorted(paths))}

    def awaited(
        self,
        work: dict[str, Any],
        place: str,
        metadata: list[str],
        parses: bool = False,
        check: bool = False,
    ) -> dict[str, Any]:
        lists = self._lists(work, place, check)
        latencies_us, path = self._loop.run_until_complete(
            self._await_all(lists, metadata, parses)
        )
        lists.check(check)
        return {"latencies_us": latencies_us[len(latencies_us) // 10 :], "path": path}

    async def _await_all(
        self, lists: Lists, metadata: list[str], parses: bool
    ) -> tuple[list[float], str]:
        latencies_us, path = [], ""
        for text in metadata:
            if not parses:
                remote = remote_of(lists, RdmaMetadata.model_validate_json(text))
                local = local_of(lists)
            start = time.perf_counter_ns()
            if parses:
                remote = remote_of(lists, RdmaMetadata.model_validate_json(text))
                local = local_of(lists)
            operation = await self._side.connector.begin_read(
                remote, local, timeout=LIMIT_S
            )
            await operation.wait_for_completion()
            latencies_us.append((time.perf_counter_ns() - start) / 1e3)
            path = operation.path
            operation.close()
        return latencies_us, path

    def _lists(self, work: dict[str, Any], place: str, check: bool = False) -> Lists:
        moved = Work(**work)
        pool = self._side.pool(moved, place)
        if check:
            pool.prepare(moved, is_source=moved.kind == "WRITE")
        return Lists(pool, moved)


class Lists:
    """The pages of both sides, as index arrays that a caller has at hand."""

    def __init__(self, pool: Pool, work: Work):
        self._pool, self.work = pool, work
        self.whole = descriptor_of(pool, work)
        self.here = np.array(work.here, dtype=np.int64)
        self.there = np.array(work.there, dtype=np.int64)

    def check(self, is_wanted: bool) -> None:
        """What was read."""
        if is_wanted and self.work.kind == "READ":
            self._pool.check(self.work)


def remote_of(lists: Lists, metadata: RdmaMetadata) -> Any:
    if len(lists.there) == 1:
        return metadata
    return metadata.pages(lists.work.page_bytes, lists.there)


def local_of(lists: Lists) -> Descriptor:
    if len(lists.here) == 1:
        return lists.whole
    return Descriptor.pages(lists.whole, lists.work.page_bytes, lists.here)
