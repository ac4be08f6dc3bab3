# SPDX-License-Identifier: Apache-2.0
"""Rows: thousands of ranges in one read, with gaps between them on both sides, beside
the same bytes in one piece, and what moves the same ranges at best."""

from __future__ import annotations

from contestants import Work, ours, raw
from host_goals import share_of
from row import Role, Row
from setup import KIB, Setup, size_text


def rows(setup: Setup) -> list[Row]:
    return [
        scattered(setup, path, size)
        for path in ("host.cma", "host.map")
        for size in (4 * KIB, 16 * KIB, 64 * KIB)
    ]


def scattered(setup: Setup, path: str, size: int) -> Row:
    count, together = setup.ranges, setup.ranges * size
    waits = {"window": 0, "waits": True}
    many = Work("READ", size, setup.many, {"count": count}, {**waits, "count": count})
    one = Work("READ", together, setup.many, measuring=waits)
    mapped = {"count": count, "mapped": path == "host.map"}
    alone = Work("READ", size, setup.many, mapped, {"count": count})
    means = {"host.cma": ["system-call"], "host.map": ["memcpy", "streaming"]}
    return Row(
        f"{count:,} scattered ranges of {size_text(size)}, {path}, read",
        [
            ours(setup, path, many, "scattered"),
            ours(setup, path, one, "in one piece", Role.WHOLE),
            *(
                raw(setup, each, alone, 0, f"{each} of the same ranges")
                for each in means[path]
            ),
        ],
        [share_of(Role.WHOLE, 0.8), share_of(Role.CEILING)],
        size=together,
    )
