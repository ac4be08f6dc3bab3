#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tensors of torch between two processes, on one GPU or two, with torch's expandable
segments (memory that comes as files, a chunk each) and without (IPC handles): a
thousand that are allocated, read and freed, so that addresses come back with other
memory, then the slices of one tensor as a list of descriptors.

    python tests/gpu/expandable_segments.py

needs torch with CUDA, nixl_connect and a GPU. It ends with 0 if all bytes are right, 1
if anything is wrong, 77 without a GPU.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from typing import IO

TENSORS = 1000
SLICES = 64
ROUNDS = 10
SECONDS = 30
"""Of an operation."""

KIB = 1 << 10
MIB = 1 << 20


def sizes() -> list[int]:
    """Of the tensors, from some KiB to what spans several chunks of 20 MiB."""
    choose = random.Random(7)
    kinds = [(50, 4 * KIB, MIB), (40, MIB, 12 * MIB), (10, 12 * MIB, 80 * MIB)]
    weights = [weight for weight, _, _ in kinds]
    drawn = choose.choices(kinds, weights, k=TENSORS)
    return [choose.randrange(least, most) for _, least, most in drawn]


class Pattern:
    """Bytes that follow from their place and a number, on one GPU."""

    def __init__(self, device: str):
        import torch

        self.places = torch.arange(256 * MIB // 8, dtype=torch.int64, device=device)

    def fill(self, tensor, number: int) -> None:
        tensor[: self._whole(tensor)].copy_(self._bytes(tensor, number))
        tensor[self._whole(tensor) :].fill_(number % 251)

    def wrong(self, tensor, number: int) -> int:
        """How many bytes are not as fill() left them."""
        whole = self._whole(tensor)
        wrong = (tensor[:whole] != self._bytes(tensor, number)).sum()
        return int(wrong + (tensor[whole:] != number % 251).sum())

    @staticmethod
    def _whole(tensor) -> int:
        return tensor.numel() // 8 * 8

    def _bytes(self, tensor, number: int):
        import torch

        words = self.places[: tensor.numel() // 8] * 0x9E3779B97F4A7C1 + number
        return words.view(torch.uint8)


def say(stream: IO[str], **words: object) -> None:
    stream.write(json.dumps(words) + "\n")
    stream.flush()


def hear(stream: IO[str]) -> dict:
    line = stream.readline()
    if not line:
        raise EOFError("the other process is gone")
    return json.loads(line)


def own(orders: IO[str], answers: IO[str]) -> None:
    """Has the memory of the first GPU, and exposes it as it is told to."""
    import nixl_connect as nc
    import torch

    connector = nc.Connector()
    pattern = Pattern("cuda:0")
    tensor = operation = None
    while True:
        order = hear(orders)
        if order["do"] == "end":
            return
        if order["do"] == "new":  # the one before is freed
            tensor = torch.empty(order["size"], dtype=torch.uint8, device="cuda:0")
            pattern.fill(tensor, order["number"])
            torch.cuda.synchronize(0)
            operation = connector.create_readable(nc.Descriptor(tensor), readers=1)
        elif order["do"] == "free":
            assert operation is not None
            operation.wait(SECONDS)
            tensor = operation = None
            if order["empty"]:
                torch.cuda.empty_cache()
            say(answers)
            continue
        else:
            if tensor is None:
                tensor = torch.empty(order["size"], dtype=torch.uint8, device="cuda:0")
            if operation is not None:
                operation.wait(SECONDS)
            slices = [nc.Descriptor(each) for each in tensor.chunk(SLICES)]
            if order["do"] == "check":
                say(answers, wrong=pattern.wrong(tensor, order["number"]))
                continue
            if order["do"] == "write":
                operation = connector.create_writable(slices)
            else:
                pattern.fill(tensor, order["number"])
                torch.cuda.synchronize(0)
                operation = connector.create_readable(slices, readers=1)
        say(
            answers,
            metadata=operation.metadata().model_dump_json(),
            address=tensor.data_ptr(),
        )


class Mover:
    """Reads and writes what the other process exposes, by the last GPU."""

    def __init__(self) -> None:
        import nixl_connect as nc
        import torch

        self.nc = nc
        self.torch = torch
        self.device = f"cuda:{torch.cuda.device_count() - 1}"
        self.connector = nc.Connector()
        self.pattern = Pattern(self.device)
        self.owner = subprocess.Popen(
            [sys.executable, __file__, "own"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **order: object) -> dict:
        assert self.owner.stdin is not None
        assert self.owner.stdout is not None
        say(self.owner.stdin, **order)
        return hear(self.owner.stdout)

    def finish(self, operation) -> None:
        if not operation.wait(SECONDS):
            raise TimeoutError(f"{operation} does not end")
        if operation.path != "cuda.peer":
            raise AssertionError(f"it went by {operation.path}")

    def expect(self, tensor, number: int) -> None:
        wrong = self.pattern.wrong(tensor, number)
        if wrong:
            raise AssertionError(f"{wrong} bytes of {tensor.numel()} are wrong")

    def move_tensors(self) -> str:
        seen: set[int] = set()
        reused = 0
        for number, size in enumerate(sizes()):
            answer = self.ask(do="new", size=size, number=number)
            reused += answer["address"] in seen
            seen.add(answer["address"])
            metadata = self.nc.RdmaMetadata.model_validate_json(answer["metadata"])
            target = self.torch.zeros(size, dtype=self.torch.uint8, device=self.device)
            self.torch.cuda.synchronize(self.device)
            read = self.connector.begin_read(metadata, self.nc.Descriptor(target))
            self.finish(read)
            self.expect(target, number)
            self.ask(do="free", empty=number % 20 == 0)
        if not reused:
            raise AssertionError("no address came back: this has tested nothing")
        return f"{TENSORS} tensors, {reused} of them at an address used before"

    def move_slices(self) -> str:
        size = SLICES * 3 * MIB + 64 * 100
        tensor = self.torch.zeros(size, dtype=self.torch.uint8, device=self.device)
        slices = [self.nc.Descriptor(each) for each in tensor.chunk(SLICES)]
        seconds = []
        for number in range(ROUNDS):
            answer = self.ask(do="read", size=size, number=number)
            metadata = self.nc.RdmaMetadata.model_validate_json(answer["metadata"])
            tensor.zero_()
            self.torch.cuda.synchronize(self.device)
            start = time.perf_counter()
            self.finish(self.connector.begin_read(metadata, slices))
            seconds.append(time.perf_counter() - start)
            self.expect(tensor, number)
            self.pattern.fill(tensor, 1000 + number)
            self.torch.cuda.synchronize(self.device)
            answer = self.ask(do="write", size=size)
            metadata = self.nc.RdmaMetadata.model_validate_json(answer["metadata"])
            self.finish(self.connector.begin_write(slices, metadata))
            answer = self.ask(do="check", size=size, number=1000 + number)
            if answer["wrong"]:
                raise AssertionError(f"{answer['wrong']} bytes that were written")
        first, rest = seconds[0], min(seconds[1:])
        return (
            f"{SLICES} slices of {size >> 20} MiB: first read {1e3 * first:.1f} ms, "
            f"then {1e3 * rest:.2f} ms ({size / rest / 1e9:.0f} GB/s)"
        )

    def end(self) -> None:
        assert self.owner.stdin is not None
        say(self.owner.stdin, do="end")
        if self.owner.wait(SECONDS) != 0:
            raise AssertionError("the other process has failed")


def move() -> None:
    mover = Mover()
    try:
        for part in (mover.move_tensors, mover.move_slices):
            start = time.perf_counter()
            text = part()
            print(f"  {text} ({time.perf_counter() - start:.1f} s)", flush=True)
        mover.end()
    finally:
        mover.owner.kill()


def main() -> int:
    if sys.argv[1:] == ["own"]:
        own(sys.stdin, sys.stdout)
        return 0
    if sys.argv[1:] == ["move"]:
        move()
        return 0
    import torch

    if not torch.cuda.is_available():
        print("there is no GPU, or torch does not find it")
        return 77
    failed = 0
    for setting in ("expandable_segments:True", "expandable_segments:False"):
        print(setting, flush=True)
        environment = {**os.environ, "PYTORCH_CUDA_ALLOC_CONF": setting}
        command = [sys.executable, __file__, "move"]
        failed += subprocess.run(command, env=environment, check=False).returncode != 0
    print("wrong" if failed else "right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
