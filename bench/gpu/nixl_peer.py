# SPDX-License-Identifier: Apache-2.0
"""The two processes of genuine NIXL: nixl_peer.py exposing|measuring. Agents with their
defaults, one pool registered at each side, one request that is prepared once and posted
again and again, and a caller that spins on its state. They answer in lines of JSON, as
ours_peer.py says, and are told how much `room` the largest work needs; the metadata is
that of the agent and the address."""

from __future__ import annotations

import os
import sys
import uuid
from typing import Any

import numpy as np
from layout import Work
from pools import Pool, make_pool
from serving import measure_series, serve


def make_agent() -> Any:
    from nixl._api import nixl_agent, nixl_agent_config

    return nixl_agent(str(uuid.uuid4()), nixl_agent_config(backends=["UCX"]))


class Side:
    """An agent, and a pool of `room` bytes that all works have parts of."""

    def __init__(self, place: str, room: int):
        self.pool: Pool = make_pool(place, room)
        is_gpu = place.startswith("gpu:")
        self.kind = "VRAM" if is_gpu else "DRAM"
        self.number = int(place.partition(":")[2]) if is_gpu else 0
        self.agent = make_agent()  # Here, where the GPU's context is current.
        whole = (self.pool.address, room, self.number, "")
        self._registered = self.agent.register_memory([whole], self.kind)


class Exposing:
    def __init__(self) -> None:
        self._side: Side | None = None
        self._work: Work | None = None

    def expose(self, work: dict[str, Any], place: str, room: int) -> dict[str, Any]:
        side = self._side = self._side or Side(place, room)
        self._work = Work(**work)
        side.pool.prepare(self._work, is_source=self._work.kind == "READ")
        return {
            "metadata": {
                "agent": side.agent.get_agent_metadata().hex(),
                "address": side.pool.address,
                "number": side.number,
                "kind": side.kind,
            }
        }

    def check(self) -> None:
        assert self._work and self._side
        self._side.agent.get_new_notifs()
        self._side.pool.check(self._work)


class Measuring:
    def __init__(self) -> None:
        self._side: Side | None = None
        self._remote = ""
        self._prepared: tuple[Work, Any] | None = None

    def measure(
        self,
        work: dict[str, Any],
        place: str,
        room: int,
        metadata: dict[str, Any],
        operations: int,
        check: bool = False,
    ) -> dict[str, Any]:
        side = self._side = self._side or Side(place, room)
        moved = Work(**work)
        if check:
            side.pool.prepare(moved, is_source=moved.kind == "WRITE")
        agent, request = side.agent, self._request(side, moved, metadata)

        def spin(state: str) -> None:
            while state == "PROC":
                state = agent.check_xfer_state(request)
            if state != "DONE":
                raise RuntimeError(f"a transfer ended as {state}")

        def begin() -> str:
            state: str = agent.transfer(request)
            return state

        measure_series(1, 0, begin, spin)  # Connects, and warms up.
        if check and moved.kind == "READ":
            side.pool.check(moved)
        return measure_series(operations, 0, begin, spin)

    def _request(self, side: Side, work: Work, metadata: dict[str, Any]) -> Any:
        """That of the last turn, if the work is the same."""
        if self._prepared and self._prepared[0] == work:
            return self._prepared[1]
        agent = side.agent
        if self._prepared:
            agent.release_xfer_handle(self._prepared[1])
        if not self._remote:
            blob = bytes.fromhex(metadata["agent"])
            self._remote = agent.add_remote_agent(blob).decode()
        here = ranges(side.pool.address, work.page_bytes, work.here, side.number)
        there = ranges(
            metadata["address"], work.page_bytes, work.there, metadata["number"]
        )
        request = agent.initialize_xfer(
            work.kind,
            agent.get_xfer_descs(here, side.kind),
            agent.get_xfer_descs(there, metadata["kind"]),
            self._remote,
            b"done",
        )
        self._prepared = (work, request)
        return request


def ranges(start: int, page_bytes: int, pages: list[int], number: int) -> Any:
    """Rows of address, size and number of the GPU."""
    table = np.empty((len(pages), 3), dtype=np.uint64)
    table[:, 0] = np.uint64(start) + np.array(pages, np.uint64) * np.uint64(page_bytes)
    table[:, 1] = page_bytes
    table[:, 2] = number
    return table


if __name__ == "__main__":
    os.environ.setdefault("NIXL_LOG_LEVEL", "WARN")
    serve({"exposing": Exposing, "measuring": Measuring}[sys.argv[1]])
