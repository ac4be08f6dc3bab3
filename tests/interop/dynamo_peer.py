# SPDX-License-Identifier: Apache-2.0
"""Connectors of Python as a program: genuine dynamo.nixl_connect, ours, or both at
once, which answer the same commands. dynamo_pairing.py drives it.

    dynamo_peer.py --implementation upstream|ours|ours-as-dynamo [--implementation ...]

Each line on standard input is a command, each gets one line of JSON as its answer on
standard output. It runs on one event loop (beside threads of the implementations') and
ends with its input.

    command  takes                                     answers
    open     name                                      name, module
    allocate buffer, size, seed                        address
    expose   op, kind, buffer, pieces, form?, hex?     metadata
    begin    op, kind, buffer, pieces, metadata,       remote
             form?, pages?
    dump     metadata                                  metadata
    wait     op, timeout_ms                            ended, status, failure?,
                                                       failure_kinds?
    drop     op
    digest   buffer, pieces                            inside, outside
    observe                                            what coexistence_probe sees
    together commands                                  answers, of all run at once

All but the last two take `by`, one of the implementations, the first one by default.
`kind` is READ or WRITE, `pieces` a list of [offset, size] inside a buffer, `form` a key
of FORMS, `pages` the peer's pages, as large as our pieces, which are pages too,
`status` the text of the operation's status. A command that fails answers
{"error": text, "error_kind": word}.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from memory import Pieces, answer_stream, digest

Answer = dict[str, Any]

# One line holds the metadata of thousands of descriptors.
LINE_LIMIT = 1 << 26


class Buffer:
    """Memory whose bytes follow from (size, seed)."""

    def __init__(self, size: int):
        self.storage = bytearray(size)  # The bytearray form exposes this very object.
        self.bytes = np.frombuffer(self.storage, dtype=np.uint8)
        self.address: int = self.bytes.ctypes.data

    def fill(self, seed: int) -> None:
        random = np.random.default_rng(seed).bytes(self.bytes.nbytes)
        self.bytes[:] = np.frombuffer(random, dtype=np.uint8)


def as_tensor(buffer: Buffer, offset: int, size: int) -> Any:
    return torch.from_numpy(buffer.bytes)[offset : offset + size]


def as_array(buffer: Buffer, offset: int, size: int) -> Any:
    return buffer.bytes[offset : offset + size], "cpu"


def as_pointer(buffer: Buffer, offset: int, size: int) -> Any:
    return buffer.address + offset, size, "cpu", buffer.bytes


def as_bytearray(buffer: Buffer, offset: int, size: int) -> Any:
    if (offset, size) != (0, len(buffer.storage)):
        raise ValueError("a bytearray is used as a whole")
    return buffer.storage


# What a Descriptor is made from.
FORMS: dict[str, Callable[[Buffer, int, int], Any]] = {
    "tensor": as_tensor,
    "array": as_array,
    "pointer": as_pointer,
    "bytearray": as_bytearray,
}


def load(implementation: str) -> Any:
    """The module. Genuine NIXL and its UCX load not before this."""
    if implementation == "ours":
        return importlib.import_module("nixl_connect")
    if implementation == "ours-as-dynamo":
        importlib.import_module("nixl_connect").install_as_dynamo()
    return importlib.import_module("dynamo.nixl_connect")


def kinds(error: BaseException) -> list[str]:
    """The names of its class and of all that this one derives from."""
    return [each.__name__ for each in type(error).__mro__]


@dataclass
class Live:
    """An operation and the task that awaits it, which upstream needs to go on."""

    operation: Any
    wait: asyncio.Task[None]


@dataclass
class Side:
    """One implementation in this process."""

    implementation: str
    module: Any = None
    connector: Any = None
    buffers: dict[str, Buffer] = field(default_factory=dict)
    operations: dict[str, Live] = field(default_factory=dict)

    async def open(self, name: str) -> Answer:
        self.module = load(self.implementation)
        self.connector = self.module.Connector(name)
        await self.connector.initialize()
        await self.connector._create_connection()
        return {"name": self.connector.name, "module": self.module.__file__}

    async def allocate(self, buffer: str, size: int, seed: int) -> Answer:
        """A buffer of the same name and size stays where it is and gets new bytes."""
        memory = self.buffers.get(buffer)
        if memory is None or memory.bytes.nbytes != size:
            memory = self.buffers[buffer] = Buffer(size)
        memory.fill(seed)
        return {"address": memory.address}

    async def expose(
        self,
        op: str,
        kind: str,
        buffer: str,
        pieces: Pieces,
        form: str = "tensor",
        hex: bool = False,
    ) -> Answer:
        local = self._descriptors(buffer, pieces, form)
        create = {
            "READ": self.connector.create_readable,
            "WRITE": self.connector.create_writable,
        }[kind]
        operation = await create(local)
        self._await(op, operation)
        return {"metadata": operation.metadata(hex).model_dump_json()}

    async def begin(
        self,
        op: str,
        kind: str,
        buffer: str,
        pieces: Pieces,
        metadata: str,
        form: str = "tensor",
        pages: list[int] | None = None,
    ) -> Answer:
        remote = self.module.RdmaMetadata.model_validate_json(metadata)
        if pages is None:
            local = self._descriptors(buffer, pieces, form)
        else:
            page_bytes = pieces[0][1]
            remote = remote.pages(page_bytes, pages)
            local = self.module.Descriptor.pages(
                self.buffers[buffer].bytes,
                page_bytes,
                [offset // page_bytes for offset, _ in pieces],
            )
        if kind == "READ":
            operation = await self.connector.begin_read(remote, local)
        else:
            operation = await self.connector.begin_write(local, remote)
        self._await(op, operation)
        return {"remote": operation.remote.name}

    async def dump(self, metadata: str) -> Answer:
        """Through a dict, as metadata travels inside a request of JSON."""
        model = self.module.RdmaMetadata.model_validate(json.loads(metadata))
        again = json.dumps(model.model_dump(), separators=(",", ":"))
        return {"metadata": again}

    async def wait(self, op: str, timeout_ms: int) -> Answer:
        live = self.operations[op]
        await asyncio.wait({live.wait}, timeout=timeout_ms / 1000)
        answer = {"ended": live.wait.done(), "status": str(live.operation.status)}
        failure = live.wait.exception() if live.wait.done() else None
        if failure is not None:
            answer |= {"failure": str(failure), "failure_kinds": kinds(failure)}
        return answer

    async def drop(self, op: str) -> Answer:
        live = self.operations.pop(op)
        live.wait.cancel()
        await asyncio.gather(live.wait, return_exceptions=True)
        live.operation.__exit__(None, None, None)
        return {}

    async def digest(self, buffer: str, pieces: Pieces) -> Answer:
        return digest(self.buffers[buffer].bytes, pieces)

    def _descriptors(self, buffer: str, pieces: Pieces, form: str) -> Any:
        """One Descriptor as itself, as users pass it, and more as a list."""
        memory, shape = self.buffers[buffer], FORMS[form]
        made = [self.module.Descriptor(shape(memory, *piece)) for piece in pieces]
        return made[0] if len(made) == 1 else made

    def _await(self, op: str, operation: Any) -> None:
        task = asyncio.get_running_loop().create_task(operation.wait_for_completion())
        self.operations[op] = Live(operation, task)


COMMANDS = {"open", "allocate", "expose", "begin", "dump", "wait", "drop", "digest"}


@dataclass
class Process:
    sides: list[Side]

    async def answer(self, line: str) -> Answer:
        try:
            return await self.obey(**json.loads(line))
        except Exception as error:  # The test is told, whatever it was.
            return {"error": str(error), "error_kind": " ".join(kinds(error))}

    async def obey(self, do: str, by: str | None = None, **arguments: Any) -> Answer:
        if do == "observe":
            from coexistence_probe import observe

            return observe()
        if do == "together":
            obeyed = [self.obey(**command) for command in arguments["commands"]]
            return {"answers": await asyncio.gather(*obeyed)}
        if do not in COMMANDS:
            raise ValueError(f"no command {do!r}")
        answer: Answer = await getattr(self._side(by), do)(**arguments)
        return answer

    def _side(self, by: str | None) -> Side:
        for side in self.sides:
            if by in (None, side.implementation):
                return side
        raise ValueError(f"no implementation {by!r} in this process")


async def serve(implementations: list[str]) -> None:
    answers = answer_stream()
    lines = asyncio.StreamReader(LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    process = Process([Side(implementation) for implementation in implementations])
    while line := await lines.readline():
        print(json.dumps(await process.answer(line.decode())), file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--implementation",
        action="append",
        required=True,
        choices=["upstream", "ours", "ours-as-dynamo"],
    )
    asyncio.run(serve(parser.parse_args().implementation))


if __name__ == "__main__":
    main()
