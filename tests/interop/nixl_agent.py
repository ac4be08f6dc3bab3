# SPDX-License-Identifier: Apache-2.0
"""One genuine NIXL agent as a program: the twin of connector_peer.cc, with the same
commands and answers, one line of JSON each. It runs on one thread (beside NIXL's own)
and ends with its input. peers.py drives it.

Unlike connector_peer, `wait` on an exposed operation answers with the `sender` of the
notification, there is no `path`, and memory is registered by `allocate`: `regions` of
it, or else all.
"""

import json
import sys
import time
import uuid
from dataclasses import dataclass, field

import envelope
import numpy as np
from memory import Pieces, answer_stream, digest
from nixl._api import nixl_agent, nixl_agent_config

Answer = dict[str, object]


class Buffer:
    """Memory whose bytes follow from (size, seed), registered with an agent."""

    def __init__(self, agent: nixl_agent, size: int, seed: int, regions: Pieces):
        random = np.random.default_rng(seed)
        self.bytes = random.integers(0, 256, size, dtype=np.uint8)
        self.address = self.bytes.ctypes.data
        self._agent = agent
        self._registered = agent.register_memory(
            [(address, length, 0, "") for address, length in self.ranges(regions)],
            "DRAM",
        )

    def ranges(self, pieces: Pieces) -> Pieces:
        return [(self.address + offset, size) for offset, size in pieces]

    def release(self) -> None:
        self._agent.deregister_memory(self._registered)


@dataclass
class Transfer:
    """An operation this agent began."""

    handle: object
    status: str


@dataclass
class Exposure:
    """Memory this agent let a peer reach: done when somebody sends the key."""

    key: bytes


@dataclass
class Peer:
    agent: nixl_agent | None = None
    buffers: dict[str, Buffer] = field(default_factory=dict)
    operations: dict[str, Transfer | Exposure] = field(default_factory=dict)
    # (key, sender) in order of arrival, until a wait takes them.
    notifications: list[tuple[bytes, str]] = field(default_factory=list)

    def open(self, name: str) -> Answer:
        self.agent = nixl_agent(name, nixl_agent_config(backends=["UCX"]))
        return {"name": name}

    def allocate(
        self, buffer: str, size: int, seed: int, regions: Pieces | None = None
    ) -> Answer:
        if buffer in self.buffers:
            self.buffers.pop(buffer).release()
        made = Buffer(self.agent, size, seed, regions or [(0, size)])
        self.buffers[buffer] = made
        return {"address": made.address}

    def expose(
        self, op: str, kind: str, buffer: str, pieces: Pieces, hex: bool = False
    ) -> Answer:
        key = str(uuid.uuid4())
        self.operations[op] = Exposure(key.encode())
        blob = self.agent.get_agent_metadata()
        ranges = self.buffers[buffer].ranges(pieces)
        return {"metadata": envelope.compose(ranges, blob, key, kind, hex)}

    def begin(
        self, op: str, kind: str, buffer: str, pieces: Pieces, metadata: str
    ) -> Answer:
        fields = json.loads(metadata)
        blob = envelope.decode_blob(fields["nixl_metadata"])
        remote = self.agent.add_remote_agent(blob).decode()
        handle = self.agent.initialize_xfer(
            kind,
            self._host_list(self.buffers[buffer].ranges(pieces)),
            self._host_list(envelope.ranges(metadata)),
            remote,
            fields["notification_key"].encode(),
        )
        self.operations[op] = Transfer(handle, self.agent.transfer(handle))
        return {"remote": remote}

    def wait(self, op: str, timeout_ms: int) -> Answer:
        """Polls, since a NIXL agent gives no other way to learn of an end."""
        deadline = time.monotonic() + timeout_ms / 1000
        operation = self.operations[op]
        step = self._step if isinstance(operation, Transfer) else self._look_for
        answer = step(operation)
        while answer["status"] == "PROC" and time.monotonic() < deadline:
            answer = step(operation)
        return answer

    def drop(self, op: str) -> Answer:
        operation = self.operations.pop(op)
        if isinstance(operation, Transfer):
            self.agent.release_xfer_handle(operation.handle)
        return {}

    def digest(self, buffer: str, pieces: Pieces) -> Answer:
        return digest(self.buffers[buffer].bytes, pieces)

    def _step(self, transfer: Transfer) -> Answer:
        if transfer.status == "PROC":
            transfer.status = self.agent.check_xfer_state(transfer.handle)
        return {"status": transfer.status}

    def _look_for(self, exposure: Exposure) -> Answer:
        for sender, keys in self.agent.get_new_notifs().items():
            self.notifications += [(key, sender) for key in keys]
        for arrived in self.notifications:
            if arrived[0] == exposure.key:
                self.notifications.remove(arrived)
                return {"status": "DONE", "sender": arrived[1]}
        return {"status": "PROC"}

    def _host_list(self, ranges: Pieces):
        return self.agent.get_xfer_descs(
            [(address, size, 0) for address, size in ranges], "DRAM"
        )


COMMANDS = {"open", "allocate", "expose", "begin", "wait", "drop", "digest"}


def answer(peer: Peer, line: str) -> Answer:
    try:
        command = json.loads(line)
        do = command.pop("do")
        if do not in COMMANDS:
            raise ValueError(f"no command {do!r}")
        return getattr(peer, do)(**command)
    except Exception as error:  # The test is told, whatever it was.
        return {"error": str(error), "error_kind": type(error).__name__}


def main() -> None:
    answers = answer_stream()
    peer = Peer()
    for line in sys.stdin:
        print(json.dumps(answer(peer, line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
