# SPDX-License-Identifier: Apache-2.0
"""Times reads until there is something to say of them. Main thread."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from .. import Connector, Descriptor, RemotePages
from ._failure import Failure

_LEAST_ROUNDS = 3
_SECONDS_TO_READ = 30


@dataclass(frozen=True)
class Work:
    """A read by that path only."""

    path: str
    connector: Connector
    remote: RemotePages
    local: Descriptor

    def seconds(self) -> float:
        """Does it once. Failure if it does not end."""
        start = time.perf_counter()
        read = self.connector.begin_read(self.remote, self.local, require=self.path)
        is_done = read.wait(_SECONDS_TO_READ)
        seconds = time.perf_counter() - start
        if not is_done:
            raise Failure(
                f"a read by {self.path} did not end in {_SECONDS_TO_READ} seconds"
            )
        return seconds


@dataclass(frozen=True)
class Timing:
    """The median, and how far the quartiles are apart, as a share of it."""

    seconds: float
    spread: float


def timings_of(works: list[Work], seconds: float) -> list[Timing]:
    """Of each, as many as there are in so many seconds for each; they take turns."""
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds * len(works)
    while len(rounds) <= _LEAST_ROUNDS or time.perf_counter() < end:
        rounds.append([work.seconds() for work in works])
    # The first ones open connections and touch memory.
    return [_timing_of(list(each)) for each in zip(*rounds[1:], strict=True)]


def _timing_of(times: list[float]) -> Timing:
    lower, median, upper = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(median, (upper - lower) / median)
