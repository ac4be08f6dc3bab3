# SPDX-License-Identifier: Apache-2.0
"""ZeroMQ over ipc://, sent without a copy of its own and received into the target. Used
by message_peer.py."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import zmq
from memory import Bytes


class Writer:
    def __init__(self, connection: Connection, source: Bytes):
        self._source = source.data
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        address = f"ipc://@host_bench-{os.getpid()}"  # It has no file.
        self._socket.bind(address)
        connection.send(address)

    def prepare(self) -> None:
        """Nothing is new for each time."""

    def send(self) -> None:
        self._socket.send(self._source, copy=False)

    def close(self) -> None:
        self._socket.close()


class Reader:
    def __init__(self, connection: Connection, target: Bytes):
        self._target = target.data
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
        self._socket.connect(connection.recv())

    def receive(self) -> None:
        self._socket.recv_into(self._target)
