# SPDX-License-Identifier: Apache-2.0
"""Where a run takes place: whoever reads its figures must know."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

DISTRIBUTIONS = ["nixl-connect", "nixl", "torch", "pyzmq", "numpy"]
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")


def facts(threads: int) -> str:
    memory = fields("/proc/meminfo")
    versions = [f"{name} {version(name)}" for name in DISTRIBUTIONS]
    lines = {
        "CPU": fields("/proc/cpuinfo").get("model name", platform.machine()),
        "cores": f"{os.cpu_count()}, of which this may use "
        f"{len(os.sched_getaffinity(0))}; {threads} threads copy",
        "memory": f"{gib(memory['MemTotal'])} GiB, {gib(memory['MemAvailable'])} free",
        "kernel": platform.release(),
        "huge pages": f"{chosen('enabled')}, shared ones {chosen('shmem_enabled')}",
        "load": f"{os.getloadavg()[0]:.2f}",
        "Python": f"{platform.python_version()}, {', '.join(versions)}",
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def fields(file: str) -> dict[str, str]:
    """Of lines "name: value", the first of each name."""
    found: dict[str, str] = {}
    for line in Path(file).read_text().splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def gib(text: str) -> int:
    """Of a number of /proc/meminfo."""
    return int(text.split()[0]) >> 20


def chosen(setting: str) -> str:
    """The word that a file of sysfs has in brackets."""
    try:
        text = (HUGE_PAGES / setting).read_text()
    except OSError:
        return "unknown"
    return text.partition("[")[2].partition("]")[0]


def version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "(not installed)"
