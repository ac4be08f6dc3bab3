# SPDX-License-Identifier: Apache-2.0
"""Rows: opening a view of memory of each size, which nobody copies."""

from __future__ import annotations

from contestants import Work, ours
from host_goals import under_us
from row import Row
from setup import MIB, Setup, size_text


def rows(setup: Setup) -> list[Row]:
    measuring = {"window": 0, "waits": True, "views": True}
    return [
        Row(
            f"view of {size_text(size)}, C++, begin_view to open",
            [ours(setup, "host.map", Work("READ", size, setup.told, {}, measuring))],
            [under_us(100)],
        )
        for size in (MIB, setup.size)
    ]
