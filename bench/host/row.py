# SPDX-License-Identifier: Apache-2.0
"""A row of the table: who is measured side by side, and what is asked of ours. The
contestants take turns in each round, so that noise hits all alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import cast

from figures import percentile
from pair import Failed


class Role(Enum):
    OURS = "ours"
    CEILING = "ceiling"  # What the machine can do.
    WHOLE = "whole"  # The same bytes in one piece.
    PEER = "peer"  # What others offer for the same.
    BESIDE = "beside"  # To compare with; no goal looks at it.


@dataclass(frozen=True)
class Sample:
    """Of one operation, in one round or typical of all rounds."""

    p50_us: float
    p99_us: float

    @classmethod
    def of(cls, latencies_us: list[float]) -> Sample:
        return cls(percentile(latencies_us, 0.5), percentile(latencies_us, 0.99))


@dataclass(frozen=True)
class Contestant:
    name: str
    role: Role
    # Measures one round. True: check the bytes as well, this once.
    turn: Callable[[bool], Sample]
    missing: str = ""  # What is not installed.


@dataclass
class Outcome:
    contestant: Contestant
    samples: list[Sample] = field(default_factory=list)
    failure: str = ""

    @property
    def typical(self) -> Sample | None:
        """Medians over the rounds; none if it was not measured."""
        if not self.samples or self.failure:
            return None
        return Sample(
            percentile([each.p50_us for each in self.samples], 0.5),
            percentile([each.p99_us for each in self.samples], 0.5),
        )


@dataclass(frozen=True)
class Judgement:
    against: str
    ratio: str
    goal: str
    is_met: bool | None  # None if nothing is asked, or if it cannot be told.


# Judges one of ours in a row that was measured.
Goal = Callable[["Measured", Sample], Judgement]


@dataclass(frozen=True)
class Row:
    name: str
    contestants: list[Contestant]
    goals: list[Goal] = field(default_factory=list)
    size: int = 0  # Bytes of one operation, where throughput means something.
    counts: bool = False  # Operations per second are what matters.
    # Those of ours are ways to have the same: goals judge the fastest of them only.
    judges_fastest: bool = False

    def rate(self, sample: Sample) -> str:
        if self.size:
            return f"{self.size / sample.p50_us / 1e3:.1f} GB/s"
        return f"{1e6 / sample.p50_us:,.0f}/s" if self.counts else ""


@dataclass
class Measured:
    row: Row
    outcomes: list[Outcome]

    def judged(self) -> list[Outcome]:
        """Those of ours that the goals are about."""
        ours = [
            each
            for each in self.outcomes
            if each.contestant.role is Role.OURS and each.typical
        ]
        if not self.row.judges_fastest:
            return ours
        return sorted(ours, key=lambda each: cast(Sample, each.typical).p50_us)[:1]

    def best(self, role: Role) -> tuple[Contestant, Sample] | None:
        found = [
            (each.contestant, each.typical)
            for each in self.outcomes
            if each.contestant.role is role and each.typical
        ]
        return min(found, key=lambda each: each[1].p50_us, default=None)


def measure(row: Row, rounds: int, say: Callable[[str], None]) -> Measured:
    outcomes = [Outcome(each) for each in row.contestants]
    for number in range(rounds):
        for outcome in outcomes:
            if outcome.contestant.missing or outcome.failure:
                continue
            say(f"{row.name}, round {number + 1}, {outcome.contestant.name}")
            try:
                outcome.samples.append(outcome.contestant.turn(number == 0))
            except Failed as failure:
                outcome.failure = str(failure).strip()
    return Measured(row, outcomes)
