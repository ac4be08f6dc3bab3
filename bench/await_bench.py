#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What awaiting costs, ours beside genuine dynamo.nixl_connect in one run: two
processes, one event loop each, host memory. Prints a table and which goals were met.

    await_bench.py                       both, about seven minutes
    await_bench.py --tiny                a few of everything, for CI
    await_bench.py --only upstream       one of them alone
    await_bench.py --churn 20000         also what grows over so many reads
    await_bench.py --json FILE           every sample of every round

Needs an environment of tools/requirements-dynamo.txt with nixl_connect installed in it,
whose Python runs this. The parts lie in await/; process.py there says how they meet.

Method: three rounds, each of new processes, upstream and ours by turns. A cell holds
p50 and p99 of the round whose p50 was best, and the p50 of the worst round. Both
processes read CLOCK_MONOTONIC. Whatever was read is compared with what was exposed.
Nothing is pinned.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "await"))

from figures import BARE, Results
from goals import goals
from pair import Failed, run_pair
from plan import Measurement, plan
from report import table
from usage import Usage


def main() -> int:
    options = parse()
    chosen = [options.only] if options.only else ["upstream", "ours"]
    measurements = plan(options.tiny, options.churn)
    if options.measure:
        measurements = [each for each in measurements if each.name in options.measure]
    print(environment(chosen), flush=True)
    used = Usage()
    results = run_all(measurements, chosen)
    print(table(results))
    print(used)
    if options.json:
        Path(options.json).write_text(json.dumps(results.rounds))
    if options.tiny:
        print("tiny: far smaller sizes and counts than the rows say, no goal judged")
    if options.tiny or "ours" not in chosen:
        return 0
    bare = results.figure("wakeup", BARE, "trips")
    judged = goals(results, bare.p50 if bare else 0)
    if options.measure:
        judged = [goal for goal in judged if goal.measured is not None]
    print("", *judged, sep="\n")
    return 0 if all(goal.is_met for goal in judged) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="ours beside genuine dynamo.nixl_connect, on asyncio"
    )
    parser.add_argument("--tiny", action="store_true", help="for CI; judges no goal")
    parser.add_argument("--only", choices=["upstream", "ours"])
    parser.add_argument(
        "--measure", action="append", metavar="NAME", help="only this one of plan.py"
    )
    parser.add_argument("--churn", type=int, default=0, metavar="READS")
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def run_all(measurements: list[Measurement], chosen: list[str]) -> Results:
    results = Results()
    for measurement in measurements:
        for number in range(measurement.rounds):
            for implementation in measurement.only:
                if implementation in (*chosen, BARE):
                    say(f"{measurement.name}, round {number + 1}, {implementation}")
                    series = run_pair(implementation, measurement)
                    results.add(measurement.name, implementation, series)
    return results


def environment(chosen: list[str]) -> str:
    names = {"upstream": ["ai-dynamo-runtime", "nixl"], "ours": ["nixl-connect"]}
    versions = [f"{each} {version(each)}" for key in chosen for each in names[key]]
    versions.append(f"Python {platform.python_version()}, torch {version('torch')}")
    load = os.getloadavg()[0]
    return (
        f"{', '.join(versions)}; {platform.release()}, {os.cpu_count()} cores, "
        f"load {load:.2f}"
    )


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"await_bench: {text}", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"await_bench: {failure}")
