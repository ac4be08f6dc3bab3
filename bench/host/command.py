# SPDX-License-Identifier: Apache-2.0
"""What host_bench.py and gpu_bench.py have in common as programs: options, and how a
run ends."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from row import Measured
from setup import BENCH, copy_threads
from table import summary

BUILT = BENCH.parent / "build" / "release" / "bench"


def parser(
    description: str, parts: Iterable[str], rounds: int
) -> argparse.ArgumentParser:
    """With the options that both have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--tiny", action="store_true", help="for CI; judges no goal")
    made.add_argument("--only", action="append", choices=list(parts))
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--threads", type=int, default=copy_threads())
    made.add_argument("--programs", type=Path, metavar="FOLDER", default=BUILT)
    made.add_argument("--json", metavar="FILE", help="gets every sample")
    return made


def conclude(measured: list[Measured], options: argparse.Namespace) -> bool:
    """Tells of the goals, and writes the samples. Whether all could be measured."""
    print("tiny: no goal judged" if options.tiny else summary(measured))
    if options.json:
        Path(options.json).write_text(json.dumps(samples(measured)))
    return not any(each.failure for row in measured for each in row.outcomes)


def samples(measured: list[Measured]) -> dict[str, dict[str, object]]:
    """By row and contestant, for JSON."""
    return {
        row.row.name: {
            each.contestant.name: [asdict(sample) for sample in each.samples]
            for each in row.outcomes
        }
        for row in measured
    }


def teller(program: str) -> Callable[[str], None]:
    """Says what happens, to whoever looks on."""

    def say(text: str) -> None:
        if sys.stderr.isatty():
            print(f"{program}: {text}", file=sys.stderr)

    return say
