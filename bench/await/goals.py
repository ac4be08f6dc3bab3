# SPDX-License-Identifier: Apache-2.0
"""The goals of the package that a run can judge, and which of them it met."""

from __future__ import annotations

from dataclasses import dataclass

from figures import Results

# A wake-up may take this many bare round trips where the machine is slow.
BARE_ROUND_TRIPS = 3
IDLE_SECONDS = 10


@dataclass
class Goal:
    text: str
    measured: float | None  # None if it was not measured.
    bound: float
    unit: str
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        if self.measured is None:
            return False
        if self.at_least:
            return self.measured >= self.bound
        return self.measured <= self.bound

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        verdict = "met" if self.is_met else "MISSED"
        found = "not measured" if self.measured is None else f"{self.measured:,.4g}"
        bound = f"{word} {self.bound:,.4g} {self.unit}"
        return f"{verdict:7} {self.text}: {found}, {bound}"


def goals(results: Results, bare_us: float) -> list[Goal]:
    def p50(
        measurement: str, series: str, scale: float = 1, rate: bool = False
    ) -> float | None:
        figure = results.figure(measurement, "ours", series, rate)
        return figure.p50 * scale if figure else None

    slow_us = BARE_ROUND_TRIPS * bare_us
    small = results.figure("4 KiB", "ours", "awaited")
    return [
        Goal(
            "4 KiB, begin_read to awaited, p50",
            p50("4 KiB", "awaited"),
            max(60, slow_us),
            "us",
        ),
        Goal(
            "4 KiB, to the exposing side's awaited, p50",
            p50("4 KiB", "told"),
            max(200, slow_us),
            "us",
        ),
        Goal("one mode: 4 KiB, p99", small.p99 if small else None, 1000, "us"),
        Goal(
            "4,096 pages by Descriptors",
            p50("scattered descriptors", "whole", 1e-3),
            60,
            "ms",
        ),
        Goal(
            "4,096 pages by pages at both ends",
            p50("scattered pages", "whole", 1e-3),
            10,
            "ms",
        ),
        Goal(
            "4,096 pages by pages at both ends, of empty()",
            p50("scattered mapped", "whole", 1e-3),
            10,
            "ms",
        ),
        Goal(
            "4,096 pages by the reader's page numbers",
            p50("scattered indices", "whole", 1e-3),
            10,
            "ms",
        ),
        Goal(
            "256 x 64 KiB in flight",
            p50("flight", "rates", rate=True),
            8000,
            "operations/s",
            at_least=True,
        ),
        Goal(
            f"CPU in {IDLE_SECONDS} s of waiting, exposing side",
            p50("idle", "exposing", 1e3 * IDLE_SECONDS),
            IDLE_SECONDS,
            "ms",
        ),
        loop_goal(results),
        *churn_goals(results),
    ]


def loop_goal(results: Results) -> Goal:
    """What the machine adds at its quietest is no fault of ours."""
    quiet = results.figure("blocking", "ours", "quiet")
    during = results.figure("blocking", "ours", "during")
    bound_us = max(1000, quiet.p50 if quiet else 0)
    measured = during.p50 if during else None
    return Goal("event loop at a stand in a 512 MiB read", measured, bound_us, "us")


def churn_goals(results: Results) -> list[Goal]:
    """From the middle of each half on, when caches and allocators are warm."""
    made = []
    for half in "overlapping", "dropped":
        for side in "initiating", "exposing":
            for name, slack in ("descriptors", 0), ("resident_kib", 1024):
                for values in results.series("churn", "ours", f"{half} {side} {name}"):
                    growth = values[-1] - values[len(values) // 2]
                    text = f"growth of {name}, {half}, {side} side"
                    made.append(Goal(text, growth, slack, ""))
        for rates in results.series("churn", "ours", f"{half} rates"):
            third = max(1, len(rates) // 3)
            kept = sum(rates[-third:]) / sum(rates[:third])
            text = f"rate at the end to that at the start, {half}"
            made.append(Goal(text, kept, 0.9, "", at_least=True))
    return made
