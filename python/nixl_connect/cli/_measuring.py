# SPDX-License-Identifier: Apache-2.0
"""Measures what the paths cost between two processes of this machine, and within this
one, through the public API. Main thread."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .. import Connector, Descriptor, Error, RemotePages
from ._costs import (
    NEVER,
    PathTimes,
    Sizes,
    engine_bytes,
    streaming_bytes,
    threads_for_most,
)
from ._failure import Failure
from ._report import readable_size
from ._rounds import Timing, Work, timings_of
from ._subjects import ANY_PATH, GPU_PATHS, HOST_PATHS, SLOTS, Subject, subjects

_Ranges = tuple[RemotePages, Descriptor]


@dataclass(frozen=True)
class Row:
    """A transfer, in words, and its seconds, as they were predicted until now and as
    they are."""

    path: str
    transfer: str
    bytes: int
    predicted: float
    measured: Timing


@dataclass
class Measured:
    """`costs` has the planner's figures, and `obstacles` why some has none."""

    costs: dict[str, Any] = field(default_factory=lambda: {"paths": {}})
    obstacles: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)


def steps_of(sizes: Sizes, gpus: list[dict[str, Any]]) -> int:
    """How often measure() tells that it goes on, at most."""
    of_host = len(sizes.streamed()) + len(HOST_PATHS)
    return of_host + (len(sizes.of_engines()) + len((*GPU_PATHS, SLOTS)) if gpus else 0)


def measure(
    former: Path,
    sizes: Sizes,
    gpus: list[dict[str, Any]],
    go_on: Callable[[str], None],
) -> Measured:
    """Measures, in 20 seconds at most where memory is not very slow, and 10 more for
    GPUs, which are as report_gpus() has them. What is predicted until now stands in the
    file `former`, if it can be used. Failure, or an Error, if the two processes do not
    come together."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="nixl_connect_")))
        found = subjects(stack, sizes, gpus)
        measuring = _Measuring(folder, sizes, go_on)
        measuring.measured.obstacles.update(found.obstacles)
        mapped, between_gpus = found.find("host.map"), found.find("cuda.peer")
        limits = measuring.streaming(mapped) if mapped else {}
        if between_gpus and between_gpus.has_kernel:
            with measuring.failures_kept(between_gpus):
                limits.update(measuring.engines(between_gpus))
        measuring.measured.costs.update(limits)
        former_costs = {**_costs_in(former), **limits}
        for subject in found.all:
            with measuring.failures_kept(subject):
                measuring.figures(subject, former_costs)
        return measuring.measured


class _Measuring:
    """One run."""

    def __init__(
        self, folder: Path, sizes: Sizes, go_on: Callable[[str], None]
    ) -> None:
        self.measured = Measured()
        self._folder = folder
        self._sizes = sizes
        self._go_on = go_on

    @contextmanager
    def failures_kept(self, subject: Subject) -> Generator[None, None, None]:
        """Those of GPUs are obstacles; the host's memory is measured all the same."""
        try:
            yield
        except (Failure, Error) as error:
            if subject.name in HOST_PATHS:
                raise
            self.measured.obstacles[subject.title] = str(error)

    def streaming(self, mapped: Subject) -> dict[str, int]:
        """The planner's figure; none if the path cannot be used. Both ways are measured
        with the threads that large transfers have."""
        most = threads_for_most()
        with (
            self._connector({"streaming_bytes": NEVER}, copy_threads=most) as caching,
            self._connector({"streaming_bytes": 1}, copy_threads=most) as streaming,
        ):
            found = self._compared(
                mapped, (caching, streaming), self._sizes.streamed(), self._single
            )
        return {"streaming_bytes": streaming_bytes(*found)} if found else {}

    def engines(self, peer: Subject) -> dict[str, int]:
        """The same of copy engines and the page kernel."""
        with (
            self._connector({"engine_bytes": NEVER}) as by_kernel,
            self._connector({}, sm=False) as by_engines,
        ):
            found = self._compared(
                peer, (by_kernel, by_engines), self._sizes.of_engines(), self._half
            )
        return {"engine_bytes": engine_bytes(*found)} if found else {}

    def figures(self, subject: Subject, former: dict[str, Any]) -> None:
        """Those of the planner, beside what would be predicted by the former ones."""
        self._go_on(subject.path)
        with self._connector(former, copy_threads=1) as one:
            if obstacle := self._obstacle(one, subject):
                self.measured.obstacles[subject.title] = obstacle
                return
            times = self._times(subject, one, former)
        costs = times.costs(self._sizes)
        if subject.name == "cuda.peer":
            self.measured.costs["engine_range_ns"] = self._engine_range(
                subject, times, former
            )
        if not subject.has_kernel and subject.name != SLOTS:
            del costs["range_ns"]  # that of copy engines, which has a figure of its own
        into = self.measured.costs
        (into if subject.name == SLOTS else into["paths"])[subject.name] = costs

    def _times(
        self, subject: Subject, one: Connector, former: dict[str, Any]
    ) -> PathTimes:
        sizes, most = self._sizes, threads_for_most()
        by_one = ", 1 thread" if subject.has_threads else ""
        page, size = _text_of(subject, sizes.small), _text_of(subject, subject.large)
        large_work = self._single(subject, subject.large)
        small = self._row(subject, page, one, self._single(subject, sizes.small))
        pages = self._row(
            subject, f"{sizes.pages} x {page}{by_one}", one, self._scattered(subject)
        )
        large = by_most = self._row(subject, f"{size}{by_one}", one, large_work)
        if subject.has_threads:
            with self._connector(former, copy_threads=most) as many:
                text = f"{size}, {most} threads"
                by_most = self._row(subject, text, many, large_work)
        return PathTimes(small, pages, large, by_most, subject.large)

    def _engine_range(
        self, subject: Subject, times: PathTimes, former: dict[str, Any]
    ) -> int:
        pages = times.pages
        if subject.has_kernel:
            page = _text_of(subject, self._sizes.small)
            with self._connector(former, sm=False) as by_engines:
                pages = self._row(
                    subject,
                    f"{self._sizes.pages} x {page}, copy engines",
                    by_engines,
                    self._scattered(subject),
                )
        return max(1, round(times.range_ns(pages, self._sizes)))

    def _row(
        self, subject: Subject, transfer: str, connector: Connector, work: _Ranges
    ) -> float:
        plan = connector.explain(*work)
        [predicted] = [
            each.seconds or 0 for each in plan.paths if each.path == subject.path
        ]
        [timing] = timings_of(
            [Work(subject.path, connector, *work)], self._sizes.seconds
        )
        row = Row(subject.path, transfer, plan.bytes, predicted, timing)
        self.measured.rows.append(row)
        return timing.seconds

    def _compared(
        self,
        subject: Subject,
        ways: tuple[Connector, Connector],
        sizes: list[int],
        ranges_of: Callable[[Subject, int], _Ranges],
    ) -> list[dict[int, float]]:
        """The seconds of both ways by size; nothing if the path cannot be used."""
        seconds: list[dict[int, float]] = [{}, {}]
        for size in sizes:
            self._go_on(subject.path)
            if self._obstacle(ways[0], subject):
                return []
            works = [Work(subject.path, way, *ranges_of(subject, size)) for way in ways]
            for of_way, timing in zip(
                seconds, timings_of(works, self._sizes.seconds), strict=True
            ):
                of_way[size] = timing.seconds
        return seconds

    def _connector(self, costs: dict[str, Any], **options: Any) -> Connector:
        """With those costs."""
        file = self._folder / "costs.json"
        file.write_text(json.dumps(costs))
        made = Connector(**{**ANY_PATH, **options}, costs_file=file)
        made.transport()  # which opens it, and reads the file
        return made

    def _obstacle(self, connector: Connector, subject: Subject) -> str:
        plan = connector.explain(*self._single(subject, self._sizes.small))
        [obstacle] = [each.obstacle for each in plan.paths if each.path == subject.path]
        return obstacle

    def _single(self, subject: Subject, size: int) -> _Ranges:
        return subject.remote.pages(size, [0]), subject.local[:size]

    def _scattered(self, subject: Subject) -> _Ranges:
        sizes = self._sizes
        return _pages_of(subject, sizes.small, sizes.large // sizes.small, sizes.pages)

    def _half(self, subject: Subject, size: int) -> _Ranges:
        """Of the memory, in ranges of that size."""
        places = subject.large // size
        return _pages_of(subject, size, places, places // 2)


def _pages_of(subject: Subject, size: int, places: int, count: int) -> _Ranges:
    chosen = random.Random(1)
    theirs, ours = (chosen.sample(range(places), count) for _ in range(2))
    return (
        subject.remote.pages(size, theirs),
        Descriptor.pages(subject.local, size, ours),
    )


def _text_of(subject: Subject, size: int) -> str:
    return readable_size(size) + subject.remark


def _costs_in(file: Path) -> dict[str, Any]:
    """Those of that file; none, which means the usual ones, if it is not there or is
    not one that a Connector takes."""
    try:
        costs = json.loads(file.read_text())
        with Connector(**ANY_PATH, costs_file=file) as connector:
            connector.transport()
    except (OSError, ValueError):
        return {}
    return dict(costs)
