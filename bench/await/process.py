# SPDX-License-Identifier: Apache-2.0
"""One of the two processes of a measurement. await_bench.py starts both sides and lets
the initiating one say what it measured:

    process.py SIDE IMPLEMENTATION MEASUREMENT ARGUMENTS CHANNEL SIGNAL SIGNAL

SIDE is initiating or exposing, MEASUREMENT a module of this folder, ARGUMENTS the JSON
of what its initiate() takes, CHANNEL the inherited socket and SIGNAL an inherited
eventfd. The answer is one line of JSON on standard output.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys

import warm
from channel import Channel
from session import Session

MEASUREMENTS = {"wakeup", "latency", "flight", "scattered", "idle", "blocking", "churn"}
# Of these the first read is not meant to pay for the connection.
WARMED = {"flight", "scattered", "idle", "blocking"}
WARMED_IF = "age_s"  # An argument.


async def run(side: str, implementation: str, name: str, arguments: str) -> None:
    if name not in MEASUREMENTS:
        raise ValueError(f"no measurement {name!r}")
    # NIXL logs to standard output, which is for the answer: it gets standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    measurement = importlib.import_module(name)
    descriptor, *signals = (int(each) for each in sys.argv[5:])
    channel = await Channel.over(descriptor)
    session = Session.of(implementation, channel, (signals[0], signals[1]))
    given = json.loads(arguments)
    is_warmed = name in WARMED or WARMED_IF in given
    if side == "exposing":
        connected = [await warm.expose(session)] if is_warmed else []
        await measurement.expose(session)
        await channel.receive()
    else:
        connected = [await warm.initiate(session)] if is_warmed else []
        series = await measurement.initiate(session, **given)
        print(json.dumps(series), file=answers, flush=True)
        await channel.send(end=True)
    for operation in connected:
        operation.__exit__(None, None, None)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    asyncio.run(run(*sys.argv[1:5]))
