# SPDX-License-Identifier: Apache-2.0
"""Ours and the ceilings, which rows are made of. Each turn starts processes of its own,
which have ended before anybody else's turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pair import Failed
from program import Program
from row import Contestant, Role, Sample
from setup import Setup, not_installed

# The operation of an exposing side stays open for more transfers than are made.
READERS = 1 << 30
PIECE = 512 << 10  # As the library has it.


@dataclass(frozen=True)
class Work:
    """Of one turn: so many transfers, one at a time. The rest is what one of the two
    sides takes besides, as transfer/measuring_peer.h and raw_peers.h say."""

    kind: str  # READ or WRITE
    size: int
    operations: int
    exposing: dict[str, Any] = field(default_factory=dict)
    measuring: dict[str, Any] = field(default_factory=lambda: {"window": 0})


def ours(
    setup: Setup,
    path: str,
    work: Work,
    name: str = "",
    role: Role = Role.OURS,
    settings: tuple[str, ...] = (),
) -> Contestant:
    """`settings` are variables of the measuring process, NAME=value."""
    program = setup.program("transfer_bench")
    exposing = [program, "exposing", *(["mapped"] if path == "host.map" else [])]
    measuring = ["env", *settings, program, "measuring", path]

    def turn(check: bool) -> Sample:
        answer = run_programs(exposing, measuring, work, check=check)
        if answer["path"] != path:
            raise Failed(f"the bytes went by {answer['path']}, not by {path}")
        return Sample.of(answer["latencies_us"])

    missing = not_installed(programs=(program,))
    return Contestant(name or path, role, turn, missing)


def raw(setup: Setup, means: str, work: Work, piece: int, name: str) -> Contestant:
    """A ceiling; `means` as raw_copy.h names them."""
    program = setup.program("host_bench")
    measuring = [program, "raw-measuring", means, str(setup.threads), str(piece)]

    def turn(check: bool) -> Sample:
        answer = run_programs([program, "raw-exposing"], measuring, work, check=check)
        return Sample.of(answer["latencies_us"])

    return Contestant(name, Role.CEILING, turn, not_installed(programs=(program,)))


def raw_in_pieces_and_shares(
    setup: Setup, means: str, work: Work, name: str
) -> list[Contestant]:
    return [
        raw(setup, means, work, PIECE, f"{name}, 512 KiB pieces"),
        raw(setup, means, work, 0, f"{name}, a share for each thread"),
    ]


def alone(setup: Setup, what: tuple[str, ...], role: Role, name: str) -> Contestant:
    """A role of host_bench, with its arguments, that needs no other program."""
    program = setup.program("host_bench")

    def turn(_: bool) -> Sample:
        with Program(program, *what) as measuring:
            answer = measuring.ask("measure", operations=setup.told)
        return Sample.of(answer["latencies_us"])

    return Contestant(name, role, turn, not_installed(programs=(program,)))


def run_programs(
    exposing: list[str],
    measuring: list[str],
    work: Work,
    **both: Any,
) -> dict[str, Any]:
    """What the measuring one answered. `both` is what both sides take besides."""
    common = {"kind": work.kind, "size": work.size, **both}
    with Program(*exposing) as there, Program(*measuring) as here:
        there.ask("open")
        here.ask("open")
        exposed = there.ask("expose", **common, readers=READERS, **work.exposing)
        answer = here.ask(
            "measure",
            **common,
            operations=work.operations,
            metadata=exposed["metadata"],
            **work.measuring,
        )
        if both.get("check") and work.kind == "WRITE":
            there.ask("check")
        there.ask("release")
    return answer
