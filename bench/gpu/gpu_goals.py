# SPDX-License-Identifier: Apache-2.0
"""The kinds of goals that these rows have besides those of host_goals.py."""

from __future__ import annotations

from row import Goal, Judgement, Measured, Sample


def at_least_gbps(least: float) -> Goal:
    """Of the median."""

    def judge(measured: Measured, ours: Sample) -> Judgement:
        gbps = measured.row.size / ours.p50_us / 1e3
        return Judgement("", "", f">= {least:,g} GB/s", gbps >= least)

    return judge


def at_most_us(most: float) -> Goal:
    """The median."""

    def judge(_: Measured, ours: Sample) -> Judgement:
        return Judgement("", "", f"<= {most:,g} us", ours.p50_us <= most)

    return judge
