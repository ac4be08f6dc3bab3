# SPDX-License-Identifier: Apache-2.0
"""multiprocessing.shared_memory, as it is used for data that begins and ends in plain
memory: the writer copies it in, the reader out. The block is made once. Used by
message_peer.py."""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from memory import Bytes


def bytes_of(block: SharedMemory, size: int) -> Bytes:
    assert block.buf is not None
    return np.frombuffer(block.buf, dtype=np.uint8, count=size)


class Writer:
    def __init__(self, connection: Connection, source: Bytes):
        self._connection = connection
        self._source = source
        self._block = SharedMemory(create=True, size=len(source))
        self._shared = bytes_of(self._block, len(source))
        connection.send(self._block.name)

    def prepare(self) -> None:
        """Nothing is new for each time."""

    def send(self) -> None:
        self._shared[:] = self._source
        self._connection.send("written")

    def close(self) -> None:
        del self._shared  # The block cannot be closed under it.
        self._block.close()
        self._block.unlink()


class Reader:
    def __init__(self, connection: Connection, target: Bytes):
        self._connection = connection
        self._target = target
        self._block = SharedMemory(name=connection.recv())
        self._shared = bytes_of(self._block, len(target))

    def receive(self) -> None:
        self._connection.recv()
        self._target[:] = self._shared

    def __del__(self) -> None:
        del self._shared
        self._block.close()
