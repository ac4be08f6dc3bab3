# SPDX-License-Identifier: Apache-2.0
"""What the rounds of the measurements come to. Used by report.py and goals.py."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pair import Series

BARE = "none"


def percentile(values: list[float], share: float) -> float:
    """The smallest value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass
class Figure:
    """Of the round with the best p50, and the p50 of the worst one."""

    p50: float
    p99: float
    worst_round: float


@dataclass
class Results:
    """Series by measurement and implementation, one of each round."""

    rounds: dict[str, dict[str, list[Series]]] = field(default_factory=dict)

    def add(self, measurement: str, implementation: str, series: Series) -> None:
        by_implementation = self.rounds.setdefault(measurement, {})
        by_implementation.setdefault(implementation, []).append(series)

    def series(
        self, measurement: str, implementation: str, name: str
    ) -> list[list[float]]:
        rounds = self.rounds.get(measurement, {}).get(implementation, [])
        return [series[name] for series in rounds if series.get(name)]

    def figure(
        self, measurement: str, implementation: str, name: str, rate: bool = False
    ) -> Figure | None:
        """None if it was not measured. Of a rate, more is better."""
        rounds = self.series(measurement, implementation, name)
        if not rounds:
            return None
        medians = [percentile(values, 0.5) for values in rounds]
        best, worst = (max, min) if rate else (min, max)
        chosen = rounds[medians.index(best(medians))]
        tail = percentile(chosen, 0.01 if rate else 0.99)
        return Figure(best(medians), tail, worst(medians))
