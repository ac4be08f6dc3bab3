# SPDX-License-Identifier: Apache-2.0
"""What the paths cost on a machine: from measured times to the figures of the planner,
and the file in which Connectors find them. What stands in the file is described in
src/runtime/costs_file.h. Plain functions."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from .._native import version
from ._failure import Failure

NEVER = 1 << 48
"""So many bytes are in no transfer."""

_MOST_THREADS = 8  # that the library takes by itself


@dataclass(frozen=True)
class Sizes:
    """What is measured: single ranges of `small` and of `large` bytes, `pages`
    scattered ranges of `small` bytes, and, for the streaming, single ranges between the
    two last sizes; each for about so many `seconds`."""

    small: int = 4096
    pages: int = 4096
    large: int = 64 << 20
    smallest_streamed: int = 1 << 20
    largest_streamed: int = 256 << 20
    seconds: float = 0.25

    def streamed(self) -> list[int]:
        """All sizes of the last kind."""
        sizes = [self.smallest_streamed]
        while sizes[-1] < self.largest_streamed:
            sizes.append(2 * sizes[-1])
        return sizes


@dataclass(frozen=True)
class PathTimes:
    """Seconds that a path took for each of the transfers."""

    small: float
    pages: float
    large_one_thread: float
    large: float

    def costs(self, sizes: Sizes) -> dict[str, float]:
        """The figures with which the planner would predict the same."""
        gbps = sizes.large / self.large_one_thread / 1e9
        small_ns, pages_ns = self.small * 1e9, self.pages * 1e9
        each_page_ns = (pages_ns - small_ns) / (sizes.pages - 1)
        range_ns = max(1, each_page_ns - sizes.small / gbps)
        return {
            "start_ns": round(max(1, small_ns - range_ns - sizes.small / gbps)),
            "range_ns": round(range_ns),
            "gbps_one_thread": gbps,
            "gbps_most": max(gbps, sizes.large / self.large / 1e9),
        }


def streaming_bytes(cached: dict[int, float], streamed: dict[int, float]) -> int:
    """The size from which on copies around the caches are faster by 5 % or more, of the
    seconds that both kinds took by size. NEVER if they are not at the largest."""
    found = NEVER
    for size in sorted(cached, reverse=True):
        if streamed[size] * 1.05 > cached[size]:
            break
        found = size
    return found


def threads_for_most() -> int:
    """How many copying threads are measured as the most."""
    named = os.environ.get("NIXL_CONNECT_COPY_THREADS", "")
    cores = len(os.sched_getaffinity(0))
    return int(named) if named.isdecimal() else min(cores, _MOST_THREADS)


def content_of(costs: dict[str, Any]) -> dict[str, Any]:
    """What is to be written: the planner's figures, and what people want to know."""
    return {
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "host": platform.node(),
        "cores": len(os.sched_getaffinity(0)),
        "version": version,
        **costs,
    }


def usual_file() -> Path:
    """Where Connectors look for it. Failure if that is nowhere."""
    if named := os.environ.get("NIXL_CONNECT_COSTS"):
        return Path(named)
    folder = os.environ.get("XDG_CONFIG_HOME")
    if not folder:
        home = os.environ.get("HOME")
        if not home:
            raise Failure("there is no home folder for the file: say --output FILE")
        folder = os.path.join(home, ".config")
    return Path(folder, "nixl_connect", "costs.json")


@contextmanager
def replacing(file: Path) -> Generator[TextIO, None, None]:
    """A stream whose content is the file's from the end of the `with` block on, unless
    that is left by an exception: then nothing has changed. Failure if it cannot be
    written, before the block runs where that shows."""
    place = Path(os.path.realpath(file))
    if place.is_dir():
        raise Failure(f"cannot write {file}: it is a directory")
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    with _refusals_told(file):
        place.parent.mkdir(parents=True, exist_ok=True)
        stream = fresh.open("w")
    try:
        with stream:
            yield stream
            with _refusals_told(file):
                stream.flush()
                os.fsync(stream.fileno())
        with _refusals_told(file):
            fresh.replace(place)
    finally:
        with suppress(OSError):
            fresh.unlink()


@contextmanager
def _refusals_told(file: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise Failure(f"cannot write {file}: {error.strerror}{where}") from None


def write(content: dict[str, Any], stream: TextIO) -> None:
    """For people too."""
    json.dump(content, stream, indent=2)
    stream.write("\n")
