# SPDX-License-Identifier: Apache-2.0
"""What is measured: each measurement's module and arguments, in full and in tiny. Read
by await_bench.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KIB, MIB = 1 << 10, 1 << 20


@dataclass
class Measurement:
    name: str
    module: str
    arguments: dict[str, Any]
    rounds: int = 3
    only: tuple[str, ...] = field(default=("upstream", "ours"))


def plan(tiny: bool, churn: int) -> list[Measurement]:
    rounds = 1 if tiny else 3
    count = 25 if tiny else 205
    flight = 16 if tiny else 256
    pages = 64 if tiny else 4096

    def latency(name: str, size: int, **arguments: Any) -> Measurement:
        arguments = {"size": size, "count": count, **arguments}
        return Measurement(name, "latency", arguments, rounds)

    def scattered(way: str, *only: str) -> Measurement:
        arguments = {"way": way, "pages": pages, "count": 2 if tiny else 7}
        return Measurement(f"scattered {way}", "scattered", arguments, rounds, only)

    trips = {"count": 60 if tiny else 1020}
    aged = {"count": 3, "age_s": 0.05} if tiny else {"count": 10, "age_s": 1.0}
    in_flight = {"size": 64 * KIB, "count": flight, "rounds": 2 if tiny else 8}
    large = {"size": (8 if tiny else 512) * MIB, "count": 1 if tiny else 3}
    measurements = [
        Measurement("wakeup", "wakeup", trips, rounds, ("none",)),
        latency("4 KiB", 4 * KIB),
        latency("64 KiB", 64 * KIB),
        latency("1 MiB", MIB),
        latency("4 KiB dropped", 4 * KIB, overlapping=False),
        latency("4 KiB aged", 4 * KIB, **aged),
        Measurement("flight", "flight", in_flight, rounds),
        scattered("descriptors", "upstream", "ours"),
        scattered("pages", "ours"),
        scattered("mapped", "ours"),
        scattered("indices", "ours"),
        Measurement("blocking", "blocking", large, rounds),
        Measurement("idle", "idle", {"seconds": 0.5 if tiny else 10.0}, 1),
    ]
    if churn:
        measurements.append(Measurement("churn", "churn", {"count": churn}, 1))
    return measurements
