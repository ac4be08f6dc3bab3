# SPDX-License-Identifier: Apache-2.0
"""What every measurement is given: the implementation under test with one Connector,
and the way to the other process. Made by process.py."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from channel import Channel

try:
    import torch
except ModuleNotFoundError:  # Ours alone can be measured without it.
    torch = None  # type: ignore[assignment]

MODULES = {"ours": "nixl_connect", "upstream": "dynamo.nixl_connect"}

Bytes = npt.NDArray[np.uint8]


def now_us() -> float:
    """CLOCK_MONOTONIC, which both processes share."""
    return time.monotonic_ns() / 1000


@dataclass
class Session:
    implementation: str
    nixl: Any  # The module; None where only the event loop is measured.
    connector: Any
    channel: Channel
    signals: tuple[int, int]  # eventfds: of the initiating side, of the exposing one.

    @classmethod
    def of(
        cls, implementation: str, channel: Channel, signals: tuple[int, int]
    ) -> Session:
        if implementation == "none":
            return cls(implementation, None, None, channel, signals)
        nixl = importlib.import_module(MODULES[implementation])
        return cls(implementation, nixl, nixl.Connector(), channel, signals)

    async def send_metadata(self, readable: Any) -> None:
        await self.channel.send_text(readable.metadata().model_dump_json())

    async def receive_metadata(self) -> Any:
        text = await self.channel.receive_text()
        return self.nixl.RdmaMetadata.model_validate_json(text)


def memory(size: int) -> tuple[Any, Bytes]:
    """Host memory whose pages are present, as torch and as numpy see it; as numpy alone
    where there is no torch."""
    if torch is None:
        array = np.ones(size, dtype=np.uint8)
        return array, array
    tensor = torch.zeros(size, dtype=torch.uint8)
    tensor.fill_(1)
    return tensor, tensor.numpy()


def stamp(buffer: Bytes, number: int) -> None:
    """Writes a number at head and tail."""
    mark = np.frombuffer((number + 1).to_bytes(8, "little"), dtype=np.uint8)
    buffer[:8] = mark
    buffer[-8:] = mark


def check_stamp(buffer: Bytes, number: int) -> None:
    for part in buffer[:8], buffer[-8:]:
        found = int.from_bytes(part.tobytes(), "little") - 1
        if found != number:
            raise AssertionError(f"read the bytes of {found} instead of {number}")
