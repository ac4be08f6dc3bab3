# SPDX-License-Identifier: Apache-2.0
"""What a run measures with: GPUs, sizes and counts, programs, and what is missing."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from gpu_driver import Driver, DriverError
from setup import GIB, KIB, MIB, not_installed

HERE, THERE = 0, 1  # GPUs of the measuring and of the exposing process
DRIVER = "NIXL_CONNECT_CUDA_DRIVER"


@dataclass(frozen=True)
class Sizes:
    """Bytes, and how many pages or operations of a round."""

    pages: int = 4096
    page_bytes: tuple[int, ...] = (4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB)
    same_bytes: tuple[int, ...] = (4 * KIB, 64 * KIB)
    whole: tuple[int, ...] = (GIB, 64 * MIB, MIB)
    staged: tuple[int, ...] = (GIB, MIB)
    small: int = 4 * KIB
    python_pages: int = 64 * KIB
    small_operations: int = 2000
    awaited: int = 200
    window: int = 4
    round_bytes: int = 16 * GIB  # about what a large contestant moves in a round
    most_operations: int = 200

    @classmethod
    def tiny(cls) -> Sizes:
        return cls(
            pages=64,
            page_bytes=(4 * KIB,),
            same_bytes=(4 * KIB,),
            whole=(4 * MIB,),
            staged=(4 * MIB,),
            python_pages=4 * KIB,
            small_operations=20,
            awaited=5,
            window=2,
            round_bytes=16 * MIB,
            most_operations=5,
        )

    def operations(self, size: int) -> int:
        """Of a round, that each move so many bytes."""
        if size == self.small:
            return self.small_operations
        return max(5, min(self.most_operations, self.round_bytes // size))


@dataclass(frozen=True)
class GpuSetup:
    programs: Path  # Folder of gpu_bench and host_bench.
    threads: int  # that copy host memory, of ours and of the ceilings
    sizes: Sizes
    gpus: list[str]  # names
    why_none: str

    @classmethod
    def of_machine(cls, programs: Path, threads: int, sizes: Sizes) -> GpuSetup:
        try:
            gpus, why_none = Driver.of_environment().names(), ""
        except DriverError as error:
            gpus, why_none = [], str(error)
        return cls(programs, threads, sizes, gpus, why_none)

    def program(self, name: str) -> str:
        return str(self.programs / name)

    def missing(
        self,
        *modules: str,
        programs: tuple[str, ...] = (),
        gpus: int = 2,
        genuine: bool = False,
    ) -> str:
        """Why a contestant cannot take part: needs modules, programs, so many GPUs,
        and real ones if `genuine`. Empty if nothing is missing."""
        if len(self.gpus) < gpus:
            return self.why_none or f"needs {gpus} GPUs, there is {len(self.gpus)}"
        if genuine and os.environ.get(DRIVER):
            return "needs the system's CUDA driver"
        return not_installed(*modules, programs=programs)


def peer_command(name: str, *arguments: str) -> list[str]:
    """A process of this folder."""
    return [sys.executable, "-B", str(Path(__file__).parent / name), *arguments]
