# SPDX-License-Identifier: Apache-2.0
"""One small read after another: from begin_read until its await returns, and until the
exposing side's await returns. A new Descriptor over the same memory each time, except
for readables of an age, which have memory of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from session import Bytes, Session, check_stamp, memory, now_us, stamp

WARM_UP = 5


class Kept:
    """Ends operations before the next begins, or else one later, so that the two
    implementations' connections live on: that is how a busy worker's overlap."""

    def __init__(self, overlapping: bool):
        self._overlapping = overlapping
        self._release: Callable[..., None] | None = None

    def put(self, operation: Any) -> None:
        last, self._release = self._release, operation.__exit__
        if not self._overlapping:
            last, self._release = self._release, None
        if last is not None:
            last(None, None, None)

    def end(self) -> None:
        if self._release is not None:
            self._release(None, None, None)
            self._release = None


async def initiate(
    session: Session, size: int, count: int, overlapping: bool = True, age_s: float = 0
) -> dict[str, list[float]]:
    """Microseconds of each operation. Those of an age are all exposed at first."""
    target, target_bytes = memory(size)
    kept = Kept(overlapping)
    awaited, told, created = [], [], []
    order = {"size": size, "count": count, "overlapping": overlapping, "age_s": age_s}
    await session.channel.send(**order)
    aged = [await session.receive_metadata() for _ in range(count if age_s else 0)]
    if age_s:
        await asyncio.sleep(age_s)  # The age is what is measured.
    for number in range(count):
        metadata = aged[number] if aged else await session.receive_metadata()
        descriptor = session.nixl.Descriptor(target)
        start = now_us()
        operation = await session.connector.begin_read(metadata, descriptor)
        await operation.wait_for_completion()
        end = now_us()
        check_stamp(target_bytes, number)
        kept.put(operation)
        del operation  # Or upstream keeps the connection for the next one.
        awaited.append(end - start)
        answer = await session.channel.receive()
        told.append(answer["told_us"] - start)
        created.append(answer["create_us"])
        await session.channel.send(next=True)
    kept.end()
    warm = 0 if age_s else WARM_UP
    return {
        "awaited": awaited[warm:],
        "told": told[warm:],
        "created": created[warm:],
        "first": awaited[:1],
    }


async def expose(session: Session) -> None:
    order = await session.channel.receive()
    kept = Kept(order["overlapping"])
    count, size = order["count"], order["size"]
    if order["age_s"]:
        aged = [await exposure(session, memory(size), each) for each in range(count)]
    else:
        reused = memory(size)
    for number in range(count):
        if order["age_s"]:
            readable, wait, create_us = aged[number]
        else:
            readable, wait, create_us = await exposure(session, reused, number)
        await session.channel.send(told_us=await wait, create_us=create_us)
        await session.channel.receive()
        kept.put(readable)
        del readable
    kept.end()


async def exposure(
    session: Session, source: tuple[Any, Bytes], number: int
) -> tuple[Any, asyncio.Task[float], float]:
    """A readable, the task that awaits its end, and how long it took to make."""
    stamp(source[1], number)
    start = now_us()
    descriptor = session.nixl.Descriptor(source[0])
    readable = await session.connector.create_readable(descriptor)
    text = readable.metadata().model_dump_json()
    create_us = now_us() - start
    wait = asyncio.get_running_loop().create_task(end_of(readable))
    await asyncio.sleep(0)  # It waits before the reader learns of anything.
    await session.channel.send_text(text)
    return readable, wait, create_us


async def end_of(readable: Any) -> float:
    await readable.wait_for_completion()
    return now_us()
