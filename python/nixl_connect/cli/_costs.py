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
    """What is measured: single ranges of `small` and of `large` bytes (`large_of_gpus`
    between GPUs, or pinned memory and a GPU), `pages` scattered ranges of `small`
    bytes; for the streaming, single ranges between the two sizes; for the copy engines,
    scattered ranges between the two. Each for about so many `seconds`."""

    small: int = 4096
    pages: int = 4096
    large: int = 64 << 20
    large_of_gpus: int = 256 << 20
    smallest_streamed: int = 1 << 20
    largest_streamed: int = 256 << 20
    smallest_of_engines: int = 256 << 10
    largest_of_engines: int = 4 << 20
    seconds: float = 0.25

    def streamed(self) -> list[int]:
        """All sizes of that kind."""
        return _doubled(self.smallest_streamed, self.largest_streamed)

    def of_engines(self) -> list[int]:
        """All sizes of that kind."""
        return _doubled(self.smallest_of_engines, self.largest_of_engines)


def _doubled(smallest: int, largest: int) -> list[int]:
    sizes = [smallest]
    while sizes[-1] < largest:
        sizes.append(2 * sizes[-1])
    return sizes


@dataclass(frozen=True)
class PathTimes:
    """Seconds that a path took for each of the transfers, the large ones of so many
    bytes."""

    small: float
    pages: float
    large_one_thread: float
    large: float
    large_bytes: int

    def costs(self, sizes: Sizes) -> dict[str, float]:
        """The figures with which the planner would predict the same."""
        gbps = self._gbps(self.large_one_thread, sizes)
        range_ns = max(1, self.range_ns(self.pages, sizes))
        start_ns = self.small * 1e9 - range_ns - sizes.small / gbps
        return {
            "start_ns": round(max(1, start_ns)),
            "range_ns": round(range_ns),
            "gbps_one_thread": gbps,
            "gbps_most": max(gbps, self._gbps(self.large, sizes)),
        }

    def range_ns(self, pages: float, sizes: Sizes) -> float:
        """Of each of the pages that took so many seconds."""
        each_ns = (pages - self.small) * 1e9 / (sizes.pages - 1)
        return each_ns - sizes.small / self._gbps(self.large_one_thread, sizes)

    def _gbps(self, large: float, sizes: Sizes) -> float:
        """Without the start, which the small transfer has too."""
        if large <= self.small:
            return self.large_bytes / large / 1e9
        return (self.large_bytes - sizes.small) / (large - self.small) / 1e9


def streaming_bytes(cached: dict[int, float], streamed: dict[int, float]) -> int:
    """The size from which on copies around the caches are faster by 5 % or more, of the
    seconds that both kinds took by size. NEVER if they are not at the largest."""
    return _first_size(cached, streamed, 1 / 1.05)


def engine_bytes(kernel: dict[int, float], engines: dict[int, float]) -> int:
    """The size of ranges from which on copy engines come to four fifths of what the
    kernel does, and take nothing from other kernels. NEVER if they do not at the
    largest."""
    return _first_size(kernel, engines, 1.25)


def _first_size(
    usual: dict[int, float], other: dict[int, float], most_times: float
) -> int:
    found = NEVER
    for size in sorted(usual, reverse=True):
        if other[size] > most_times * usual[size]:
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
