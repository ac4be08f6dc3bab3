# SPDX-License-Identifier: Apache-2.0
"""One side of a pairing over memory of GPUs, as a program: our package, genuine
dynamo.nixl_connect or a bare genuine NIXL agent. It obeys commands, one line of JSON
each, answers with one, and ends with its input. gpu_pairing.py drives it.

    open     name                                      name, devices
    allocate buffer, device, size, seed                -
    expose   op, kind, buffer, pieces                  metadata
    begin    op, kind, buffer, pieces, metadata        path, plan
    wait     op, timeout_ms                            done, status, path
    drop     op                                        -
    digest   buffer, pieces                            inside, outside

`kind` is READ or WRITE, `device` "cpu" or "cuda:N", `pieces` a list of [offset, size]
inside a buffer. A command that fails answers {"error": text, "error_kind": word}.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "interop"))

import envelope
import numpy as np
from memory import Pieces, answer_stream, digest

Answer = dict[str, Any]


class Buffer:
    """Memory of the host or of a GPU, whose bytes follow from (size, seed)."""

    def __init__(self, size: int, device: str):
        self.device = device
        if device == "cpu":
            self.data: Any = np.zeros(size, dtype=np.uint8)
            self.address: int = self.data.ctypes.data
        else:
            torch = importlib.import_module("torch")
            self.data = torch.zeros(size, dtype=torch.uint8, device=device)
            self.address = self.data.data_ptr()
        self.size = size

    def fill(self, seed: int) -> None:
        random = np.random.default_rng(seed).bytes(self.size)
        values = np.frombuffer(random, dtype=np.uint8)
        if self.device == "cpu":
            self.data[:] = values
        else:
            torch = importlib.import_module("torch")
            self.data.copy_(torch.from_numpy(values.copy()))
            torch.cuda.synchronize(self.device)

    def on_host(self) -> np.ndarray:
        if self.device == "cpu":
            return self.data
        importlib.import_module("torch").cuda.synchronize(self.device)
        return self.data.cpu().numpy()

    def ranges(self, pieces: Pieces) -> Pieces:
        return [(self.address + offset, size) for offset, size in pieces]


def count_devices() -> int:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return 0
    return torch.cuda.device_count()


class Side:
    """What all implementations have in common."""

    def __init__(self) -> None:
        self.buffers: dict[str, Buffer] = {}

    async def allocate(self, buffer: str, device: str, size: int, seed: int) -> Answer:
        """A buffer that is there already stays where it is and gets new bytes."""
        memory = self.buffers.get(buffer)
        if memory is None:
            memory = self.buffers[buffer] = Buffer(size, device)
            self.register(memory)
        memory.fill(seed)
        return {}

    def register(self, memory: Buffer) -> None:
        """For those that want it done once."""

    async def digest(self, buffer: str, pieces: Pieces) -> Answer:
        return digest(self.buffers[buffer].on_host(), pieces)


class Connectors(Side):
    """Our package or genuine dynamo.nixl_connect, whose interfaces are the same."""

    def __init__(self, module: str):
        super().__init__()
        self.module = importlib.import_module(module)
        self.is_ours = module == "nixl_connect"
        self.operations: dict[str, tuple[Any, asyncio.Task[None]]] = {}

    async def open(self, name: str) -> Answer:
        self.connector = self.module.Connector(name)
        await self.connector.initialize()
        return {"name": self.connector.name, "devices": count_devices()}

    async def expose(self, op: str, kind: str, buffer: str, pieces: Pieces) -> Answer:
        create = {
            "READ": self.connector.create_readable,
            "WRITE": self.connector.create_writable,
        }[kind]
        operation = await create(self._descriptors(buffer, pieces))
        self._await(op, operation)
        return {"metadata": operation.metadata().model_dump_json()}

    async def begin(
        self, op: str, kind: str, buffer: str, pieces: Pieces, metadata: str
    ) -> Answer:
        remote = self.module.RdmaMetadata.model_validate_json(metadata)
        local = self._descriptors(buffer, pieces)
        if kind == "READ":
            operation = await self.connector.begin_read(remote, local)
        else:
            operation = await self.connector.begin_write(local, remote)
        self._await(op, operation)
        return {}

    async def wait(self, op: str, timeout_ms: int) -> Answer:
        operation, task = self.operations[op]
        await asyncio.wait({task}, timeout=timeout_ms / 1000)
        answer: Answer = {"done": task.done(), "status": str(operation.status)}
        if task.done() and task.exception() is not None:
            answer |= {"done": False, "failure": str(task.exception())}
        if self.is_ours:
            answer["path"] = operation.path
        return answer

    async def drop(self, op: str) -> Answer:
        operation, task = self.operations.pop(op)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        operation.__exit__(None, None, None)
        return {}

    def _descriptors(self, buffer: str, pieces: Pieces) -> Any:
        memory = self.buffers[buffer]
        made = []
        for offset, size in pieces:
            part = memory.data[offset : offset + size]
            if memory.device == "cpu":
                device = self.module.Device("cpu")
                part = (part.ctypes.data, size, device, part)
            made.append(self.module.Descriptor(part))
        return made[0] if len(made) == 1 else made

    def _await(self, op: str, operation: Any) -> None:
        task = asyncio.get_running_loop().create_task(operation.wait_for_completion())
        self.operations[op] = (operation, task)


def nixl_kind(device: str) -> tuple[str, int]:
    """NIXL's memory type and device number."""
    name, _, number = device.partition(":")
    return ("DRAM", 0) if name == "cpu" else ("VRAM", int(number or 0))


class NixlAgent(Side):
    """A bare genuine agent. It is polled, since it gives no other way to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.api = importlib.import_module("nixl._api")
        self.operations: dict[str, Any] = {}  # handles; keys of exposures
        self.notified: list[bytes] = []

    async def open(self, name: str) -> Answer:
        devices = count_devices()
        if devices > 0:  # the context that UCX is to find
            importlib.import_module("torch").cuda.init()
        self.agent = self.api.nixl_agent(
            name, self.api.nixl_agent_config(backends=["UCX"])
        )
        return {"name": name, "devices": devices}

    def register(self, memory: Buffer) -> None:
        kind, number = nixl_kind(memory.device)
        self.agent.register_memory([(memory.address, memory.size, number, "")], kind)

    async def expose(self, op: str, kind: str, buffer: str, pieces: Pieces) -> Answer:
        memory = self.buffers[buffer]
        key = str(uuid.uuid4())
        self.operations[op] = key.encode()
        made = json.loads(
            envelope.compose(
                memory.ranges(pieces), self.agent.get_agent_metadata(), key, kind
            )
        )
        for descriptor in made["descriptors"]:
            descriptor["device"] = memory.device
        return {"metadata": json.dumps(made, separators=(",", ":"))}

    async def begin(
        self, op: str, kind: str, buffer: str, pieces: Pieces, metadata: str
    ) -> Answer:
        memory = self.buffers[buffer]
        fields = json.loads(metadata)
        blob = envelope.decode_blob(fields["nixl_metadata"])
        remote = self.agent.add_remote_agent(blob).decode()
        handle = self.agent.initialize_xfer(
            kind,
            self._list(memory.device, memory.ranges(pieces)),
            self._list(fields["descriptors"][0]["device"], envelope.ranges(metadata)),
            remote,
            fields["notification_key"].encode(),
        )
        self.operations[op] = handle
        self.agent.transfer(handle)
        return {}

    async def wait(self, op: str, timeout_ms: int) -> Answer:
        operation = self.operations[op]
        deadline = time.monotonic() + timeout_ms / 1000
        step = self._look_for if isinstance(operation, bytes) else self._step
        status = step(operation)
        while status == "PROC" and time.monotonic() < deadline:
            status = step(operation)
        return {"done": status == "DONE", "status": status}

    async def drop(self, op: str) -> Answer:
        operation = self.operations.pop(op)
        if not isinstance(operation, bytes):
            self.agent.release_xfer_handle(operation)
        return {}

    def _step(self, handle: Any) -> str:
        return self.agent.check_xfer_state(handle)

    def _look_for(self, key: bytes) -> str:
        for keys in self.agent.get_new_notifs().values():
            self.notified += keys
        if key not in self.notified:
            return "PROC"
        self.notified.remove(key)
        return "DONE"

    def _list(self, device: str, ranges: Pieces) -> Any:
        kind, number = nixl_kind(device)
        return self.agent.get_xfer_descs(
            [(address, size, number) for address, size in ranges], kind
        )


COMMANDS = {"open", "allocate", "expose", "begin", "wait", "drop", "digest"}
IMPLEMENTATIONS = {
    "ours": lambda: Connectors("nixl_connect"),
    "dynamo": lambda: Connectors("dynamo.nixl_connect"),
    "nixl": NixlAgent,
}


async def answer(side: Side, line: str) -> Answer:
    try:
        command = json.loads(line)
        do = command.pop("do")
        if do not in COMMANDS:
            raise ValueError(f"no command {do!r}")
        return await getattr(side, do)(**command)
    except Exception as error:  # The test is told, whatever it was.
        return {"error": str(error), "error_kind": type(error).__name__}


async def serve(implementation: str) -> None:
    answers = answer_stream()
    lines = asyncio.StreamReader(1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    side = IMPLEMENTATIONS[implementation]()
    while line := await lines.readline():
        print(json.dumps(await answer(side, line.decode())), file=answers, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
