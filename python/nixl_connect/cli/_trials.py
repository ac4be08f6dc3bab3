# SPDX-License-Identifier: Apache-2.0
"""The doctor's trials: moves some bytes from another process by the path that is taken
for each kind of memory, and looks whether they are right. Main thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .. import Connector, Descriptor, Error, Plan, RdmaMetadata
from ._failure import Failure
from ._gpu_memory import GpuMemory
from ._neighbour import Memory, Neighbour
from ._subjects import copying_gpu

_BYTES = 1 << 20
_SECONDS = 30
_HOST_KINDS = ("ordinary", "empty()")


@dataclass(frozen=True)
class Trial:
    """What is read and where it goes to, for people; how it would be read, and the
    seconds that it took, or why it did not work."""

    source: str
    target: str
    plan: Plan
    seconds: float | None
    failure: str

    @property
    def name(self) -> str:
        """For programs."""
        return f"{self.source} into {self.target}" if self.target else self.source

    def __str__(self) -> str:
        into = f" into that of {self.target}" if self.target else ""
        text = f"reading {self.source} memory of another process{into}\n{self.plan}\n"
        if self.seconds is None:
            return text + f"  failed: {self.failure}\n"
        return text + f"  done, in {self.seconds * 1e6:,.1f} us\n"


def trials_of_host(connector: Connector) -> list[Trial]:
    """Failure or an Error if not even two processes of this machine come together."""
    memories = [Memory(_BYTES), Memory(_BYTES, is_mapped=True)]
    with Neighbour({}, memories) as neighbour:
        return [
            _try(connector, source, "", each, _HostTarget())
            for source, each in zip(_HOST_KINDS, neighbour.metadata(), strict=True)
        ]


def trials_of_gpus(connector: Connector, gpus: list[dict[str, Any]]) -> Iterator[Trial]:
    """From a GPU to another that reaches it, or to the same, and between that and the
    host. Failure or an Error if there is no such memory at all."""
    here, there = copying_gpu(gpus), gpus[0]
    target, name = _GpuTarget(here["number"]), f"cuda:{here['number']}"
    # As agents would reach it, which the connector's transport() tells of then.
    with suppress(Error), connector.create_readable(target.descriptor()):
        pass
    memories = [
        Memory(_BYTES),
        Memory(_BYTES, is_mapped=True),
        Memory(_BYTES, gpu=there["number"]),
    ]
    with Neighbour({}, memories) as neighbour:
        *of_host, of_gpu = neighbour.metadata()
        source = f"cuda:{there['number']}"
        yield _try(connector, source, name, of_gpu, target)
        for kind, each in zip(_HOST_KINDS, of_host, strict=True):
            yield _try(connector, kind, name, each, target)
        yield _try(connector, source, "the host", of_gpu, _HostTarget())


class _HostTarget:
    def __init__(self) -> None:
        self._bytes = bytearray(_BYTES)

    def descriptor(self) -> Descriptor:
        return Descriptor(self._bytes)

    def fill(self, value: int) -> None:
        self._bytes[:] = bytes([value]) * _BYTES

    def content(self) -> bytes:
        return bytes(self._bytes)


class _GpuTarget(GpuMemory):
    def __init__(self, gpu: int) -> None:
        super().__init__(gpu, _BYTES)


def _try(
    connector: Connector,
    source: str,
    target: str,
    remote: RdmaMetadata,
    local: _HostTarget | _GpuTarget,
) -> Trial:
    plan = connector.explain(remote, local.descriptor())
    try:
        _read_checked(connector, remote, local)  # It opens what it needs.
        seconds = _read_checked(connector, remote, local)
        return Trial(source, target, plan, seconds, "")
    except (Failure, Error) as error:
        return Trial(source, target, plan, None, str(error))


def _read_checked(
    connector: Connector, remote: RdmaMetadata, local: _HostTarget | _GpuTarget
) -> float:
    local.fill(0)
    seconds = _read(connector, remote, local.descriptor())
    if local.content() != b"\1" * _BYTES:
        raise Failure("other bytes have come than were sent")
    return seconds


def _read(connector: Connector, remote: RdmaMetadata, local: Descriptor) -> float:
    start = time.perf_counter()
    with connector.begin_read(remote, local) as read:
        if not read.wait(_SECONDS):
            raise Failure(f"it took more than {_SECONDS} seconds")
        seconds = time.perf_counter() - start
        read.result()
    return seconds
