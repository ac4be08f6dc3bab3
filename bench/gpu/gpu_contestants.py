# SPDX-License-Identifier: Apache-2.0
"""Who is measured, which the rows are made of. Each turn is some operations of
processes that stay for the turns to come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpu_pair import Pair, Pairs
from gpu_setup import HERE, THERE, GpuSetup, peer_command
from layout import Work
from pair import Failed
from row import Contestant, Role, Sample

UNSUPPORTED = "Unsupported"


@dataclass(frozen=True)
class Field:
    """Where a row is measured: as pools.py names memory."""

    setup: GpuSetup
    pairs: Pairs
    there: str = f"gpu:{THERE}"
    here: str = f"gpu:{HERE}"
    path: str = "cuda.peer"  # that ours must take
    room: int = 0  # the largest pool of the part

    @property
    def gpus(self) -> int:
        """How many this needs."""
        used = {each for each in (self.there, self.here) if each.startswith("gpu:")}
        return 1 + max(int(each[4:]) for each in used)


def sample_of(answer: dict[str, Any], window: int) -> Sample:
    """With several under way: what each of them adds to the time, and how long one
    takes."""
    each = Sample.of(answer["latencies_us"])
    if not window:
        return each
    count = len(answer["latencies_us"])
    return Sample(answer["seconds"] / count * 1e6, each.p99_us)


def check_path(answer: dict[str, Any], path: str) -> None:
    if answer["path"] != path:
        raise Failed(f"the bytes went by {answer['path']}, not by {path}")


def ours(
    field: Field,
    work: Work,
    name: str,
    end: str = "spin",
    window: int = 0,
    refusal: str = "",
) -> Contestant:
    """Ours, by the Python API; `end` as ours_peer.py says."""
    operations = field.setup.sizes.operations(work.size)

    def turn(check: bool) -> Sample:
        def action(pair: Pair) -> Any:
            pair.expose(work, {"place": field.there})
            return pair.ask(
                "measure",
                work,
                {"place": field.here},
                operations=operations,
                end=end,
                window=window,
                check=check,
            )

        answer = use_ours(field, action)
        check_path(answer, field.path)
        return sample_of(answer, window)

    missing = field.setup.missing("nixl_connect", "numpy", gpus=field.gpus)
    return Contestant(name, Role.OURS, turn, missing or refusal)


def use_ours(field: Field, action: Any) -> Any:
    there = peer_command("ours_peer.py", "exposing")
    here = peer_command("ours_peer.py", "measuring")
    return field.pairs.use(f"ours {field.there}", there, here, action)


def refusal_of(field: Field, work: Work) -> str:
    """Why ours does not move it by that path, if it does not. For what not every
    version moves."""
    if field.setup.missing("nixl_connect", "numpy", gpus=field.gpus):
        return ""  # which is told anyway

    def action(pair: Pair) -> Any:
        pair.expose(work, {"place": field.there})
        return pair.ask("explain", work, {"place": field.here})

    try:
        plan = use_ours(field, action)
    except Failed as failure:
        if UNSUPPORTED in str(failure):
            return f"refused: {failure}"
        return ""  # Then it fails again, in its turn.
    if plan["path"] == field.path:
        return ""
    obstacles = "; ".join(plan["obstacles"])
    return f"refused: goes by {plan['path'] or 'no path'}; {obstacles}"


def ours_in_cpp(
    field: Field,
    work: Work,
    name: str,
    spins: bool = True,
    window: int = 0,
    role: Role = Role.OURS,
) -> Contestant:
    """Ours, by the C++ API; several at a time with a `window`."""
    program = field.setup.program("gpu_bench")
    operations = field.setup.sizes.operations(work.size)

    def turn(check: bool) -> Sample:
        def action(pair: Pair) -> Any:
            pair.expose(work, place_of(field.there))
            return pair.ask(
                "measure",
                work,
                place_of(field.here),
                operations=operations,
                spins=spins,
                window=window,
                check=check,
            )

        answer = field.pairs.use(
            f"C++ {field.there} {field.here}",
            [program, "exposing"],
            [program, "measuring"],
            action,
        )
        check_path(answer, field.path)
        return sample_of(answer, window)

    missing = field.setup.missing(programs=(program,), gpus=field.gpus)
    return Contestant(name, role, turn, missing)


def place_of(place: str) -> dict[str, Any]:
    """As a program in C++ is told it."""
    kind, _, ordinal = place.partition(":")
    if kind == "gpu":
        return {"gpu": int(ordinal)}
    if place == "arena":
        return {}
    raise ValueError(f"a program in C++ has no memory of the kind {place!r}")
