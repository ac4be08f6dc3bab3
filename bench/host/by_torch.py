# SPDX-License-Identifier: Apache-2.0
"""Tensors of torch passed through torch.multiprocessing, and copied by the reader,
whose tensor is its own then. Used by message_peer.py."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import cast

import torch
import torch.multiprocessing  # Teaches connections to send tensors.
from memory import Bytes


def shared(tensor: torch.Tensor) -> torch.Tensor:
    """The same, in shared memory."""
    return cast(torch.Tensor, tensor.share_memory_())  # type: ignore[no-untyped-call]


class PlainWriter:
    """The tensor is in plain memory, and share_memory_() moves it."""

    def __init__(self, connection: Connection, source: Bytes):
        self._connection = connection
        self._source = torch.from_numpy(source)
        self._tensor = self._source

    def prepare(self) -> None:
        self._tensor = self._source.clone()

    def send(self) -> None:
        self._connection.send(shared(self._tensor))

    def close(self) -> None:
        """Nobody needs to be told."""


class SharedWriter(PlainWriter):
    """The tensor was put into shared memory beforehand."""

    def __init__(self, connection: Connection, source: Bytes):
        super().__init__(connection, source)
        self._tensor = shared(self._source.clone())

    def prepare(self) -> None:
        """It is there."""


class Reader:
    def __init__(self, connection: Connection, target: Bytes):
        self._connection = connection
        self._target = torch.from_numpy(target)

    def receive(self) -> None:
        self._target.copy_(self._connection.recv())
