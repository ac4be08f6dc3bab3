# SPDX-License-Identifier: Apache-2.0
"""What a run measures with: sizes and counts, programs, and the environment that all
processes of all contestants have in common."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BENCH = Path(__file__).parent.parent


@dataclass(frozen=True)
class Setup:
    programs: Path  # Folder of host_bench and transfer_bench.
    threads: int
    size: int = GIB  # Of a large transfer.
    large: int = 5  # Operations of a round.
    many: int = 20
    small: int = 2000
    ranges: int = 4096
    told: int = 200
    awaited: int = 205
    flight: int = 256
    flights: int = 8

    @classmethod
    def tiny(cls, programs: Path, threads: int) -> Setup:
        return cls(
            programs,
            threads,
            size=4 * MIB,
            large=2,
            many=2,
            small=20,
            ranges=64,
            told=5,
            awaited=15,
            flight=16,
            flights=2,
        )

    def program(self, name: str) -> str:
        return str(self.programs / name)


def size_text(size: int) -> str:
    """Of a whole number of KiB."""
    unit = next(each for each in (GIB, MIB, KIB) if size % each == 0)
    return f"{size // unit} { {KIB: 'KiB', MIB: 'MiB', GIB: 'GiB'}[unit] }"


def not_installed(*modules: str, programs: tuple[str, ...] = ()) -> str:
    """Which of these modules this Python lacks, and which paths of programs lead
    nowhere; empty if none."""
    lacking = [each for each in modules if not importlib.util.find_spec(each)]
    lacking += [Path(each).name for each in programs if not Path(each).exists()]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


def copy_threads() -> int:
    """As many as the library takes by itself."""
    return min(len(os.sched_getaffinity(0)), 8)


def apply_common_settings(threads: int) -> None:
    """To the environment of this process, which all others inherit, where it does not
    say otherwise: as transfer_bench has it, and the UCX of this Python's wheel."""
    os.environ["NIXL_CONNECT_COPY_THREADS"] = str(threads)
    os.environ.setdefault("UCX_TLS", "tcp,cma,self")
    os.environ.setdefault("UCX_NET_DEVICES", "lo")
    os.environ.setdefault("UCX_RNDV_THRESH", "inf")
    choose_ucx()


def choose_ucx() -> None:
    """That of this Python's wheel, if there is one and none was chosen before."""
    wheel = importlib.util.find_spec("libucx")
    if wheel and wheel.origin:
        folder = str(Path(wheel.origin).parent / "lib")
        os.environ.setdefault("NIXL_CONNECT_UCX_DIRECTORY", folder)


def ucx_perftest() -> str:
    """Beside UCX's libraries or on PATH; a path that is not there if it is nowhere."""
    libraries = Path(os.environ.get("NIXL_CONNECT_UCX_DIRECTORY", "-"))
    beside = libraries.parent / "bin" / "ucx_perftest"
    found = None if beside.exists() else shutil.which("ucx_perftest")
    return found or str(beside)


def nixl_python() -> str:
    """An interpreter that has genuine NIXL; empty: none."""
    candidates = [sys.executable, os.environ.get("NIXL_CONNECT_INTEROP_PYTHON", "")]
    return next((each for each in candidates if each and has_nixl(each)), "")


def has_nixl(python: str) -> bool:
    look = "import importlib.util as u, sys; sys.exit(not u.find_spec('nixl'))"
    try:
        return subprocess.run([python, "-c", look], check=False).returncode == 0
    except OSError:  # The environment names none.
        return False
