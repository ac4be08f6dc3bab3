#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of a GPU that the other process moves from and to: for a process without CUDA,
which has to stay clear of it, and into memory of a GPU, through slots, where the memory
cannot be opened (cudaMallocAsync). Are the bytes right, and how fast is it?

Usage: serving.py. Needs torch, nixl_connect and a GPU or two; a minute. Prints a line
for each kind of memory, direction and size, with the best rate of several, and fails if
anything is wrong.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
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
        environment.pop(DRIVER, None)
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


def has_a_context() -> bool:
    """UCX, which looks for GPUs, starts the driver; what costs is a context."""
    driver = ctypes.CDLL("libcuda.so.1")
    count, flags, is_active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        raise RuntimeError("CUDA's driver does not work here")
    for device in range(count.value):
        result = driver.cuDevicePrimaryCtxGetState(
            device, ctypes.byref(flags), ctypes.byref(is_active)
        )
        if result or is_active.value:
            return True
    return False


def memories(is_of_gpu: bool) -> list[tuple[str, Any]]:
    """What is read into and written from, with a name."""
    if is_of_gpu:
        import torch

        device = f"cuda:{torch.cuda.device_count() - 1}"
        return [("GPU", torch.empty(max(SIZES), dtype=torch.uint8, device=device))]
    import numpy
    from nixl_connect import empty

    return [
        ("empty()", empty(max(SIZES), dtype=numpy.uint8)),
        ("numpy", numpy.empty(max(SIZES), dtype=numpy.uint8)),
    ]


class Served:
    """The other side."""

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

    def measure(self, is_of_gpu: bool) -> int:
        for where, memory in memories(is_of_gpu):
            for page, sizes in [(0, SIZES), (PAGE, [256 << 20])]:
                for size in sizes:
                    for verb in ["read", "write"]:
                        self.measure_one(where, memory[:size], page, verb)
        self.exposing.end()
        if not is_of_gpu and has_a_context():
            self.failures += 1
            print("WRONG the process without CUDA has a context on a GPU")
        return self.failures

    def measure_one(self, where: str, memory: Any, page: int, verb: str) -> None:
        seconds = min(self.move(verb, memory, page) for _ in range(ROUNDS))
        moved = memory.nbytes // 2 if page else memory.nbytes
        print(
            f"  {where:8} {verb:5} {moved:11} bytes{' in pages' if page else '':9}"
            f" {seconds * 1e6:10.1f} us {moved / seconds / 1e9:6.1f} GB/s",
            flush=True,
        )


def run(name: str, side: str, allocator: str, environment: dict[str, str]) -> bool:
    """Measures in a process of its own; whether all was right."""
    print(f"{name}:", flush=True)
    command = [sys.executable, __file__, side, allocator]
    all_of_it = {**os.environ, "PYTORCH_CUDA_ALLOC_CONF": allocator, **environment}
    return subprocess.run(command, env=all_of_it, check=False).returncode == 0


def main() -> int:
    match sys.argv[1:]:
        case ["expose"]:
            expose()
            return 0
        case ["served", allocator]:
            return 1 if Served(allocator).measure(is_of_gpu=False) else 0
        case ["slots", allocator]:
            return 1 if Served(allocator).measure(is_of_gpu=True) else 0
    try:
        import torch
    except ImportError:
        return 77
    if not torch.cuda.is_available():
        return 77
    # As if there were no driver; to hide the GPUs would hide them of the other one.
    without_cuda = {DRIVER: "/nowhere/libcuda.so.1"}
    are_right = [
        run(f"without CUDA, {kind}", "served", allocator, without_cuda)
        for kind, allocator in KINDS.items()
    ]
    pool = KINDS["cudaMallocAsync"]
    are_right.append(run("through slots, cudaMallocAsync", "slots", pool, {}))
    print("all is right" if all(are_right) else "something was wrong")
    return 0 if all(are_right) else 1


if __name__ == "__main__":
    sys.exit(main())
