# SPDX-License-Identifier: Apache-2.0
"""What there is of GPUs, and what that means for transfers. Plain functions."""

from __future__ import annotations

import os
from typing import Any

from .. import _native
from .._errors import Error

Line = tuple[str, str]

_NOWHERE = "/dev/null"  # where no driver is


def gpus() -> dict[str, Any]:
    """What the library tells, plain values by name; with `notes`, on what it means."""
    driver = os.environ.get("NIXL_CONNECT_CUDA_DRIVER", "")
    try:
        found: dict[str, Any] = _native.report_gpus(driver)
    except Error as error:  # the driver is there, and fails
        found = {**_native.report_gpus(_NOWHERE), "why_no_driver": str(error)}
    return {**found, "notes": _notes(found)}


def lines_of(found: dict[str, Any]) -> list[Line]:
    """The same for people: what and how."""
    lines = [("CUDA driver", _driver_of(found))]
    for gpu in found["gpus"]:
        lines += [(f"cuda:{gpu['number']}", _text_of(gpu)), ("", _links_of(gpu))]
    lines.append(("page kernel", _kernel_of(found)))
    return lines + [("", note) for note in found["notes"]]


def _driver_of(found: dict[str, Any]) -> str:
    why_not: str = found["why_no_driver"]
    if why_not:
        return f"none, {why_not.removeprefix('no CUDA driver: ')}"
    version = found["driver_version"]
    return f"{found['driver_file']}, CUDA {version // 1000}.{version % 1000 // 10}"


def _kernel_of(found: dict[str, Any]) -> str:
    if not found["kernel_for"]:
        return f"none, {found['why_no_kernel']}"
    generations = ", ".join(map(_version, found["kernel_for"]))
    return f"for compute capabilities {generations} and newer ones"


def _text_of(gpu: dict[str, Any]) -> str:
    return (
        f"{gpu['name']}, {gpu['uuid']}, {gpu['pci_id']}, compute capability "
        f"{_version(gpu['compute_capability'])}, {gpu['multiprocessors']} "
        "multiprocessors"
    )


def _links_of(gpu: dict[str, Any]) -> str:
    others = ", ".join(f"cuda:{number}" for number in gpu["reaches"])
    return "; ".join(
        (
            f"reaches the memory of {others or 'no other GPU'}",
            "exports mapped memory by file descriptors"
            if gpu["exports_files"]
            else "does not export mapped memory",
            "its events can be waited for by other processes"
            if gpu["has_event_handles"]
            else "other processes cannot wait for its events",
        )
    )


def _version(capability: int) -> str:
    return f"{capability // 10}.{capability % 10}"


def _notes(found: dict[str, Any]) -> list[str]:
    """What is slow or impossible here, and what would help."""
    notes: list[str] = []
    if found["gpus"] and not found["kernel_for"]:
        notes.append(
            "without the page kernel the copy engines move everything, at 3 us a page; "
            "build nixl-connect where nvcc is (NIXL_CONNECT_CUDA_KERNELS=ON)"
        )
    for gpu in found["gpus"]:
        name = f"cuda:{gpu['number']}"
        if found["kernel_for"] and not gpu["runs_kernel"]:
            notes.append(
                f"the page kernel does not run on {name}, whose copy engines move "
                "everything, at 3 us a page"
            )
        if len(found["gpus"]) > len(gpu["reaches"]) + 1:
            notes.append(
                f"{name} does not reach all GPUs; memory goes between two only where "
                "one reaches the other (NVLink, or PCIe without ACS)"
            )
    if len(found["gpus"]) == 1 and "CUDA_VISIBLE_DEVICES" in os.environ:
        notes.append("CUDA_VISIBLE_DEVICES hides other GPUs, if there are any")
    return notes
