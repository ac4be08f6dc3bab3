# SPDX-License-Identifier: Apache-2.0
"""The table of a run: a row a figure, upstream and ours side by side, their ratio."""

from __future__ import annotations

from dataclasses import dataclass

from figures import BARE, Figure, Results


@dataclass
class Row:
    text: str
    measurement: str
    series: str
    unit: str = "us"
    scale: float = 1.0  # Of a figure, in units.
    rate: bool = False
    against: str = ""  # Upstream's measurement, if it has no such one itself.


ROWS = [
    Row("4 KiB, begin_read to awaited", "4 KiB", "awaited"),
    Row("4 KiB, to the exposing side's awaited", "4 KiB", "told"),
    Row("64 KiB, begin_read to awaited", "64 KiB", "awaited"),
    Row("64 KiB, to the exposing side's awaited", "64 KiB", "told"),
    Row("1 MiB, begin_read to awaited", "1 MiB", "awaited"),
    Row("1 MiB, to the exposing side's awaited", "1 MiB", "told"),
    Row("4 KiB, each dropped before the next", "4 KiB dropped", "awaited"),
    Row("  the same, exposing side", "4 KiB dropped", "told"),
    Row("4 KiB, readable 1 s old", "4 KiB aged", "awaited"),
    Row("  the same, exposing side", "4 KiB aged", "told"),
    Row("Descriptor, readable and metadata", "4 KiB", "created"),
    Row("first read of a pair, 4 KiB", "4 KiB", "first", "ms", 1e-3),
    Row("256 x 64 KiB in flight", "flight", "rates", "/s", rate=True),
    Row("  each, begin_read to awaited", "flight", "each", "ms", 1e-3),
    Row("  exposing side, since the first begin", "flight", "told", "ms", 1e-3),
    Row(
        "4,096 x 4 KiB, Descriptors, all", "scattered descriptors", "whole", "ms", 1e-3
    ),
    Row(
        "  as pages at both ends, all",
        "scattered pages",
        "whole",
        "ms",
        1e-3,
        against="scattered descriptors",
    ),
    Row(
        "  the same, of empty(), all",
        "scattered mapped",
        "whole",
        "ms",
        1e-3,
        against="scattered descriptors",
    ),
    Row(
        "  by the reader's page numbers, all",
        "scattered indices",
        "whole",
        "ms",
        1e-3,
        against="scattered descriptors",
    ),
    Row("512 MiB, begin_read to awaited", "blocking", "spent", "ms", 1e-3),
    Row("  event loop at a stand, longest", "blocking", "during", "ms", 1e-3),
    Row("  the same without a read", "blocking", "quiet", "ms", 1e-3),
    Row("CPU while waiting, exposing side", "idle", "exposing", "ms/s", 1e3),
    Row("CPU while waiting, initiating side", "idle", "initiating", "ms/s", 1e3),
]


def table(results: Results) -> str:
    bare = results.figure("wakeup", BARE, "trips")
    lines = [
        "| figure | upstream p50 / p99 | ours p50 / p99 | unit | ours better by |",
        "| --- | --- | --- | --- | --- |",
    ]
    if bare:
        shown = show(bare, Row("", "", ""))
        lines.append(f"| eventfd + asyncio, round trip | {shown} | {shown} | us | - |")
    for row in ROWS:
        theirs = results.figure(row.measurement, "upstream", row.series, row.rate)
        ours = results.figure(row.measurement, "ours", row.series, row.rate)
        compared = theirs
        if row.against:
            compared = results.figure(row.against, "upstream", row.series, row.rate)
        better = ratio(compared, ours, row.rate)
        cells = [show(theirs, row), show(ours, row), row.unit, better]
        if theirs or ours:
            lines.append(f"| {row.text} | {' | '.join(cells)} |")
    return "\n".join(lines + churn_lines(results))


def churn_lines(results: Results) -> list[str]:
    """How the reads of churn fared from their first block to their last."""
    lines = []
    for half in "overlapping", "dropped":
        for series, unit in (
            ("rates", "reads/s"),
            ("exposing descriptors", "open"),
            ("initiating descriptors", "open"),
            ("exposing resident_kib", "KiB"),
            ("initiating resident_kib", "KiB"),
        ):
            cells = []
            for implementation in "upstream", "ours":
                rounds = results.series("churn", implementation, f"{half} {series}")
                ends = [f"{each[0]:,.0f} to {each[-1]:,.0f}" for each in rounds]
                cells.append(" ".join(ends) or "-")
            if cells != ["-", "-"]:
                text = f"churn, {half}, {series}, first to last"
                lines.append(f"| {text} | {' | '.join(cells)} | {unit} | - |")
    return lines


def show(figure: Figure | None, row: Row) -> str:
    if figure is None:
        return "-"
    p50, p99, worst = (
        number(value * row.scale)
        for value in (figure.p50, figure.p99, figure.worst_round)
    )
    return f"{p50} / {p99} (to {worst})"


def number(value: float) -> str:
    """Three digits, and no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def ratio(theirs: Figure | None, ours: Figure | None, rate: bool) -> str:
    """How many times better ours is; below 1 it is worse."""
    if theirs is None or ours is None or not theirs.p50 or not ours.p50:
        return "-"
    better = ours.p50 / theirs.p50 if rate else theirs.p50 / ours.p50
    return f"{better:.3g}x"
