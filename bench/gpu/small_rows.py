# SPDX-License-Identifier: Apache-2.0
"""Rows: 4 KiB from one GPU to another, of two processes, by a caller in C++: from
begin_read or begin_write until it is complete. Each is a new operation."""

from __future__ import annotations

from dataclasses import replace

from gpu_ceilings import raw
from gpu_contestants import Field, ours_in_cpp
from gpu_goals import at_most_us
from gpu_peers import nixl
from host_goals import share_of
from layout import whole
from row import Role, Row
from setup import size_text

MOST_US = 12
NIXL_OPERATIONS = 500


def rows(field: Field) -> list[Row]:
    size = field.setup.sizes.small
    return [row_of(replace(field, room=size), kind, size) for kind in ("READ", "WRITE")]


def row_of(field: Field, kind: str, size: int) -> Row:
    work = whole(kind, size)
    return Row(
        f"{size_text(size)}, C++, begin to complete, {kind.lower()}",
        [
            ours_in_cpp(field, work, "ours, spinning on the status"),
            ours_in_cpp(field, work, "ours, in wait()", spins=False),
            raw(field, work, "copy engine, spinning on a word", "engine-word"),
            raw(field, work, "copy engine, spinning on an event", "engine-event"),
            nixl(field, work, NIXL_OPERATIONS),
        ],
        [at_most_us(MOST_US), share_of(Role.CEILING), share_of(Role.PEER)],
    )
