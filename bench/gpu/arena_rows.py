# SPDX-License-Identifier: Apache-2.0
"""Rows: memory of nixl_connect.empty() in one process and a GPU of another."""

from __future__ import annotations

from gpu_contestants import Field
from row import Row
from setup import GIB, MIB
from staged_rows import staged_row

# GB/s by size.
LEAST = {GIB: 52, MIB: 30}


def rows(field: Field) -> list[Row]:
    return [
        staged_row(field, "arena", "empty()", size, kind, LEAST.get(size, 0))
        for size in field.setup.sizes.staged
        for kind in ("READ", "WRITE")
    ]
