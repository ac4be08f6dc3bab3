# SPDX-License-Identifier: Apache-2.0
"""Measures what the paths cost between two processes of this machine, and within this
one, through the public API. Main thread."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .. import Connector, Descriptor, RdmaMetadata, RemotePages
from ._costs import NEVER, PathTimes, Sizes, streaming_bytes, threads_for_most
from ._failure import Failure
from ._neighbour import Memory, Neighbour
from ._report import readable_size

# Those for host memory; the others keep their usual figures.
PATHS: tuple[str, ...] = ("local", "host.map", "host.cma", "ucx")

# Whatever the environment says.
_ANY_PATH: dict[str, Any] = {"paths": [], "require": "", "forbid": [], "min_gbps": 0}
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 2000
_SECONDS_TO_READ = 30


@dataclass(frozen=True)
class Row:
    """A transfer, in words, and its seconds, as they were predicted until now and as
    they are."""

    path: str
    transfer: str
    bytes: int
    predicted: float
    measured: float


@dataclass
class Measured:
    """`costs` has the planner's figures, and `obstacles` why a path has none."""

    costs: dict[str, Any] = field(default_factory=lambda: {"paths": {}})
    obstacles: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def steps_of(sizes: Sizes) -> int:
    """How often measure() tells that it goes on."""
    return len(sizes.streamed()) + len(PATHS)


def measure(former: Path, sizes: Sizes, go_on: Callable[[str], None]) -> Measured:
    """Measures, in 20 seconds at most where memory is not very slow. What is predicted
    until now stands in the file `former`, if it can be used. Failure, or an Error, if
    the two processes do not come together."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nixl_connect_")))
        memories = [
            Memory(sizes.large),
            Memory(max(sizes.large, sizes.largest_streamed), is_mapped=True),
        ]
        neighbour = Neighbour({**_ANY_PATH, "costs_file": ""}, memories)
        ordinary, mapped = stack.enter_context(neighbour).metadata()
        source = Descriptor(memories[0].allocate())
        here = stack.enter_context(Connector(**_ANY_PATH, costs_file=""))
        own = stack.enter_context(here.create_readable(source)).metadata()
        exposed = dict(zip(PATHS, (own, mapped, ordinary, ordinary), strict=True))
        target = Descriptor(Memory(memories[1].bytes).allocate())
        return _Measuring(folder, sizes, exposed, target, go_on).run(former)


class _Measuring:
    """One run. `exposed` is what each path reads into `target`."""

    def __init__(
        self,
        folder: Path,
        sizes: Sizes,
        exposed: dict[str, RdmaMetadata],
        target: Descriptor,
        go_on: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._sizes = sizes
        self._exposed = exposed
        self._target = target
        self._go_on = go_on
        self._measured = Measured()

    def run(self, former: Path) -> Measured:
        """All of it."""
        streaming = self._streaming()
        self._measured.costs.update(streaming)
        file = self._file_of({**_costs_in(former), **streaming})
        for path in PATHS:
            self._go_on(path)
            self._measure_path(path, file)
        return self._measured

    def _file_of(self, costs: dict[str, Any]) -> Path:
        file = self._folder / "costs.json"
        file.write_text(json.dumps(costs))
        return file

    def _streaming(self) -> dict[str, int]:
        """The planner's figure; none if the path cannot be used. Both ways are measured
        with the threads that large transfers have."""
        cached: dict[int, float] = {}
        streamed: dict[int, float] = {}
        with self._copying(NEVER) as caching, self._copying(1) as streaming:
            for size in self._sizes.streamed():
                self._go_on("host.map")
                work = self._work_of("host.map", size)
                if self._obstacle(caching, "host.map"):
                    return {}
                cached[size], streamed[size] = self._medians(
                    "host.map", [(caching, *work), (streaming, *work)]
                )
        return {"streaming_bytes": streaming_bytes(cached, streamed)}

    def _copying(self, streaming: int) -> Connector:
        file = self._file_of({"streaming_bytes": streaming})
        made = Connector(**_ANY_PATH, costs_file=file, copy_threads=threads_for_most())
        made.transport()  # which opens it, and reads the file
        return made

    def _measure_path(self, path: str, costs: Path) -> None:
        sizes, most = self._sizes, threads_for_most()
        small = self._work_of(path, sizes.small)
        pages = self._pages_of(path)
        large = self._work_of(path, sizes.large)
        page, size = readable_size(sizes.small), readable_size(sizes.large)
        options: dict[str, Any] = {**_ANY_PATH, "costs_file": costs}
        with (
            Connector(**options, copy_threads=1) as one,
            Connector(**options, copy_threads=most) as many,
        ):
            if obstacle := self._obstacle(one, path):
                self._measured.obstacles[path] = obstacle
                return
            times = PathTimes(
                self._row(path, page, one, small),
                self._row(path, f"{sizes.pages} x {page}, 1 thread", one, pages),
                self._row(path, f"{size}, 1 thread", one, large),
                self._row(path, f"{size}, {most} threads", many, large),
            )
        self._measured.costs["paths"][path] = times.costs(sizes)

    def _row(
        self,
        path: str,
        transfer: str,
        connector: Connector,
        work: tuple[RemotePages, Descriptor],
    ) -> float:
        plan = connector.explain(*work)
        [predicted] = [each.seconds or 0 for each in plan.paths if each.path == path]
        [seconds] = self._medians(path, [(connector, *work)])
        row = Row(path, transfer, plan.bytes, predicted, seconds)
        self._measured.rows.append(row)
        return seconds

    def _work_of(self, path: str, size: int) -> tuple[RemotePages, Descriptor]:
        return self._exposed[path].pages(size, [0]), self._target[:size]

    def _pages_of(self, path: str) -> tuple[RemotePages, Descriptor]:
        page, places = self._sizes.small, range(self._sizes.large // self._sizes.small)
        chosen = random.Random(1)
        theirs, ours = (chosen.sample(places, self._sizes.pages) for _ in range(2))
        return (
            self._exposed[path].pages(page, theirs),
            Descriptor.pages(self._target, page, ours),
        )

    def _obstacle(self, connector: Connector, path: str) -> str:
        plan = connector.explain(*self._work_of(path, self._sizes.small))
        [obstacle] = [each.obstacle for each in plan.paths if each.path == path]
        return obstacle

    def _medians(
        self, path: str, works: list[tuple[Connector, RemotePages, Descriptor]]
    ) -> list[float]:
        """Of each work, in seconds; they take turns."""
        rounds: list[list[float]] = []
        end = time.perf_counter() + self._sizes.seconds * len(works)
        while len(rounds) <= _LEAST_ROUNDS or (
            len(rounds) < _MOST_ROUNDS and time.perf_counter() < end
        ):
            rounds.append([_seconds_of(path, *work) for work in works])
        # The first ones open connections and touch memory.
        return [statistics.median(each) for each in zip(*rounds[1:], strict=True)]


def _seconds_of(
    path: str, connector: Connector, remote: RemotePages, local: Descriptor
) -> float:
    start = time.perf_counter()
    read = connector.begin_read(remote, local, require=path)
    is_done = read.wait(_SECONDS_TO_READ)
    seconds = time.perf_counter() - start
    if not is_done:
        raise Failure(f"a read by {path} did not end in {_SECONDS_TO_READ} seconds")
    return seconds


def _costs_in(file: Path) -> dict[str, Any]:
    """Those of that file; none, which means the usual ones, if it is not there or is
    not one that a Connector takes."""
    try:
        costs = json.loads(file.read_text())
        with Connector(**_ANY_PATH, costs_file=file) as connector:
            connector.transport()
    except (OSError, ValueError):
        return {}
    return dict(costs)
