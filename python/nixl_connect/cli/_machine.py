# SPDX-License-Identifier: Apache-2.0
"""What there is of this machine that paths depend on, as the system tells it. Plain
functions, which have no effect."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from .._native import version
from .._opening import copy_threads
from ._costs import usual_file
from ._failure import Failure


def machine() -> dict[str, Any]:
    """Plain values by name; None for what this system does not tell."""
    return {
        "version": version,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)),
        "copy_threads": _copy_threads(),
        "transparent_huge_pages": {
            "memory": _chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
            "shared_memory": _chosen(
                "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
            ),
        },
        "huge_pages": {
            "free": _of_meminfo("HugePages_Free"),
            "KiB_each": _of_meminfo("Hugepagesize"),
        },
        "memfd": _has_memfd(),
        "ptrace_scope": _number("/proc/sys/kernel/yama/ptrace_scope"),
        "net_devices": _net_devices(),
        "costs_file": _costs_file(),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("NIXL_CONNECT_", "UCX_", "CUDA_VISIBLE_DEVICES"))
        },
    }


def _copy_threads() -> int | str | None:
    return copy_threads(None) or os.environ.get("NIXL_CONNECT_COPY_THREADS")


def _costs_file() -> str | None:
    if "NIXL_CONNECT_COSTS" in os.environ:
        return os.environ["NIXL_CONNECT_COSTS"] or None
    try:
        file = usual_file()
    except Failure:
        return None
    return str(file) if os.access(file, os.R_OK) else None


def _text(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def _chosen(file: str) -> str | None:
    """Of ``always [madvise] never`` the word in brackets."""
    found = re.search(r"\[(\w+)\]", _text(file))
    return found[1] if found else None


def _number(file: str) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _of_meminfo(name: str) -> int | None:
    found = re.search(rf"^{name}: +(\d+)", _text("/proc/meminfo"), re.M)
    return int(found[1]) if found else None


def _has_memfd() -> bool:
    try:
        os.close(os.memfd_create("nixl_connect_doctor"))
    except OSError:
        return False
    return True


def _net_devices() -> list[str]:
    """As UCX names them, whether or not it can use them."""
    names: list[str] = []
    for folder in ("/sys/class/net", "/sys/class/infiniband"):
        with suppress(OSError):
            names += sorted(os.listdir(folder))
    return names
