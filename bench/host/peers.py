# SPDX-License-Identifier: Apache-2.0
"""What others offer, which rows are made of, as contestants.py has ours."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from contestants import Work, run_programs
from pair import Failed
from program import LIMIT_S, Program
from row import Contestant, Role, Sample
from setup import BENCH, Setup, nixl_python, not_installed, ucx_perftest

# Of fewer operations ucx_perftest tells wrong percentiles.
FEWEST = 8


def nixl(work: Work) -> Contestant:
    """The column of transfer_bench. Nobody looks at its bytes."""
    python = nixl_python()
    pair = [python, "-B", str(BENCH / "transfer" / "nixl_pair.py")]
    alike = Work(work.kind, work.size, work.operations, measuring={"window": 1})

    def turn(_: bool) -> Sample:
        answer = run_programs([*pair, "exposing"], [*pair, "measuring"], alike)
        return Sample.of(answer["latencies_us"])

    return Contestant("NIXL", Role.PEER, turn, "" if python else "not installed: nixl")


def ucx(setup: Setup, work: Work) -> Contestant:
    """The column of transfer_bench. Nobody looks at its bytes."""
    program, perftest = setup.program("transfer_bench"), ucx_perftest()
    operations = max(work.operations, FEWEST)

    def turn(_: bool) -> Sample:
        with tempfile.NamedTemporaryFile("r", suffix=".json") as results:
            command = [program, "--columns", "ucx", "--ucx-perftest", perftest]
            command += ["--sizes", str(work.size), "--kinds", work.kind.lower()]
            command += ["--operations", str(operations), "--window", "1"]
            run([*command, "--repeat", "1", "--json", results.name])
            sample = json.load(results)["rows"][0]["columns"]["ucx"][0]
        return Sample(sample["median_us"], sample["p99_us"])

    missing = not_installed(programs=(program, perftest))
    return Contestant("UCX", Role.PEER, turn, missing)


def run(command: list[str]) -> None:
    try:
        subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        raise Failed(error.stderr) from error
    except subprocess.TimeoutExpired as error:
        raise Failed(str(error)) from error


def message(way: str, name: str, work: Work, role: Role, *modules: str) -> Contestant:
    """A way of message_peer.py, which needs these modules."""
    program = str(BENCH / "host" / "message_peer.py")
    command = [sys.executable, "-B", program, way]

    def turn(check: bool) -> Sample:
        arguments = {"size": work.size, "operations": work.operations, "check": check}
        with Program(*command) as peer:
            answer = peer.ask("measure", **arguments)
        return Sample.of(answer["latencies_us"])

    return Contestant(name, role, turn, not_installed("numpy", *modules))


def messages(work: Work) -> list[Contestant]:
    """All ways from plain memory into plain memory."""
    return [
        message(
            "torch", "torch, share_memory_() and copy_()", work, Role.PEER, "torch"
        ),
        message("zeromq", "ZeroMQ, ipc://", work, Role.PEER, "zmq"),
        message(
            "shared-memory", "multiprocessing.shared_memory, 2 copies", work, Role.PEER
        ),
    ]
