# SPDX-License-Identifier: Apache-2.0
"""The side channel of the two processes: JSON lines over a socket that both were born
with, as metadata travels in production. Used by measurements, on their event loop."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

# One line holds the metadata of thousands of descriptors.
LINE_LIMIT = 1 << 26


class Channel:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, descriptor: int) -> Channel:
        """Over an inherited socket, which it takes."""
        reader, writer = await asyncio.open_connection(
            sock=socket.socket(fileno=descriptor), limit=LINE_LIMIT
        )
        return cls(reader, writer)

    async def send(self, **message: Any) -> None:
        await self.send_text(json.dumps(message))

    async def send_text(self, line: str) -> None:
        self._writer.write(line.encode() + b"\n")
        await self._writer.drain()

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.receive_text())
        return message

    async def receive_text(self) -> str:
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("the other process of the measurement ended")
        return line.decode()
