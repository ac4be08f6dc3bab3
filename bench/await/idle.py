# SPDX-License-Identifier: Apache-2.0
"""What waiting costs: a readable is pending and awaited while nobody reads it. CPU
seconds of all threads of each process, per second."""

from __future__ import annotations

import asyncio
import time

from session import Session, memory


async def initiate(session: Session, seconds: float) -> dict[str, list[float]]:
    target, _ = memory(4096)
    await session.channel.send(seconds=seconds)
    metadata = await session.receive_metadata()
    used = await cpu_during(seconds)  # Its Connector is open and does nothing.
    descriptor = session.nixl.Descriptor(target)
    with await session.connector.begin_read(metadata, descriptor) as operation:
        await operation.wait_for_completion()
    answer = await session.channel.receive()
    return {"initiating": [used], "exposing": [answer["used"]]}


async def expose(session: Session) -> None:
    source, _ = memory(4096)
    seconds = (await session.channel.receive())["seconds"]
    descriptor = session.nixl.Descriptor(source)
    with await session.connector.create_readable(descriptor) as readable:
        wait = asyncio.create_task(readable.wait_for_completion())
        await session.send_metadata(readable)
        used = await cpu_during(seconds)
        await wait
    await session.channel.send(used=used)


async def cpu_during(seconds: float) -> float:
    start, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)  # The wait is what is measured.
    return (time.process_time() - cpu) / (time.monotonic() - start)
