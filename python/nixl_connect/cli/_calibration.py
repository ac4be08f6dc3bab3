# SPDX-License-Identifier: Apache-2.0
"""The doctor's calibration: measures what the paths cost on this machine, shows it, and
keeps it where Connectors find it. Main thread."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ._costs import NEVER, Sizes, content_of, replacing, usual_file, write
from ._measuring import Row, measure, steps_of
from ._report import readable_size, report_console, table_with


def calibrate(output: Path | None, is_json: bool, sizes: Sizes | None = None) -> None:
    """Prints what was predicted until now, by the file that is replaced or by usual
    figures, and what was found. Failure, or an Error, if something does not work; the
    file is as it was then."""
    file = usual_file() if output is None else output
    sizes = Sizes() if sizes is None else sizes
    with replacing(file) as stream:
        with _progress(steps_of(sizes)) as go_on:
            measured = measure(file, sizes, go_on)
        content = content_of(measured.costs)
        write(content, stream)
    if is_json:
        print(json.dumps({"file": str(file), **content}, indent=2))
        return
    console = report_console()
    console.print(_table_of(measured.rows), "", sep="\n")
    for path, obstacle in measured.obstacles.items():
        console.print(f"{path} was not measured: {obstacle}")
    console.print(_about_streaming(content.get("streaming_bytes")))
    is_found = output is None and os.environ.get("NIXL_CONNECT_COSTS") != ""
    how = "" if is_found else f"; NIXL_CONNECT_COSTS={file} has Connectors use it"
    console.print(f"written to {file}{how}")


def _about_streaming(streaming_bytes: int | None) -> str:
    if streaming_bytes is None:
        return "from which size on copies go around the caches was not measured"
    if streaming_bytes == NEVER:
        return "copies never go around the caches, which would be no faster"
    return f"copies of {readable_size(streaming_bytes)} and more go around the caches"


@contextmanager
def _progress(steps: int) -> Generator[Callable[[str], None], None, None]:
    """A bar on standard error, if that is a terminal. What it gives is called with what
    is next."""
    bar = Progress(
        TextColumn("measuring {task.description:16}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %", markup=False),
        console=Console(stderr=True),
        transient=True,
        disable=not os.isatty(2),
    )
    with bar:
        task = bar.add_task("", total=steps + 1)
        yield lambda text: bar.update(task, description=text, advance=1)


def _table_of(rows: list[Row]) -> Table:
    table = table_with(["path", "transfer"], ["predicted", "measured", "GB/s"])
    for row in rows:
        table.add_row(
            row.path,
            row.transfer,
            _microseconds(row.predicted),
            _microseconds(row.measured),
            f"{row.bytes / 1e9 / row.measured:.2f}",
        )
    return table


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"
