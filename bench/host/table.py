# SPDX-License-Identifier: Apache-2.0
"""The table of a run, in lines of Markdown: a block for each row, in it a line for each
contestant, and behind each of ours what it is compared with, and if goals are about it,
what came of them."""

from __future__ import annotations

from row import Judgement, Measured, Outcome, Role

HEAD = ["", "p50", "p99", "rate", "compared with", "ratio", "goal", ""]
VERDICTS = {True: "met", False: "MISSED", None: ""}


def head() -> list[str]:
    return [line(HEAD), line(["---"] * len(HEAD))]


def block(measured: Measured, judges: bool) -> list[str]:
    """Where goals are not judged, sizes are not those that the goals are about."""
    lines = [line([f"**{measured.row.name}**", *[""] * (len(HEAD) - 1)])]
    for outcome in measured.outcomes:
        lines += contestant_lines(measured, outcome, judges)
    return lines


def contestant_lines(measured: Measured, outcome: Outcome, judges: bool) -> list[str]:
    name, sample = outcome.contestant.name, outcome.typical
    if sample is None:
        failure = " ".join(outcome.failure.split())
        why = outcome.contestant.missing or f"FAILED: {failure}"
        return [line([name, why, *[""] * (len(HEAD) - 2)])]
    figures = [name, time(sample.p50_us), time(sample.p99_us)]
    figures.append(measured.row.rate(sample))
    is_ours = outcome.contestant.role is Role.OURS
    goals = measured.row.goals if is_ours else []
    is_judged = judges and outcome in measured.judged()
    judgements = [cells(goal(measured, sample), is_judged) for goal in goals]
    first, *more = judgements or [[""] * 4]
    return [line(figures + first), *(line(["", "", "", "", *each]) for each in more)]


def cells(judgement: Judgement, judges: bool) -> list[str]:
    verdict = VERDICTS[judgement.is_met] if judges else ""
    return [judgement.against, judgement.ratio, judgement.goal, verdict]


def summary(rows: list[Measured]) -> str:
    verdicts = [
        goal(measured, outcome.typical).is_met
        for measured in rows
        for outcome in measured.judged()
        if outcome.typical
        for goal in measured.row.goals
    ]
    return f"goals: {verdicts.count(True)} met, {verdicts.count(False)} missed"


def line(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def time(us: float) -> str:
    """Three digits at least."""
    value, unit = (us / 1000, "ms") if us >= 1000 else (us, "us")
    if value >= 100:
        return f"{value:,.0f} {unit}"
    return f"{value:.1f} {unit}" if value >= 10 else f"{value:.2f} {unit}"
