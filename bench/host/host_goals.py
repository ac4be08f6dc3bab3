# SPDX-License-Identifier: Apache-2.0
"""The kinds of goals that rows have. Each function makes one."""

from __future__ import annotations

from row import Goal, Judgement, Measured, Role, Sample
from table import time

WORDS = {
    Role.CEILING: "ceiling",
    Role.WHOLE: "in one piece",
    Role.PEER: "best peer",
}


def share_of(role: Role, least: float | None = None) -> Goal:
    """How fast ours is, where the best of that role is 1. Without `least`, it is told
    and not judged."""

    def judge(measured: Measured, ours: Sample) -> Judgement:
        goal = "" if least is None else f">= {least:g} of {WORDS[role]}"
        best = measured.best(role)
        if best is None:
            return Judgement("-", "-", goal, None)
        contestant, sample = best
        share = sample.p50_us / ours.p50_us
        figure = measured.row.rate(sample) or time(sample.p50_us)
        against = f"{contestant.name}, {figure}"
        is_met = None if least is None else share >= least
        return Judgement(against, f"{share:.2f}", goal, is_met)

    return judge


def under_us(bound: float) -> Goal:
    """The median."""

    def judge(_: Measured, ours: Sample) -> Judgement:
        return Judgement("", "", f"< {bound:g} us", ours.p50_us < bound)

    return judge


def above_ceiling_us(bound: float) -> Goal:
    """At most so much more than the best that the machine can do."""

    def judge(measured: Measured, ours: Sample) -> Judgement:
        goal = f"<= {bound:g} us more"
        best = measured.best(Role.CEILING)
        if best is None:
            return Judgement("-", "-", goal, None)
        above = ours.p50_us - best[1].p50_us
        return Judgement(best[0].name, f"{above:+.1f} us", goal, above <= bound)

    return judge


def rate_of(least: float) -> Goal:
    """Operations per second."""

    def judge(_: Measured, ours: Sample) -> Judgement:
        return Judgement("", "", f">= {least:,.0f}/s", 1e6 / ours.p50_us >= least)

    return judge
