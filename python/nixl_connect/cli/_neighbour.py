# SPDX-License-Identifier: Apache-2.0
"""The doctor's second process, which exposes memory for the first one to read. Main
thread of both.

It gets one line of JSON on its standard input:
  {"connector": options,
   "memories": [{"bytes": number, "is_mapped": boolean, "gpu": number or null}, ...]}
and answers with one, {"metadata": [text, ...]}, or, if it fails, {"error": text}. It
ends when its standard input does.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from .. import Connector, Descriptor, RdmaMetadata
from ._gpu_memory import GpuMemory
from ._other_process import OtherProcess, command_of


@dataclass(frozen=True)
class Memory:
    """Of so many bytes; `is_mapped` for one of Connector.allocate(), `gpu` for one of
    the GPU with that number."""

    bytes: int
    is_mapped: bool = False
    gpu: int | None = None

    def allocate(self) -> Descriptor:
        """Such memory, with all its pages there, and 1 in each byte."""
        if self.gpu is not None:
            return GpuMemory(self.gpu, self.bytes).descriptor()
        return Descriptor(self._of_host())

    def _of_host(self) -> bytearray | memoryview:
        if not self.is_mapped:
            return bytearray(b"\1") * self.bytes
        memory = Connector.allocate(self.bytes)
        step = 1 << 20
        for start in range(0, self.bytes, step):
            memory[start : start + step] = b"\1" * min(step, self.bytes - start)
        return memory


class Neighbour(OtherProcess):
    """As the first process sees it. `options` are those of its Connector."""

    def __init__(self, options: dict[str, Any], memories: list[Memory]) -> None:
        super().__init__("exposing", command_of("_neighbour"))
        self.send(
            {"connector": options, "memories": [asdict(each) for each in memories]}
        )

    def metadata(self) -> list[RdmaMetadata]:
        """Of each of its memories, to be read. Once; Failure if it failed."""
        texts = self.receive()["metadata"]
        return [RdmaMetadata.model_validate_json(each) for each in texts]


def run() -> int:
    """The exit code of the second process."""
    try:
        order = json.loads(sys.stdin.readline())
        with ExitStack() as stack:
            connector = stack.enter_context(Connector(**order["connector"]))
            exposed = [
                stack.enter_context(
                    connector.create_readable(Memory(**each).allocate())
                )
                for each in order["memories"]
            ]
            texts = [each.metadata().model_dump_json() for each in exposed]
            print(json.dumps({"metadata": texts}), flush=True)
            sys.stdin.read()
        return 0
    except Exception as error:
        print(json.dumps({"error": str(error) or type(error).__name__}), flush=True)
    return 1
