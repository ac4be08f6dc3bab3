# SPDX-License-Identifier: Apache-2.0
"""Rows: the Python package on asyncio, by the measurements of await_bench.py."""

from __future__ import annotations

from collections.abc import Callable

from figures import BARE, percentile
from host_goals import rate_of, under_us
from pair import Series, run_pair
from plan import Measurement
from row import Contestant, Role, Row, Sample
from setup import KIB, Setup, not_installed


def rows(setup: Setup) -> list[Row]:
    latency = Measurement("4 KiB", "latency", {"size": 4 * KIB, "count": setup.awaited})
    trips = Measurement("wakeup", "wakeup", {"count": 5 * setup.awaited})
    flight = Measurement(
        "flight",
        "flight",
        {"size": 64 * KIB, "count": setup.flight, "rounds": setup.flights},
    )
    return [
        Row(
            "4 KiB, Python, begin_read until its await returns",
            [
                of_series("nixl_connect", "ours", latency, awaited),
                of_series("eventfd on asyncio, there and back", BARE, trips, of_trips),
            ],
            [under_us(40)],
        ),
        Row(
            f"{setup.flight} reads of 64 KiB in flight, Python; p99: of one of them",
            [of_series("nixl_connect", "ours", flight, in_flight)],
            [rate_of(20_000)],
            counts=True,
        ),
    ]


def of_series(
    name: str,
    implementation: str,
    measurement: Measurement,
    sample: Callable[[Series], Sample],
) -> Contestant:
    is_ours = implementation == "ours"
    needs = ["numpy", "nixl_connect"] if is_ours else ["numpy"]
    return Contestant(
        name,
        Role.OURS if is_ours else Role.BESIDE,
        lambda _: sample(run_pair(implementation, measurement)),
        not_installed(*needs),
    )


def awaited(series: Series) -> Sample:
    return Sample.of(series["awaited"])


def of_trips(series: Series) -> Sample:
    return Sample.of(series["trips"])


def in_flight(series: Series) -> Sample:
    """Time for each of all that are in flight, and how long one takes."""
    return Sample(
        1e6 / percentile(series["rates"], 0.5), percentile(series["each"], 0.99)
    )
