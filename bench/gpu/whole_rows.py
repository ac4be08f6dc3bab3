# SPDX-License-Identifier: Apache-2.0
"""Rows: memory in one piece from one GPU to another, of two processes. An operation is
begun with the same descriptors each time, and what memory was met stays open."""

from __future__ import annotations

from dataclasses import replace

from gpu_ceilings import raw
from gpu_contestants import Field, ours, ours_in_cpp
from gpu_goals import at_least_gbps
from gpu_peers import nccl, nixl
from host_goals import share_of
from layout import whole
from row import Role, Row
from setup import GIB, MIB, size_text

# GB/s by size.
LEAST = {GIB: 385, 64 * MIB: 350, MIB: 60}
NIXL_OPERATIONS = 10


def rows(field: Field) -> list[Row]:
    sizes = field.setup.sizes
    return [
        row_of(replace(field, room=max(sizes.whole)), kind, size)
        for size in sizes.whole
        for kind in ("READ", "WRITE")
    ]


def row_of(field: Field, kind: str, size: int) -> Row:
    work = whole(kind, size)
    return Row(
        f"{size_text(size)} in one piece, {kind.lower()}",
        [
            ours(field, work, "ours, spinning", "spin"),
            ours(field, work, "ours, in wait()", "wait"),
            ours_in_cpp(field, work, "ours, C++, spinning"),
            ours_in_cpp(field, work, "ours, C++, in wait()", spins=False),
            raw(field, work, "copy engine, spinning on a word", "engine-word"),
            raw(field, work, "copy engine, spinning on an event", "engine-event"),
            nixl(field, work, NIXL_OPERATIONS),
            nccl(field, work),
        ],
        [
            at_least_gbps(LEAST.get(size, 0)),
            share_of(Role.CEILING),
            share_of(Role.PEER),
        ],
        size=size,
    )
