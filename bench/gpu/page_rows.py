# SPDX-License-Identifier: Apache-2.0
"""Rows: thousands of scattered pages from one GPU to another, of two processes. Ours
makes its lists of pages once, as NIXL prepares its request, and goes on with them; what
memory it met it keeps open. Those of C++ are for comparison: what Python costs."""

from __future__ import annotations

from dataclasses import replace

from gpu_ceilings import raw
from gpu_contestants import Field, ours, ours_in_cpp
from gpu_goals import at_least_gbps
from gpu_peers import nccl, nixl
from host_goals import share_of
from layout import Work, scattered
from row import Contestant, Role, Row
from setup import KIB, size_text

# GB/s by the size of a page.
LEAST = {4 * KIB: 240, 16 * KIB: 320, 64 * KIB: 340, 256 * KIB: 355}
BLOCKS = (32, 64, 132)  # of the kernel, each on a multiprocessor
NIXL_OPERATIONS = 4


def rows(field: Field) -> list[Row]:
    sizes = field.setup.sizes
    room = max(
        scattered("READ", sizes.pages, each).pool_bytes for each in sizes.page_bytes
    )
    return [
        page_row(
            replace(field, room=room),
            scattered(kind, sizes.pages, page_bytes),
            f"{sizes.pages:,} pages of {size_text(page_bytes)}, {kind.lower()}",
            LEAST[page_bytes],
            [nccl(field, scattered(kind, sizes.pages, page_bytes))],
        )
        for page_bytes in sizes.page_bytes
        for kind in ("READ", "WRITE")
    ]


def page_row(
    field: Field, work: Work, name: str, least: float, others: list[Contestant]
) -> Row:
    window = field.setup.sizes.window
    return Row(
        name,
        [
            ours(field, work, "ours, spinning", "spin"),
            ours(field, work, "ours, in wait()", "wait"),
            ours(field, work, f"ours, {window} under way", "wait", window),
            ours_in_cpp(field, work, "ours, C++, spinning", role=Role.BESIDE),
            ours_in_cpp(
                field,
                work,
                f"ours, C++, {window} under way",
                spins=False,
                window=window,
                role=Role.BESIDE,
            ),
            *(
                raw(field, work, f"page kernel, {n} blocks", "kernel", n)
                for n in BLOCKS
            ),
            raw(
                field,
                work,
                f"page kernel, {BLOCKS[-1]} blocks, {window} under way",
                "kernel",
                BLOCKS[-1],
                window,
            ),
            nixl(field, work, NIXL_OPERATIONS),
            *others,
        ],
        [at_least_gbps(least), share_of(Role.CEILING), share_of(Role.PEER)],
        size=work.size,
    )
