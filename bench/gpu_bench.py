#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""GPU memory between two processes of one host: ours beside what the GPUs can do at all
and what others offer, in one run and one table.

    gpu_bench.py                     everything, within four minutes
    gpu_bench.py --tiny              a little of everything; judges no goal
    gpu_bench.py --only pages        one of the parts below alone
    gpu_bench.py --driver FILE       another CUDA driver, such as a stand-in
    gpu_bench.py --json FILE         every sample of every round

Needs two GPUs that reach each other, for some parts one, and gpu_bench and, for
`plain`, host_bench of the release build. The Python that runs this has nixl_connect,
and what that is compared with: NIXL, and torch for its NCCL. What is missing is told.

Method: the contestants of a row take turns in each round, in processes of their own
that live as long as the part; a figure is the median over the rounds of their medians
and 99th percentiles. Each turn is warmed up, so memory of the other process is open.
Everybody's bytes are checked once in each row, all of them, and that nothing else was
written to. Ours has one readable or writable for many operations, but one for each in
`python`; it is measured with a caller that spins on the end, one that waits, and with
several under way; the goals of a row judge the fastest of these. All others spin.
Ceilings are what the GPUs do by the driver alone with memory that was opened by IPC:
the library's page kernel, and the copy engine. Nothing is pinned to a core. The exit
status tells whether all could be measured, and nothing about goals.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "await"))
sys.path.insert(0, str(Path(__file__).parent / "host"))
sys.path.insert(0, str(Path(__file__).parent / "gpu"))

import arena_rows
import page_rows
import plain_rows
import python_rows
import same_rows
import small_rows
import whole_rows
from command import conclude, parser, teller
from gpu_contestants import Field
from gpu_driver import Driver
from gpu_pair import Pairs
from gpu_setup import DRIVER, GpuSetup, Sizes
from machine import facts
from row import Measured, measure
from setup import choose_ucx
from table import block, head, line

# Far more than any answer takes: reaching it is a failure.
ANSWER_S = 40

PARTS = {
    "pages": page_rows,
    "whole": whole_rows,
    "small": small_rows,
    "same": same_rows,
    "arena": arena_rows,
    "plain": plain_rows,
    "python": python_rows,
}


def main() -> int:
    options = parse()
    if options.driver:
        os.environ[DRIVER] = str(options.driver)
    os.environ["NIXL_CONNECT_COPY_THREADS"] = str(options.threads)
    choose_ucx()
    if options.max_blocks:
        os.environ["NIXL_CONNECT_MAX_BLOCKS"] = str(options.max_blocks)
    sizes = Sizes.tiny() if options.tiny else Sizes()
    setup = GpuSetup.of_machine(options.programs, options.threads, sizes)
    print(facts(options.threads), gpu_facts(setup), "", sep="\n")
    print(*head(), sep="\n", flush=True)
    measured: list[Measured] = []
    seconds = []
    for name in options.only or PARTS:
        start = time.monotonic()
        measured += run(name, setup, options)
        seconds.append(f"{name} {time.monotonic() - start:.0f}")
    print("", f"seconds: {', '.join(seconds)}", sep="\n")
    is_measured = conclude(measured, options)
    is_out_of_time = time.monotonic() > options.start + options.limit
    return 0 if is_measured and not is_out_of_time else 1


def parse() -> argparse.Namespace:
    options = parser("ours beside ceilings and peers, GPU memory of one host", PARTS, 3)
    options.add_argument(
        "--max-blocks", type=int, default=0, help="multiprocessors that ours may take"
    )
    options.add_argument(
        "--limit", type=float, default=240, help="seconds, after which no row begins"
    )
    options.add_argument("--driver", type=Path, metavar="FILE")
    return options.parse_args(namespace=argparse.Namespace(start=time.monotonic()))


def run(name: str, setup: GpuSetup, options: argparse.Namespace) -> list[Measured]:
    """Measures a part and prints its rows as they come."""
    measured = []
    rounds = 1 if options.tiny else options.rounds
    say = teller("gpu_bench")
    with Pairs(ANSWER_S) as pairs:
        for row in PARTS[name].rows(Field(setup, pairs)):
            if time.monotonic() > options.start + options.limit:
                print(line([row.name, "no time left"]), flush=True)
                continue
            measured.append(measure(replace(row, judges_fastest=True), rounds, say))
            print(*block(measured[-1], not options.tiny), sep="\n", flush=True)
    return measured


def gpu_facts(setup: GpuSetup) -> str:
    if not setup.gpus:
        return f"GPUs: none, {setup.why_none}"
    version = Driver.of_environment().version()
    return f"GPUs: {', '.join(setup.gpus)}; CUDA {version}"


if __name__ == "__main__":
    sys.exit(main())
