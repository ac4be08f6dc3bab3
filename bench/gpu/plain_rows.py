# SPDX-License-Identifier: Apache-2.0
"""Rows: plain host memory of one process and a GPU of another. Beside the GPU's own
ceiling stands that of the system calls which bring the bytes from one process to the
other, by as many threads."""

from __future__ import annotations

from contestants import PIECE, raw
from contestants import Work as HostWork
from gpu_contestants import Field
from row import Row
from setup import Setup
from staged_rows import staged_row

LEAST = 22  # GB/s


def rows(field: Field) -> list[Row]:
    size = field.setup.sizes.staged[0]
    return [plain_row(field, size, kind) for kind in ("READ", "WRITE")]


def plain_row(field: Field, size: int, kind: str) -> Row:
    row = staged_row(field, "plain", "plain memory", size, kind, LEAST)
    setup = Setup(field.setup.programs, field.setup.threads)
    call = "process_vm_readv" if kind == "READ" else "process_vm_writev"
    work = HostWork(kind, size, field.setup.sizes.operations(size))
    name = f"{call}, {field.setup.threads} threads, host only"
    row.contestants.insert(-1, raw(setup, "system-call", work, PIECE, name))
    return row
