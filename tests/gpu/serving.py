#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A process without a GPU, and memory of one in another process, which moves the bytes
for it: are they right, how fast is it, and does the first one stay clear of CUDA?

Usage: serving.py. Needs torch, nixl_connect and a GPU; half a minute. Prints a line for
each kind of memory, direction and size, with the best rate of several, and fails if
anything is wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

SIZES = [4096, 1 << 20, 64 << 20, 1 << 30]
PAGE = 65_536
ROUNDS = 4
TIMEOUT = 30
DRIVER = "NIXL_CONNECT_CUDA_DRIVER"
KINDS = {
    "cudaMalloc": "expandable_segments:False",
    "expandable segments": "expandable_segments:True",
    "cudaMallocAsync": "backend:cudaMallocAsync",
}


def expose() -> None:
    """The process with the GPU: does what the lines say, "verb size [page]"."""
    import torch
    from nixl_connect import Connector, Descriptor

    connector = Connector(timeout=TIMEOUT)
    data = torch.zeros(max(SIZES), dtype=torch.uint8, device="cuda")
    for line in sys.stdin:
        verb, size, page = (*line.split(), "0")[:3]
        part = data[: int(size)]
        if verb == "check":
            print("right" if bool((part == 9).all()) else "wrong", flush=True)
            continue
        part.fill_(7)
        # Every other page, if it is to be pages.
        memory = part.view(-1, int(page))[::2].unbind() if int(page) else [part]
        descriptors = [Descriptor(each) for each in memory]
        make = (
            connector.create_readable if verb == "read" else connector.create_writable
        )
        with make(descriptors) as exposed:
            print(exposed.metadata().model_dump_json(), flush=True)
            exposed.wait(TIMEOUT)


class Exposing:
    def __init__(self, allocator: str) -> None:
        environment = {**os.environ, "PYTORCH_CUDA_ALLOC_CONF": allocator}
        del environment[DRIVER]
        self.process = subprocess.Popen(
            [sys.executable, __file__, "expose"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin and self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(TIMEOUT)


def has_opened_a_gpu() -> bool:
    links = Path("/proc/self/fd").iterdir()
    return any("/dev/nvidia" in os.readlink(each) for each in links if each.exists())


class Served:
    """The process without one."""

    def __init__(self, allocator: str) -> None:
        from nixl_connect import Connector

        self.exposing = Exposing(allocator)
        self.connector = Connector()
        self.failures = 0

    def move(self, verb: str, memory: Any, page: int) -> float:
        """Moves it once; the seconds that took."""
        from nixl_connect import Descriptor, RdmaMetadata

        size = memory.nbytes
        memory[:] = 9
        text = self.exposing.ask(f"{verb} {size} {page}")
        remote = RdmaMetadata.model_validate_json(text)
        parts = memory.reshape(-1, page)[::2] if page else [memory]
        local = [Descriptor(each) for each in parts]
        before = time.perf_counter()
        with (
            self.connector.begin_read(remote, local, timeout=TIMEOUT)
            if verb == "read"
            else self.connector.begin_write(local, remote, timeout=TIMEOUT)
        ) as operation:
            operation.wait()
            seconds = time.perf_counter() - before
            is_right = operation.path == "cuda.staged"
        if verb == "read":
            is_right &= bool((memory[: page or size] == 7).all())
            is_right &= bool((memory[page : 2 * page] == 9).all())
        elif not page:
            is_right &= self.exposing.ask(f"check {size}") == "right"
        if not is_right:
            self.failures += 1
            print(f"WRONG {verb} {size} bytes, by {operation.path}")
        return seconds

    def measure(self) -> int:
        import numpy
        from nixl_connect import empty

        for where, make in [("empty()", empty), ("numpy", numpy.empty)]:
            memory = make(max(SIZES), dtype=numpy.uint8)
            for page, sizes in [(0, SIZES), (PAGE, [256 << 20])]:
                for size in sizes:
                    for verb in ["read", "write"]:
                        times = [
                            self.move(verb, memory[:size], page) for _ in range(ROUNDS)
                        ]
                        moved = size // 2 if page else size
                        print(
                            f"  {where:8} {verb:5} {moved:11} bytes"
                            f"{' in pages' if page else '':9}"
                            f" {min(times) * 1e6:10.1f} us"
                            f" {moved / min(times) / 1e9:6.1f} GB/s",
                            flush=True,
                        )
        self.exposing.end()
        if has_opened_a_gpu():
            self.failures += 1
            print("WRONG the process without a GPU has opened one")
        return self.failures


def main() -> int:
    if sys.argv[1:] == ["expose"]:
        expose()
        return 0
    if sys.argv[1:2] == ["served"]:
        return 1 if Served(sys.argv[2]).measure() else 0
    try:
        import torch
    except ImportError:
        return 77
    if not torch.cuda.is_available():
        return 77
    wrong = []
    for kind, allocator in KINDS.items():
        print(f"{kind}:", flush=True)
        # As if there were no driver; to hide the GPUs would hide them of the other one.
        environment = {**os.environ, DRIVER: "/nowhere/libcuda.so.1"}
        command = [sys.executable, __file__, "served", allocator]
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            wrong.append(kind)
    print(f"wrong: {', '.join(wrong)}" if wrong else "all is right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
