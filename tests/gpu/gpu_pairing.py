# SPDX-License-Identifier: Apache-2.0
"""Moves memory of GPUs between our package and a genuine implementation, each in a
process of its own, in all ways: each exposes, each begins, for reading and for writing,
from GPU to GPU and between GPU and host. Needs torch, and one GPU or more; with --host
all memory is the host's, to try the program itself. The exit status says how it went,
and every wait has an end.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "interop"))

import peers
from peers import Peer, Refused

PROGRAM = Path(__file__).with_name("gpu_peer.py")
ROUNDS = 3
WAIT_MS = 8000
LIMIT_S = 58  # of the whole run
GPU_BYTES = 16 << 20
MIXED_BYTES = 4 << 20  # where the CPU copies
GUARD = 61  # bytes around every piece that must stay as they were

Pieces = list[tuple[int, int]]


def scatter(sizes: list[int], seed: int) -> Pieces:
    """Pieces of these sizes in shuffled places at odd offsets."""
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    pieces = [(0, 0)] * len(sizes)
    end = GUARD
    for index in order:
        pieces[index] = (end, sizes[index])
        end += sizes[index] + GUARD
    return pieces


@dataclass
class Case:
    exposer: str  # "ours" or "theirs"
    kind: str
    exposed_device: str
    local_device: str
    sizes: list[int]

    def __str__(self) -> str:
        who = "ours" if self.exposer == "theirs" else "theirs"
        where = f"{self.local_device} <- {self.exposed_device}"
        if self.kind == "WRITE":
            where = f"{self.local_device} -> {self.exposed_device}"
        return f"{who:6} {self.kind:5} {where:18} {len(self.sizes):4} x"


class Pairing:
    def __init__(self, theirs: str, is_on_host: bool):
        peers.LIMIT_S = 40
        self.sides = {
            "ours": Peer(sys.executable, "-B", str(PROGRAM), "ours"),
            "theirs": Peer(sys.executable, "-B", str(PROGRAM), theirs),
        }
        devices = min(
            side.ask("open", name=f"worker-{name}")["devices"]
            for name, side in self.sides.items()
        )
        if not is_on_host and devices == 0:
            raise SystemExit("there is no GPU that torch sees")
        self.gpus = {"ours": f"cuda:{devices - 1}", "theirs": "cuda:0"}
        if is_on_host:
            self.gpus = {"ours": "cpu", "theirs": "cpu"}
        self.is_on_host = is_on_host
        self.seed = 0

    def cases(self) -> list[Case]:
        many = [1 + index * 977 % 4096 for index in range(17)]
        made = []
        for exposer, other in ("theirs", "ours"), ("ours", "theirs"):
            for kind in "READ", "WRITE":
                gpu, local = self.gpus[exposer], self.gpus[other]
                ways = [(gpu, local)]
                if not self.is_on_host:
                    ways += [(gpu, "cpu"), ("cpu", local)]
                for exposed, acting in ways:
                    size = MIXED_BYTES if "cpu" in (exposed, acting) else GPU_BYTES
                    for sizes in [size], many:
                        made.append(Case(exposer, kind, exposed, acting, sizes))
        return made

    def fill(self, side: str, device: str, sizes: list[int]) -> str:
        """The name of a buffer for pieces of these sizes, with new bytes."""
        self.seed += 1
        size = sum(sizes) + (len(sizes) + 1) * GUARD
        name = f"{device} {size}"
        self.sides[side].ask(
            "allocate", buffer=name, device=device, size=size, seed=self.seed
        )
        return name

    def run(self, case: Case) -> list[str]:
        """What went wrong."""
        other = "ours" if case.exposer == "theirs" else "theirs"
        exposer, initiator = self.sides[case.exposer], self.sides[other]
        exposed = {
            "buffer": self.fill(case.exposer, case.exposed_device, case.sizes),
            "pieces": scatter(case.sizes, seed=1),
        }
        local = {
            "buffer": self.fill(other, case.local_device, case.sizes),
            "pieces": scatter(case.sizes, seed=2),
        }
        before = {
            "exposed": exposer.ask("digest", **exposed),
            "local": initiator.ask("digest", **local),
        }
        metadata = exposer.ask("expose", op="op", kind=case.kind, **exposed)["metadata"]
        start = time.monotonic()
        initiator.ask("begin", op="op", kind=case.kind, metadata=metadata, **local)
        ended = initiator.ask("wait", op="op", timeout_ms=WAIT_MS)
        took = time.monotonic() - start
        served = exposer.ask("wait", op="op", timeout_ms=WAIT_MS)
        initiator.ask("drop", op="op")
        exposer.ask("drop", op="op")
        after = {
            "exposed": exposer.ask("digest", **exposed),
            "local": initiator.ask("digest", **local),
        }
        path = ended.get("path") or ""
        print(f"  {case} {sum(case.sizes):9} bytes {took * 1e3:8.2f} ms  {path}")
        return self.judge(case, before, after, ended, served)

    def judge(
        self, case: Case, before: dict, after: dict, ended: dict, served: dict
    ) -> list[str]:
        wrong = []
        if not ended["done"]:
            wrong.append(f"the initiating side says {ended}")
        if not served["done"]:
            wrong.append(f"the exposing side was not told: {served}")
        source, target = "exposed", "local"
        if case.kind == "WRITE":
            source, target = target, source
        if after[target]["inside"] != before[source]["inside"]:
            wrong.append("the target has other bytes than the source")
        if after[target]["outside"] != before[target]["outside"]:
            wrong.append("bytes around the target were changed")
        if after[source] != before[source]:
            wrong.append("the source was changed")
        if "path" in ended:
            wrong += self.way(case, ended["path"] or "")
        return wrong

    def way(self, case: Case, path: str) -> list[str]:
        """What is wrong with the path that the initiating side tells."""
        is_between_gpus = "cpu" not in (case.exposed_device, case.local_device)
        if case.exposer == "theirs" and is_between_gpus and "cuda_ipc" not in path:
            return [f"it went by {path!r} and not by cuda_ipc"]
        return []

    def close(self) -> None:
        for side in self.sides.values():
            side.close()


def main(theirs: str) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", action="store_true")
    chosen = parser.parse_args()
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    pairing = Pairing(theirs, chosen.host)
    failures = 0
    for number in range(ROUNDS):
        print(f"round {number + 1}")
        for case in pairing.cases():
            try:
                wrong = pairing.run(case)
            except Refused as refused:
                wrong = [str(refused)]
            for what in wrong:
                failures += 1
                print(f"WRONG {case}: {what}")
    pairing.close()
    print("ok" if failures == 0 else f"{failures} failures")
    return 0 if failures == 0 else 1
