# SPDX-License-Identifier: Apache-2.0
"""What others offer, which rows are made of, as gpu_contestants.py has ours."""

from __future__ import annotations

from typing import Any

from gpu_contestants import Field
from gpu_pair import Pair
from gpu_setup import peer_command
from layout import Work
from row import Contestant, Role, Sample


def nixl(field: Field, work: Work, operations: int, once: bool = False) -> Contestant:
    """`once`: what takes seconds is measured in the first round only."""
    # Without it UCX reads other GPUs over the network where it cannot follow the links.
    setting = ["env", "UCX_CUDA_IPC_ENABLE_GET_ZCOPY=on"]
    there = setting + peer_command("nixl_peer.py", "exposing")
    here = setting + peer_command("nixl_peer.py", "measuring")
    measured: list[Sample] = []

    def turn(check: bool) -> Sample:
        def action(pair: Pair) -> Any:
            pair.expose(work, {"place": field.there}, room=field.room)
            return pair.ask(
                "measure",
                work,
                {"place": field.here},
                room=field.room,
                operations=operations,
                check=check,
            )

        if not (once and measured):
            answer = field.pairs.use(f"NIXL {field.there}", there, here, action)
            measured.append(Sample.of(answer["latencies_us"]))
        return measured[-1]

    missing = field.setup.missing("nixl", "numpy", gpus=field.gpus, genuine=True)
    return Contestant("NIXL", Role.PEER, turn, missing)


def nccl(field: Field, work: Work) -> Contestant:
    command = peer_command("nccl_peer.py")
    name = "NCCL" if len(work.here) == 1 else "NCCL, gather, send, scatter"
    operations = field.setup.sizes.operations(work.size)

    def turn(check: bool) -> Sample:
        answer = field.pairs.use(
            "NCCL",
            None,
            command,
            lambda pair: pair.ask(
                "measure", work, {}, operations=operations, check=check
            ),
        )
        return Sample.of(answer["latencies_us"])

    missing = field.setup.missing("torch", "numpy", gpus=2, genuine=True)
    return Contestant(name, Role.PEER, turn, missing)
