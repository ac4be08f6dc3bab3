# SPDX-License-Identifier: Apache-2.0
"""Rows: scattered pages within one GPU, of two processes."""

from __future__ import annotations

from dataclasses import replace

from gpu_contestants import Field
from gpu_setup import HERE
from layout import scattered
from page_rows import page_row
from row import Row
from setup import KIB, size_text

# GB/s by the size of a page.
LEAST = {4 * KIB: 500, 64 * KIB: 1150}


def rows(field: Field) -> list[Row]:
    sizes = field.setup.sizes
    works = {each: scattered("READ", sizes.pages, each) for each in sizes.same_bytes}
    room = max(each.pool_bytes for each in works.values())
    there = here = f"gpu:{HERE}"
    return [
        page_row(
            replace(field, there=there, here=here, room=room),
            work,
            f"{sizes.pages:,} pages of {size_text(page_bytes)}, same GPU, read",
            LEAST[page_bytes],
            [],  # NCCL wants a GPU for each process.
        )
        for page_bytes, work in works.items()
    ]
