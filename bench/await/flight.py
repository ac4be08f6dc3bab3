# SPDX-License-Identifier: Apache-2.0
"""Many reads in flight on one Connector: all are exposed, then all begun and awaited at
once by asyncio.gather. Seconds count from the first begin to the last await."""

from __future__ import annotations

import asyncio
from typing import Any

from session import Session, check_stamp, memory, now_us, stamp


async def initiate(
    session: Session, size: int, count: int, rounds: int
) -> dict[str, list[float]]:
    targets = [memory(size) for _ in range(count)]
    await session.channel.send(size=size, count=count, rounds=rounds)
    rates, each, told = [], [], []
    for number in range(rounds):
        metadata = [await session.receive_metadata() for _ in range(count)]
        local = [session.nixl.Descriptor(target) for target, _ in targets]
        start = now_us()
        reads = await asyncio.gather(
            *[read(session, *pair) for pair in zip(metadata, local, strict=True)]
        )
        rates.append(count / (now_us() - start) * 1e6)
        each += [end - begun for _, begun, end in reads]
        answer = await session.channel.receive()
        told += [at - start for at in answer["told_us"]]
        for index, (_, target_bytes) in enumerate(targets):
            check_stamp(target_bytes, number * count + index)
        for operation, _, _ in reads:
            operation.__exit__(None, None, None)
        await session.channel.send(next=True)
    return {"rates": rates, "each": each, "told": told}


async def read(session: Session, metadata: Any, local: Any) -> tuple[Any, float, float]:
    begun = now_us()
    operation = await session.connector.begin_read(metadata, local)
    await operation.wait_for_completion()
    return operation, begun, now_us()


async def expose(session: Session) -> None:
    order = await session.channel.receive()
    sources = [memory(order["size"]) for _ in range(order["count"])]
    for number in range(order["rounds"]):
        readables = []
        for index, (source, source_bytes) in enumerate(sources):
            stamp(source_bytes, number * order["count"] + index)
            descriptor = session.nixl.Descriptor(source)
            readables.append(await session.connector.create_readable(descriptor))
        waits = [asyncio.create_task(end_of(readable)) for readable in readables]
        for readable in readables:
            await session.send_metadata(readable)
        await session.channel.send(told_us=await asyncio.gather(*waits))
        await session.channel.receive()
        for readable in readables:
            readable.__exit__(None, None, None)


async def end_of(readable: Any) -> float:
    await readable.wait_for_completion()
    return now_us()
