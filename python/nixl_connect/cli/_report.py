# SPDX-License-Identifier: Apache-2.0
"""What the commands print, but for their progress. Main thread."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

_WIDTH_OF_FILES = 160


@dataclass(frozen=True)
class Row:
    """One finished transfer."""

    direction: str
    size: int
    seconds: float
    path: str


def report_console() -> Console:
    """Standard output, on which the names of files come out as they are."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return Console(
        width=width, markup=False, emoji=False, highlight=False, soft_wrap=True
    )


def readable_size(size: float) -> str:
    """``256.0 MiB``"""
    if size < 1024:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} TiB"


def table_with(texts: list[str], numbers: list[str]) -> Table:
    """One with these columns, and no lines yet."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in texts:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, no_wrap=True, justify="right")
    return table


def table_of(rows: list[Row]) -> Table:
    """A line for each."""
    table = table_with(["direction"], ["bytes", "time", "GB/s"])
    table.add_column("path", overflow="fold")
    for row in rows:
        table.add_row(
            row.direction,
            str(row.size),
            f"{row.seconds * 1e3:.3f} ms",
            f"{row.size / 1e9 / row.seconds:.2f}",
            row.path or "-",
        )
    return table
