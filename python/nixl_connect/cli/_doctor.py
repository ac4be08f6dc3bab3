# SPDX-License-Identifier: Apache-2.0
"""The doctor: what this machine has, which paths work between two of its processes, and
what would help. Main thread."""

from __future__ import annotations

import json
from typing import Any

from rich.table import Table

from .. import Connector, Error
from ._failure import Failure
from ._gpus import gpus, lines_of
from ._machine import machine
from ._report import report_console
from ._trials import Trial, trials_of_gpus, trials_of_host

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
    with Connector() as connector:
        connector.transport()
        trials = trials_of_host(connector)
        why_no_gpus = ""
        if found["gpus"]["gpus"]:
            why_no_gpus = _try_gpus(connector, found["gpus"]["gpus"], trials)
        found["ucx"] = connector.transport()
    if is_json:
        found["plans"] = {each.name: each.plan.as_dict() for each in trials}
        found["reads"] = {
            each.name: {"seconds": each.seconds, "failure": each.failure}
            for each in trials
        }
        found["gpus"]["why_not_tried"] = why_no_gpus
        print(json.dumps(found, indent=2))
        return
    console.print(f"{found['ucx']}\n")
    for each in trials:
        console.print(str(each))
    if why_no_gpus:
        console.print(f"memory of GPUs could not be tried: {why_no_gpus}")


def _try_gpus(
    connector: Connector, gpus: list[dict[str, Any]], trials: list[Trial]
) -> str:
    """Adds to the trials what can be tried, and tells why the rest cannot."""
    try:
        trials.extend(trials_of_gpus(connector, gpus))
    except (Failure, Error) as error:
        return str(error)
    return ""


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
