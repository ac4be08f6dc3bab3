# SPDX-License-Identifier: Apache-2.0
"""The doctor: what this machine has, which paths work between two of its processes, and
what would help. Main thread."""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from .. import Connector, Descriptor, Plan
from ._gpus import gpus, lines_of
from ._machine import machine
from ._neighbour import Memory, Neighbour
from ._report import report_console

_READ_BYTES = 1 << 20
_PTRACE_SCOPES = (
    "0, processes of one user",
    "1, a process and its descendants, and those that it allows",
    "2, CAP_SYS_PTRACE only",
    "3, nobody",
)


def examine(is_json: bool) -> None:
    """Prints it, for people or as one JSON object. Failure or an Error if not even two
    processes of this machine come together, ImportError without UCX."""
    found = {**machine(), "gpus": gpus()}
    console = report_console()
    if not is_json:
        console.print(_table_of(found))
    found["ucx"], plans = _plans()
    if is_json:
        found["plans"] = {name: plan.as_dict() for name, plan in plans.items()}
        print(json.dumps(found, indent=2))
        return
    console.print(f"{found['ucx']}\n")
    for name, plan in plans.items():
        console.print(f"reading {name} memory of another process\n{plan}\n")


def _plans() -> tuple[str, dict[str, Plan]]:
    """The UCX in use, and the plans for reads from another process, by the kind of its
    memory."""
    memories = [Memory(_READ_BYTES), Memory(_READ_BYTES, is_mapped=True)]
    target = Descriptor(bytearray(_READ_BYTES))
    with Connector() as connector:
        transport = connector.transport()
        with Neighbour({}, memories) as neighbour:
            ordinary, mapped = [
                connector.explain(each, target) for each in neighbour.metadata()
            ]
    return transport, {"ordinary": ordinary, "empty()": mapped}


def _table_of(found: dict[str, Any]) -> Table:
    table = Table.grid("name", "value", padding=(0, 2))
    huge, transparent = found["huge_pages"], found["transparent_huge_pages"]
    scope = found["ptrace_scope"]
    lines: list[tuple[str, object]] = [
        ("nixl-connect", found["version"]),
        ("Python", found["python"]),
        ("system", found["system"]),
        ("cores", found["cores"]),
        ("copying threads", found["copy_threads"]),
        ("transparent huge pages", transparent["memory"]),
        ("of shared memory", transparent["shared_memory"]),
        ("huge pages free", f"{huge['free']} of {huge['KiB_each']} KiB"),
        ("memfd_create()", "works" if found["memfd"] else "does not work"),
        (
            "Yama's ptrace_scope",
            "not there" if scope is None else _PTRACE_SCOPES[scope],
        ),
        ("network devices", ", ".join(found["net_devices"])),
        *lines_of(found["gpus"]),
        ("costs of the paths", found["costs_file"] or "usual figures"),
        *found["environment"].items(),
    ]
    for name, value in lines:
        table.add_row(name, "-" if value is None else str(value))
    return table
