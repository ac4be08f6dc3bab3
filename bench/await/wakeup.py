# SPDX-License-Identifier: Apache-2.0
"""The floor under every wake-up across processes: a round trip over two eventfds from
one task on an asyncio loop to one on another, and nothing else."""

from __future__ import annotations

import asyncio
import os

from session import Session, now_us

WARM_UP = 20


class Bell:
    """Awaits an eventfd, by a reader callback that sets a future."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._rung: asyncio.Future[None] | None = None
        asyncio.get_running_loop().add_reader(descriptor, self._ring)

    async def wait(self) -> None:
        self._rung = asyncio.get_running_loop().create_future()
        await self._rung

    def _ring(self) -> None:
        os.eventfd_read(self._descriptor)
        assert self._rung is not None
        self._rung.set_result(None)


async def initiate(session: Session, count: int) -> dict[str, list[float]]:
    mine, theirs = session.signals
    bell = Bell(mine)
    await session.channel.send(count=count)
    await session.channel.receive()
    trips = []
    for _ in range(count):
        start = now_us()
        os.eventfd_write(theirs, 1)
        await bell.wait()
        trips.append(now_us() - start)
    return {"trips": trips[WARM_UP:]}


async def expose(session: Session) -> None:
    theirs, mine = session.signals
    count = (await session.channel.receive())["count"]
    bell = Bell(mine)
    await session.channel.send(ready=True)
    for _ in range(count):
        await bell.wait()
        os.eventfd_write(theirs, 1)
