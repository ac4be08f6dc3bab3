# SPDX-License-Identifier: Apache-2.0
"""What the GPUs can do, by the driver alone: ceilings that rows are made of, as
gpu_contestants.py has ours."""

from __future__ import annotations

from typing import Any

from gpu_contestants import Field, place_of, sample_of
from gpu_pair import Pair
from layout import Work
from row import Contestant, Role, Sample


def raw(
    field: Field,
    work: Work,
    name: str,
    means: str,
    blocks: int = 0,
    window: int = 0,
) -> Contestant:
    """A ceiling, by the driver alone: `means` as gpu/peers.h names them."""
    program = field.setup.program("gpu_bench")
    operations = field.setup.sizes.operations(work.size)
    is_pinned = means == "pinned"
    there = None if is_pinned else [program, "raw-exposing"]

    def turn(check: bool) -> Sample:
        def action(pair: Pair) -> Any:
            if not is_pinned:
                pair.expose(work, place_of(field.there))
            return pair.ask(
                "measure",
                work,
                place_of(field.here),
                means=means,
                blocks=blocks,
                operations=operations,
                window=window,
                check=check and not is_pinned,
            )

        answer = field.pairs.use(
            f"raw {field.there}", there, [program, "raw-measuring"], action
        )
        return sample_of(answer, window)

    missing = field.setup.missing(programs=(program,), gpus=field.gpus)
    return Contestant(name, Role.CEILING, turn, missing)
