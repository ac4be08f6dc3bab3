# SPDX-License-Identifier: Apache-2.0
"""How the processes of this folder answer: in lines of JSON, as tools/peer_process.h
has it, and the loop that all of them measure by."""

from __future__ import annotations

import collections
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

Transfer = TypeVar("Transfer")


def serve(make: Callable[[], Any]) -> None:
    """The methods of what `make` gives, at the first command, are the commands. Returns
    when the parent is gone."""
    peer = None
    # What anybody prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        command = json.loads(line)
        try:
            peer = peer or make()
            answer = getattr(peer, command.pop("do"))(**command) or {}
        except Exception as error:  # The parent is told, whatever it was.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def measure_series(
    operations: int,
    window: int,
    begin: Callable[[], Transfer],
    end: Callable[[Transfer], None],
) -> dict[str, Any]:
    """`latencies_us` of them one at a time or, if `window` is not 0, with so many under
    way, which took `seconds` together."""
    under_way: collections.deque[tuple[Transfer, int]] = collections.deque()
    latencies_us = []
    begun, window = 0, max(1, window)
    first = time.perf_counter_ns()
    while begun < operations or under_way:
        if begun < operations and len(under_way) < window:
            start = time.perf_counter_ns()
            under_way.append((begin(), start))
            begun += 1
        else:
            transfer, start = under_way.popleft()
            end(transfer)
            latencies_us.append((time.perf_counter_ns() - start) / 1e3)
    seconds = (time.perf_counter_ns() - first) / 1e9
    return {"seconds": seconds, "latencies_us": latencies_us}
