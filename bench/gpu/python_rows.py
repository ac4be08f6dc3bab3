# SPDX-License-Identifier: Apache-2.0
"""Rows: the Python package on asyncio, between GPUs of two processes, with a readable
and its metadata for each operation. The clock of a small one runs from begin_read until
its await returns, that of the pages from the text of the metadata on: parsing, lists of
pages and the read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gpu_ceilings import raw
from gpu_contestants import Field, check_path, use_ours
from gpu_goals import at_most_us
from gpu_pair import Pair
from host_goals import share_of
from layout import Work, scattered, whole
from row import Contestant, Role, Row, Sample
from setup import size_text

SMALL_US = 60
PAGES_US = 1000
BLOCKS = 132


def rows(field: Field) -> list[Row]:
    sizes = field.setup.sizes
    small = whole("READ", sizes.small)
    pages = scattered("READ", sizes.pages, sizes.python_pages)
    return [
        Row(
            f"{size_text(small.size)}, Python, begin_read until its await returns",
            [
                awaited(field, small, sizes.awaited, parses=False),
                raw(field, small, "copy engine, spinning on a word", "engine-word"),
            ],
            [at_most_us(SMALL_US), share_of(Role.CEILING)],
        ),
        Row(
            f"{sizes.pages:,} pages of {size_text(sizes.python_pages)}, Python, "
            "from metadata's text until awaited",
            [
                awaited(field, pages, min(50, sizes.awaited), parses=True),
                raw(field, pages, f"page kernel, {BLOCKS} blocks", "kernel", BLOCKS),
            ],
            [at_most_us(PAGES_US), share_of(Role.CEILING)],
            size=pages.size,
        ),
    ]


def awaited(field: Field, work: Work, operations: int, parses: bool) -> Contestant:
    field = replace(field, room=work.pool_bytes)

    def turn(check: bool) -> Sample:
        def action(pair: Pair) -> Any:
            pair.expose(
                work,
                {"place": field.there},
                fresh=True,
                operations=operations,
                readable_each=True,
            )
            return pair.ask(
                "awaited", work, {"place": field.here}, parses=parses, check=check
            )

        answer = use_ours(field, action)
        check_path(answer, field.path)
        return Sample.of(answer["latencies_us"])

    missing = field.setup.missing("nixl_connect", "numpy", gpus=field.gpus)
    return Contestant("ours", Role.OURS, turn, missing)
