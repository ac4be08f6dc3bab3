# SPDX-License-Identifier: Apache-2.0
"""Runs one measurement: starts the two processes of it, joined by a socket and two
eventfds, and returns what the initiating one measured. Called by await_bench.py."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from plan import Measurement

PROGRAM = Path(__file__).with_name("process.py")

# Far more than a measurement takes: reaching it is a failure. Some count operations, of
# which upstream does 100 a second at its worst.
LIMIT_S = 300
OPERATIONS_PER_S = 20

Series = dict[str, list[float]]


class Failed(Exception):
    """A process of a measurement ended badly or not at all; says what it wrote."""


def run_pair(implementation: str, measurement: Measurement) -> Series:
    limit_s = LIMIT_S + measurement.arguments.get("count", 0) / OPERATIONS_PER_S
    sockets = socket.socketpair()
    signals = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2)]
    with tempfile.TemporaryFile() as errors:
        processes = [
            start(side, implementation, measurement, end.fileno(), signals, errors)
            for side, end in zip(("exposing", "initiating"), sockets, strict=True)
        ]
        for each in sockets:
            each.close()
        for signal in signals:
            os.close(signal)
        outcome = ""
        try:
            answer, _ = processes[1].communicate(timeout=limit_s)
            codes = [process.wait(timeout=30) for process in processes]
            outcome = "" if codes == [0, 0] else f"ended with {codes}"
        except subprocess.TimeoutExpired as timeout:
            outcome = f"did not end within {timeout.timeout:.0f} s"
        finally:
            for process in processes:
                process.kill()
                process.wait()
        if outcome:
            errors.seek(0)
            text = errors.read().decode(errors="replace")[-4000:]
            raise Failed(f"{measurement.name}, {implementation}: {outcome}\n{text}")
    series: Series = json.loads(answer)
    return series


def start(
    side: str,
    implementation: str,
    measurement: Measurement,
    channel: int,
    signals: list[int],
    errors: IO[bytes],
) -> subprocess.Popen[bytes]:
    inherited = [channel, *signals]
    command = [sys.executable, "-B", str(PROGRAM), side, implementation]
    command += [measurement.module, json.dumps(measurement.arguments)]
    command += [str(each) for each in inherited]
    output = subprocess.PIPE if side == "initiating" else subprocess.DEVNULL
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        pass_fds=inherited,
    )
