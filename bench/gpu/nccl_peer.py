# SPDX-License-Identifier: Apache-2.0
"""The receiver of bytes that another process sends by NCCL, with torch. The sender is a
process that it starts. It answers in lines of JSON:

    measure  work, operations, check      latencies_us

Pages are gathered by one kernel, sent in one piece and scattered by another, all of it
timed: from the receiver's word, on which the sender spins, until its GPU is done. Which
side is said to read or to write means nothing to them: a figure stands for both.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import tempfile
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from layout import Work
from serving import measure_series, serve

RECEIVER, SENDER = 0, 1  # ranks, and the GPUs of the two
LIMIT_S = 60
PR_SET_PDEATHSIG = 1


class Side:
    """The pool of one rank, in rows of one page, and the pages that it moves."""

    def __init__(self, rank: int, meeting: str):
        torch.cuda.set_device(rank)
        self.device = torch.device("cuda", rank)
        dist.init_process_group(
            "nccl",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=2,
            device_id=self.device,
        )

    def prepare(self, work: Work, pages: list[int]) -> None:
        words = work.page_bytes // 8
        self.pool = torch.zeros(
            work.pool_bytes // 8, dtype=torch.int64, device=self.device
        ).view(-1, words)
        self.pages = torch.tensor(pages, device=self.device)
        # One page is all of the pool, and needs no other place.
        self.is_whole = len(pages) == len(self.pool)
        self.staging = self.pool if self.is_whole else self.pool.new_empty(0)
        if not self.is_whole:
            self.staging = torch.empty(
                (len(pages), words), dtype=torch.int64, device=self.device
            )

    def finish(self) -> None:
        torch.cuda.synchronize(self.device)


def send(connection: Connection, meeting: str, turns: Any) -> None:
    """The other process: sends whenever `turns` goes up."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # It may spin for ever.
    side = Side(SENDER, meeting)
    words = np.frombuffer(turns, dtype=np.int64)
    done = 0
    connection.send("ready")
    while (order := connection.recv()) is not None:
        work, operations = Work(**order[0]), order[1]
        side.prepare(work, work.there)
        torch.arange(1, side.pool.numel() + 1, out=side.pool.view(-1))
        side.finish()
        connection.send("ready")
        for _ in range(operations):
            while words[0] == done:
                pass
            done += 1
            if not side.is_whole:
                torch.index_select(side.pool, 0, side.pages, out=side.staging)
            dist.send(side.staging, RECEIVER)
        side.finish()


class Receiving:
    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._turns = context.RawArray("q", 1)
        self._words = np.frombuffer(self._turns, dtype=np.int64)
        self._connection, other_end = context.Pipe()
        meeting = os.path.join(tempfile.mkdtemp(), "meeting")
        process = context.Process(
            target=send, args=(other_end, meeting, self._turns), daemon=True
        )
        process.start()
        other_end.close()  # Or the end of the process would not show.
        self._side = Side(RECEIVER, meeting)
        self._receive()

    def measure(
        self, work: dict[str, Any], operations: int, check: bool = False
    ) -> dict[str, Any]:
        moved, warm_up = Work(**work), 3
        self._connection.send((work, warm_up + operations))
        self._side.prepare(moved, moved.here)
        self._receive()
        measure_series(warm_up, 0, self._begin, self._end)
        if check:
            self._check(moved)
        return measure_series(operations, 0, self._begin, self._end)

    def _begin(self) -> None:
        self._words[0] += 1
        dist.recv(self._side.staging, SENDER)
        if not self._side.is_whole:
            self._side.pool.index_copy_(0, self._side.pages, self._side.staging)

    def _end(self, _: None) -> None:
        self._side.finish()

    def _check(self, work: Work) -> None:
        words = work.page_bytes // 8
        there = torch.tensor(work.there, device=self._side.device)
        numbers = torch.arange(1, words + 1, device=self._side.device)
        expected = torch.zeros_like(self._side.pool)
        expected[self._side.pages] = there[:, None] * words + numbers
        if not torch.equal(self._side.pool, expected):
            raise ValueError("wrong bytes arrived")

    def _receive(self) -> None:
        if not self._connection.poll(LIMIT_S):
            raise TimeoutError(f"the sender said nothing for {LIMIT_S} s")
        self._connection.recv()


if __name__ == "__main__":
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
    serve(Receiving)
