# SPDX-License-Identifier: Apache-2.0
"""Thousands of small reads, the first half with each begun before the last is dropped,
the second half with each dropped before the next: what grows, and what slows down."""

from __future__ import annotations

import gc
import os
from typing import Any

from latency import Kept
from session import Session, check_stamp, memory, now_us, stamp

SIZE = 4096
BLOCK = 250  # Rates are of this many reads.


async def initiate(session: Session, count: int) -> dict[str, list[float]]:
    target, target_bytes = memory(SIZE)
    await session.channel.send(count=count)
    series: dict[str, list[float]] = {}
    for half in "overlapping", "dropped":
        kept = Kept(half == "overlapping")
        rates, seen = [], []
        for number in range(count // 2):
            if number % BLOCK == 0:
                start = now_us()
            metadata = await session.receive_metadata()
            descriptor = session.nixl.Descriptor(target)
            operation = await session.connector.begin_read(metadata, descriptor)
            await operation.wait_for_completion()
            check_stamp(target_bytes, number)
            kept.put(operation)
            del operation  # Or upstream keeps the connection for the next one.
            await session.channel.send(next=True)
            if number % BLOCK == BLOCK - 1:
                rates.append(BLOCK / (now_us() - start) * 1e6)
                seen.append(resources())
        kept.end()
        theirs = (await session.channel.receive())["seen"]
        series[f"{half} rates"] = rates
        note(series, half, "initiating", seen)
        note(series, half, "exposing", theirs)
    return series


def note(series: dict[str, list[float]], half: str, side: str, seen: list[Any]) -> None:
    for name in "descriptors", "resident_kib":
        series[f"{half} {side} {name}"] = [each[name] for each in seen]


def resources() -> dict[str, float]:
    gc.collect()
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    resident_kib = float(fields["VmRSS"].split()[0])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "resident_kib": resident_kib,
    }


async def expose(session: Session) -> None:
    source, source_bytes = memory(SIZE)
    count = (await session.channel.receive())["count"]
    for half in "overlapping", "dropped":
        kept = Kept(half == "overlapping")
        seen = []
        for number in range(count // 2):
            stamp(source_bytes, number)
            descriptor = session.nixl.Descriptor(source)
            readable = await session.connector.create_readable(descriptor)
            await session.send_metadata(readable)
            await readable.wait_for_completion()
            await session.channel.receive()
            kept.put(readable)
            del readable
            if number % BLOCK == BLOCK - 1:
                seen.append(resources())
        kept.end()
        await session.channel.send(seen=seen)
