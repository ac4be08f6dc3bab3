#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory of GPUs between two processes of our package by ucx, as between two hosts: the
paths of one host are forbidden. In all ways: both directions, from GPU to GPU and
between GPU and host; memory of cudaMalloc, of torch's expandable segments (a key for
each chunk) and of cudaMallocAsync; memory that is exposed before a stream has filled
it; a cancelled read, a late one, and a peer that is killed.

    python tests/gpu/network_gpu.py [--host]

needs torch with CUDA, nixl_connect and a GPU, or two. It ends with 0 if all bytes are
right, 77 without a GPU. With --host all memory is the host's, to try the program
itself.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import subprocess
import sys
import time

FORBIDDEN = "cuda.peer,cuda.staged"
LIMIT_S = 50  # of each kind of memory
KINDS = {
    "cudaMalloc": "expandable_segments:False",
    "expandable segments": "expandable_segments:True",
    "cudaMallocAsync": "backend:cudaMallocAsync",
}
LATE_BYTES = 32 << 20
CYCLES = 400_000_000  # 0.2 s of an H200


def check_bytes(is_on_host: bool) -> int:
    """All cases of gpu_pairing.py; how many went wrong."""
    from gpu_pairing import ROUNDS, Case, Pairing
    from peers import Refused

    class Network(Pairing):
        def way(self, case: Case, path: str) -> list[str]:
            del case
            is_right = path.startswith("ucx") and "cuda_ipc" not in path
            return [] if is_right else [f"it went by {path!r}"]

    pairing = Network("ours", is_on_host)
    failures = 0
    for number in range(ROUNDS):
        print(f"round {number + 1}", flush=True)
        for case in pairing.cases():
            try:
                wrong = pairing.run(case)
            except Refused as refused:
                wrong = [str(refused)]
            for what in wrong:
                failures += 1
                print(f"WRONG {case}: {what}")
    pairing.close()
    return failures


def expose() -> None:
    """The other process: fills memory on a stream that is late, and waits."""
    import torch
    from nixl_connect import Connector, Descriptor

    connector = Connector()
    data = torch.zeros(LATE_BYTES, dtype=torch.uint8, device="cuda:0")
    torch.cuda.synchronize()
    for _ in sys.stdin:
        torch.cuda._sleep(CYCLES)
        data.fill_(7)
        readable = connector.create_readable(Descriptor(data))
        print(readable.metadata().model_dump_json(), flush=True)
        with contextlib.suppress(RuntimeError):
            readable.wait(30)
        data.zero_()
        torch.cuda.synchronize()


class Exposing:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "expose"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def metadata(self) -> str:
        assert self.process.stdin and self.process.stdout
        print("next", file=self.process.stdin, flush=True)
        return self.process.stdout.readline()


def check_order_and_ends() -> int:
    """Memory that is not ready yet, and reads that do not come to their end."""
    import torch
    from nixl_connect import Connector, Descriptor, Disconnected, RdmaMetadata, TimedOut

    failures = 0

    def expect(what: str, is_right: bool) -> None:
        nonlocal failures
        print(f"  {'ok   ' if is_right else 'WRONG'} {what}", flush=True)
        failures += 0 if is_right else 1

    exposing = Exposing()
    connector = Connector()
    device = f"cuda:{torch.cuda.device_count() - 1}"
    target = torch.zeros(LATE_BYTES, dtype=torch.uint8, device=device)
    for number in range(3):
        target.zero_()
        remote = RdmaMetadata.model_validate_json(exposing.metadata())
        read = connector.begin_read(remote, Descriptor(target), timeout=30)
        read.wait()
        expect(f"late memory {number}: {read.path}", bool((target == 7).all()))

    remote = RdmaMetadata.model_validate_json(exposing.metadata())
    begun = time.monotonic()
    read = connector.begin_read(remote, Descriptor(target), timeout=0.02)
    try:
        read.wait(30)
        ended = "complete"
    except TimedOut:
        ended = "late"
    expect(f"a deadline: {ended}", ended == "late" and time.monotonic() - begun < 5)

    remote = RdmaMetadata.model_validate_json(exposing.metadata())
    read = connector.begin_read(remote, Descriptor(target), timeout=30)
    read.cancel()
    read.wait(30)
    expect(f"a cancelled read: {read.status}", "CANCELLED" in str(read.status).upper())

    remote = RdmaMetadata.model_validate_json(exposing.metadata())
    read = connector.begin_read(remote, Descriptor(target), timeout=30)
    exposing.process.kill()
    try:
        read.wait(30)
        ended = "complete"
    except Disconnected:
        ended = "disconnected"
    expect(f"a peer that is killed: {ended}", ended == "disconnected")
    return failures


def check_all(is_on_host: bool) -> int:
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    failures = check_bytes(is_on_host)
    if not is_on_host:
        failures += check_order_and_ends()
    print("ok" if failures == 0 else f"{failures} failures", flush=True)
    return 0 if failures == 0 else 1


def has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


def main() -> int:
    if sys.argv[1:] == ["expose"]:
        expose()
        return 0
    is_on_host = "--host" in sys.argv
    if "check" in sys.argv:
        return check_all(is_on_host)
    if not is_on_host and not has_gpu():
        return 77
    forbidden = "host" if is_on_host else FORBIDDEN
    wrong = []
    for kind, setting in KINDS.items():
        print(f"{kind}:", flush=True)
        environment = {
            **os.environ,
            "NIXL_CONNECT_FORBID": forbidden,
            "PYTORCH_CUDA_ALLOC_CONF": setting,
        }
        command = [sys.executable, __file__, "check", *sys.argv[1:]]
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            wrong.append(kind)
        if is_on_host:
            break
    print(f"wrong: {', '.join(wrong)}" if wrong else "all is right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
