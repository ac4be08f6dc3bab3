#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Host memory between two processes of one host: ours beside what the machine can do at
all and what others offer, in one run and one table.

    host_bench.py                     everything, about fifteen minutes
    host_bench.py --tiny              a little of everything, for CI; judges no goal
    host_bench.py --only large        one of the modules below alone
    host_bench.py --json FILE         every sample of every round

Needs host_bench and transfer_bench of the release build. What it compares with is taken
from the Python that runs this: an environment of tools/requirements-dynamo.txt, with
nixl_connect installed, has all. What is missing is a line "not installed".

Method: the contestants of a row take turns in each round, in processes of their own,
over memory that was touched before, on huge pages where the system grants them; a
figure is the median over the rounds of their medians and 99th percentiles. Each
contestant's bytes are checked once, except those of NIXL and ucx_perftest. Ours and the
ceilings copy with the same number of threads. Nothing is pinned. The exit status tells
whether all could be measured, and nothing about goals.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "await"))
sys.path.insert(0, str(Path(__file__).parent / "host"))

import awaited
import fresh
import large
import ranges
import small
import view
from command import conclude, parser, teller
from machine import facts
from row import measure
from setup import Setup, apply_common_settings
from table import block, head
from usage import Usage

MODULES = {
    "large": large,
    "small": small,
    "awaited": awaited,
    "ranges": ranges,
    "fresh": fresh,
    "view": view,
}


def main() -> int:
    options = parse()
    apply_common_settings(options.threads)
    setup = make_setup(options)
    rounds = 1 if options.tiny else options.rounds
    print(facts(options.threads), "", sep="\n")
    print(*head(), sep="\n", flush=True)
    used = Usage()
    measured = []
    say = teller("host_bench")
    for name in options.only or MODULES:
        for row in MODULES[name].rows(setup):
            measured.append(measure(row, rounds, say))
            print(*block(measured[-1], not options.tiny), sep="\n", flush=True)
    print("", used, sep="\n")
    return 0 if conclude(measured, options) else 1


def parse() -> argparse.Namespace:
    options = parser(
        "ours beside ceilings and peers, host memory of one host", MODULES, 5
    )
    options.add_argument("--size", type=int, metavar="MIB", help="of a large transfer")
    return options.parse_args()


def make_setup(options: argparse.Namespace) -> Setup:
    make = Setup.tiny if options.tiny else Setup
    setup = make(options.programs, options.threads)
    return replace(setup, size=options.size << 20) if options.size else setup


if __name__ == "__main__":
    sys.exit(main())
