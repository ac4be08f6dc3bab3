# SPDX-License-Identifier: Apache-2.0
"""How far the demo's transfers are. Called on the main thread; on a terminal rich
repaints the bars from a thread of its own."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from .._closing import Closing
from ._report import readable_size


class Tenths(Closing):
    """Where there is no terminal: a line for each tenth."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: tuple[str, int] | None = None

    def show(self, direction: str, moved: int, total: int) -> None:
        """`moved` of `total` bytes are there."""
        share = 100 * moved // total if total else 100
        if self._shown != (direction, share // 10):
            self._shown = (direction, share // 10)
            self._console.print(f"{direction:9}{share:3} %  {_amount(moved, total)}")

    def close(self) -> None:
        """Nothing is left to print."""


class Bars(Closing):
    """On a terminal: a bar for each direction."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:9}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:3.0f} %", markup=False),
            TextColumn("{task.fields[amount]}", markup=False),
            console=console,
        )
        self._progress.start()
        self._shown: str | None = None

    def show(self, direction: str, moved: int, total: int) -> None:
        """`moved` of `total` bytes are there."""
        if self._shown != direction:
            self._shown = direction
            self._task = self._progress.add_task(direction, amount="")
        self._progress.update(
            self._task,
            completed=moved if total else 1,
            total=total or 1,
            amount=_amount(moved, total),
        )

    def close(self) -> None:
        """Later output comes below the bars."""
        self._progress.stop()


def progress_on(console: Console) -> Bars | Tenths:
    """The one that suits it, to be used in `with`."""
    if sys.stdout.isatty() and not console.is_dumb_terminal:
        return Bars(console)
    return Tenths(console)


def _amount(moved: int, total: int) -> str:
    return f"{readable_size(moved)} of {readable_size(total)}"
