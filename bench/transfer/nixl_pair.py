# SPDX-License-Identifier: Apache-2.0
"""The two processes of the column `nixl`: nixl_pair.py exposing|measuring.

Genuine NIXL agents with their defaults (a progress thread each), memory registered and
handles prepared before the clock starts, each transfer with the notification that tells
the exposing side, and a caller that spins on the state. pair_column.h gives the
commands.
"""

import collections
import json
import os
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "support"))

from memory import make_memory


def let_ucx_have_gpus():
    """Where there are GPUs, NIXL makes no agent without UCX's transports for them."""
    transports = os.environ.get("UCX_TLS", "all")
    is_restricted = transports != "all" and not transports.startswith("^")
    if os.path.exists("/dev/nvidiactl") and is_restricted and "cuda" not in transports:
        os.environ["UCX_TLS"] = f"{transports},cuda"


def make_agent():
    let_ucx_have_gpus()
    # NIXL prints as it is imported, which must not get among the answers.
    from nixl._api import nixl_agent, nixl_agent_config

    return nixl_agent(str(uuid.uuid4()), nixl_agent_config(backends=["UCX"]))


class Memory:
    """Registered with an agent."""

    def __init__(self, agent, size):
        self.bytes = make_memory(size)
        self.range = (self.bytes.ctypes.data, size, 0)
        self._agent = agent
        self._registered = agent.register_memory([(*self.range, "")], "DRAM")

    def release(self):
        self._agent.deregister_memory(self._registered)


class Exposing:
    def __init__(self):
        self.agent = None
        self.memory = None

    def open(self):
        self.agent = make_agent()
        return {}

    def expose(self, kind, size, readers):
        self.memory = Memory(self.agent, size)
        blob = self.agent.get_agent_metadata().hex()
        return {"metadata": json.dumps({"range": self.memory.range, "blob": blob})}

    def release(self):
        self.agent.get_new_notifs()
        self.memory.release()
        return {}


class Measuring:
    def __init__(self):
        self.agent = None

    def open(self):
        self.agent = make_agent()
        return {}

    def measure(self, kind, size, operations, window, metadata):
        exposed = json.loads(metadata)
        remote = self.agent.add_remote_agent(bytes.fromhex(exposed["blob"])).decode()
        memory = Memory(self.agent, size)
        local_list = self.agent.get_xfer_descs([memory.range], "DRAM")
        remote_list = self.agent.get_xfer_descs([tuple(exposed["range"])], "DRAM")
        handles = [
            self.agent.initialize_xfer(kind, local_list, remote_list, remote, b"done")
            for _ in range(window)
        ]
        self._one_at_a_time(handles[0], max(1, operations // 10))  # To warm up.
        latencies_us = self._one_at_a_time(handles[0], operations)
        seconds = self._side_by_side(handles, operations)
        for handle in handles:
            self.agent.release_xfer_handle(handle)
        self.agent.remove_remote_agent(remote)
        memory.release()
        return {"latencies_us": latencies_us, "gbps": size * operations / seconds / 1e9}

    def _spin(self, handle, state):
        while state == "PROC":
            state = self.agent.check_xfer_state(handle)
        if state != "DONE":
            raise RuntimeError(f"a transfer ended as {state}")

    def _one_at_a_time(self, handle, operations):
        latencies_us = []
        for _ in range(operations):
            start = time.perf_counter_ns()
            self._spin(handle, self.agent.transfer(handle))
            latencies_us.append((time.perf_counter_ns() - start) / 1e3)
        return latencies_us

    def _side_by_side(self, handles, operations):
        """Seconds for all of them, with as many under way as there are handles."""
        start = time.perf_counter()
        free = collections.deque(handles)
        under_way = collections.deque()
        for _ in range(operations):
            if not free:
                handle, state = under_way.popleft()
                self._spin(handle, state)
                free.append(handle)
            handle = free.popleft()
            under_way.append((handle, self.agent.transfer(handle)))
        for handle, state in under_way:
            self._spin(handle, state)
        return time.perf_counter() - start


def answer(peer, line):
    command = json.loads(line)
    try:
        return getattr(peer, command.pop("do"))(**command)
    except Exception as error:  # The parent is told, whatever it was.
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    os.environ.setdefault("NIXL_LOG_LEVEL", "WARN")
    # UCX and NIXL may print: standard output is for the answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peer = {"exposing": Exposing, "measuring": Measuring}[sys.argv[1]]()
    for line in sys.stdin:
        print(json.dumps(answer(peer, line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
