# SPDX-License-Identifier: Apache-2.0
"""One read that connects the two processes before they measure something else. Both
ends of it live on meanwhile, so that upstream's connection does. Used by process.py."""

from __future__ import annotations

from typing import Any

from session import Session, memory

SIZE = 64


async def initiate(session: Session) -> Any:
    """The operation, which is done."""
    descriptor = session.nixl.Descriptor(memory(SIZE)[0])
    metadata = await session.receive_metadata()
    operation = await session.connector.begin_read(metadata, descriptor)
    await operation.wait_for_completion()
    await session.channel.send(next=True)
    return operation


async def expose(session: Session) -> Any:
    """The operation, which is done."""
    descriptor = session.nixl.Descriptor(memory(SIZE)[0])
    readable = await session.connector.create_readable(descriptor)
    await session.send_metadata(readable)
    await readable.wait_for_completion()
    await session.channel.receive()
    return readable
