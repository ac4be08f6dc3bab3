# SPDX-License-Identifier: Apache-2.0
"""How long the reader's event loop stands still during one large read. The same time
without any read says what the machine adds."""

from __future__ import annotations

import asyncio

from session import Session, check_stamp, memory, now_us, stamp
from ticks import Ticks


async def initiate(session: Session, size: int, count: int) -> dict[str, list[float]]:
    target, target_bytes = memory(size)
    await session.channel.send(size=size, count=count)
    during, quiet, spent = [], [], []
    for number in range(count):
        metadata = await session.receive_metadata()
        descriptor = session.nixl.Descriptor(target)
        start = now_us()
        with Ticks() as ticks:
            operation = await session.connector.begin_read(metadata, descriptor)
            await operation.wait_for_completion()
        spent.append(now_us() - start)
        during.append(ticks.longest_us)
        operation.__exit__(None, None, None)
        check_stamp(target_bytes, number)
        with Ticks() as ticks:
            await asyncio.sleep(spent[-1] / 1e6)  # As long as the read, to compare.
        quiet.append(ticks.longest_us)
        await session.channel.send(next=True)
    return {"during": during, "quiet": quiet, "spent": spent}


async def expose(session: Session) -> None:
    order = await session.channel.receive()
    source, source_bytes = memory(order["size"])
    for number in range(order["count"]):
        stamp(source_bytes, number)
        descriptor = session.nixl.Descriptor(source)
        with await session.connector.create_readable(descriptor) as readable:
            await session.send_metadata(readable)
            await readable.wait_for_completion()
        await session.channel.receive()
