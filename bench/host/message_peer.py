# SPDX-License-Identifier: Apache-2.0
"""The reader of bytes that another process sends by what Python programs use, compared
with host.cma and host.map: message_peer.py WAY. The writer is a process that it starts.
It answers in lines of JSON (tools/peer_process.h):

    measure  size, operations, check    latencies_us

Whose bytes they were is in plain memory before, and in plain, touched memory of the
reader afterwards; the clock runs from the reader's asking until they are there. The
direction means nothing to them: a figure stands for a read and for a write.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

import numpy as np
from memory import Bytes, make_memory

# Each way is a module and its class of writers. These have prepare(), which is not
# measured, and send(); the module's Reader has receive(), and fills its target.
WAYS = {
    "shared-memory": ("by_shared_memory", "Writer"),
    "torch": ("by_torch", "PlainWriter"),
    "torch-shared": ("by_torch", "SharedWriter"),
    "zeromq": ("by_zeromq", "Writer"),
}


def write(connection: Connection, way: str, size: int) -> None:
    """The other process: sends as often as it is asked to."""
    module, name = WAYS[way]
    source = make_memory(size)
    source.view(np.uint64)[:] = offsets(size)
    writer = getattr(importlib.import_module(module), name)(connection, source)
    while True:
        writer.prepare()
        connection.send("ready")
        if not connection.recv():
            break
        writer.send()
    writer.close()


def measure(way: str, size: int, operations: int, check: bool) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    connection, other_end = context.Pipe()
    process = context.Process(target=write, args=(other_end, way, size), daemon=True)
    process.start()
    other_end.close()  # Or the end of the process would not show.
    target = make_memory(size)
    reader = importlib.import_module(WAYS[way][0]).Reader(connection, target)
    latencies_us = []
    for number in range(operations + 1):
        connection.recv()
        start = time.perf_counter_ns()
        connection.send(True)
        reader.receive()
        latencies_us.append((time.perf_counter_ns() - start) / 1e3)
        if number == 0 and check:
            check_offsets(target)
    connection.recv()
    connection.send(False)
    process.join()
    return {"latencies_us": latencies_us[1:]}  # The first one warms up.


def offsets(size: int) -> Any:
    """What memory holds: each word of 8 bytes its own number."""
    return np.arange(size // 8, dtype=np.uint64)


def check_offsets(target: Bytes) -> None:
    if not np.array_equal(target.view(np.uint64), offsets(len(target))):
        raise ValueError("wrong bytes arrived")


def main() -> None:
    # What anybody prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        command = json.loads(line)
        del command["do"]
        try:
            answer = measure(sys.argv[1], **command)
        except Exception as error:  # The parent is told, whatever it was.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
