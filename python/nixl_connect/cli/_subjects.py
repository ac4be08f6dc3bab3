# SPDX-License-Identifier: Apache-2.0
"""What the calibration measures: for each path what it reads, of which process, and
into which memory. Main thread."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from .. import Connector, Descriptor, Error, RdmaMetadata
from ._costs import Sizes
from ._failure import Failure
from ._gpu_memory import GpuMemory
from ._neighbour import Memory, Neighbour

# Whatever the environment says.
ANY_PATH: dict[str, Any] = {
    "paths": [],
    "require": "",
    "forbid": [],
    "min_gbps": 0,
    "sm": True,
}

HOST_PATHS = ("local", "host.map", "host.cma", "ucx")
GPU_PATHS = ("cuda.peer", "cuda.staged")
SLOTS = "slots"


@dataclass(frozen=True)
class Subject:
    """Whose figures: a path's, or those of SLOTS, which are of cuda.staged where the
    host's memory is not pinned."""

    name: str
    remote: RdmaMetadata
    local: Descriptor
    large: int
    has_threads: bool = True
    """More of them move more."""
    has_kernel: bool = True
    """Or copy engines move all pages."""

    @property
    def path(self) -> str:
        """The one that is taken."""
        return "cuda.staged" if self.name == SLOTS else self.name

    @property
    def remark(self) -> str:
        """To what is moved, for people."""
        return " of plain memory" if self.name == SLOTS else ""

    @property
    def title(self) -> str:
        """For people."""
        return self.path + self.remark


@dataclass
class Subjects:
    """All that can be measured, and why the rest cannot."""

    all: list[Subject]
    obstacles: dict[str, str]

    def find(self, name: str) -> Subject | None:
        """The one with that name."""
        return next((each for each in self.all if each.name == name), None)


def subjects(stack: ExitStack, sizes: Sizes, gpus: list[dict[str, Any]]) -> Subjects:
    """Those of the host's memory, and if there are GPUs, of theirs. They live until the
    stack is left. Failure, or an Error, if two processes of the host do not come
    together."""
    most = max(sizes.large, sizes.largest_streamed, sizes.large_of_gpus)
    plain, mapped = Memory(sizes.large), Memory(most, is_mapped=True)
    exposed = _exposed(stack, [plain, mapped])
    here = stack.enter_context(Connector(**ANY_PATH, costs_file=""))
    own = stack.enter_context(here.create_readable(plain.allocate())).metadata()
    target = Memory(most).allocate()
    remotes = (own, exposed[1], exposed[0], exposed[0])
    found = Subjects(
        [
            Subject(name, remote, target, sizes.large)
            for name, remote in zip(HOST_PATHS, remotes, strict=True)
        ],
        {},
    )
    if gpus:
        try:
            found.all += _of_gpus(stack, sizes, gpus, exposed)
        except (Failure, Error) as error:
            found.obstacles = {name: str(error) for name in GPU_PATHS}
    return found


def copying_gpu(gpus: list[dict[str, Any]]) -> dict[str, Any]:
    """The one that reads memory of the first: another one that reaches it, if any."""
    return next((each for each in gpus[1:] if 0 in each["reaches"]), gpus[0])


def _of_gpus(
    stack: ExitStack,
    sizes: Sizes,
    gpus: list[dict[str, Any]],
    of_host: list[RdmaMetadata],
) -> list[Subject]:
    gpu, large = copying_gpu(gpus), sizes.large_of_gpus
    target = GpuMemory(gpu["number"], large).descriptor()
    [of_gpu] = _exposed(stack, [Memory(large, gpu=gpus[0]["number"])])
    plain, mapped = of_host
    has_kernel = gpu["runs_kernel"]
    return [
        Subject("cuda.peer", of_gpu, target, large, False, has_kernel),
        Subject("cuda.staged", mapped, target, large, False, has_kernel),
        Subject(SLOTS, plain, target, min(sizes.large, large), True, has_kernel),
    ]


def _exposed(stack: ExitStack, memories: list[Memory]) -> list[RdmaMetadata]:
    """By a process of its own, which gets far enough or raises Failure."""
    neighbour = Neighbour({**ANY_PATH, "costs_file": ""}, memories)
    return stack.enter_context(neighbour).metadata()
