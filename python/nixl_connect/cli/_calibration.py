# SPDX-License-Identifier: Apache-2.0
"""The doctor's calibration: measures what the paths cost on this machine, shows it, and
keeps it where Connectors find it. Main thread."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from ._costs import NEVER, Sizes, content_of, replacing, usual_file, write
from ._gpus import gpus
from ._measuring import Row, measure, steps_of
from ._report import readable_size, report_console, table_with

_NOISY = 0.3


def calibrate(output: Path | None, is_json: bool, sizes: Sizes | None = None) -> None:
    """Prints what was predicted until now, by the file that is replaced or by usual
    figures, and what was found. Failure, or an Error, if something does not work; the
    file is as it was then."""
    file = usual_file() if output is None else output
    sizes = Sizes() if sizes is None else sizes
    found = gpus()["gpus"]
    with replacing(file) as stream:
        with _progress(steps_of(sizes, found)) as go_on:
            measured = measure(file, sizes, found, go_on)
        content = content_of(measured.costs)
        write(content, stream)
    if is_json:
        rows = [_plain(row) for row in measured.rows]
        told = {"file": str(file), **content, "transfers": rows}
        print(json.dumps(told, indent=2))
        return
    console = report_console()
    console.print(_table_of(measured.rows), "", sep="\n")
    for path, obstacle in measured.obstacles.items():
        console.print(f"{path} was not measured: {obstacle}")
    console.print(_about_streaming(content.get("streaming_bytes")))
    if "engine_bytes" in content:
        console.print(_about_engines(content["engine_bytes"]))
    if noisy := [row for row in measured.rows if row.measured.spread > _NOISY]:
        console.print(
            f"{len(noisy)} of {len(measured.rows)} transfers were noisy, with a spread "
            f"above {_NOISY:.0%}: better measure again while nothing else runs"
        )
    is_found = output is None and os.environ.get("NIXL_CONNECT_COSTS") != ""
    how = "" if is_found else f"; NIXL_CONNECT_COSTS={file} has Connectors use it"
    console.print(f"written to {file}{how}")


def _about_streaming(streaming_bytes: int | None) -> str:
    if streaming_bytes is None:
        return "from which size on copies go around the caches was not measured"
    if streaming_bytes == NEVER:
        return "copies never go around the caches, which would be no faster"
    return f"copies of {readable_size(streaming_bytes)} and more go around the caches"


def _about_engines(engine_bytes: int) -> str:
    if engine_bytes == NEVER:
        return "between GPUs the page kernel copies whatever it may"
    return (
        f"between GPUs copy engines move ranges of {readable_size(engine_bytes)} "
        "and more"
    )


def _plain(row: Row) -> dict[str, Any]:
    return {
        "path": row.path,
        "transfer": row.transfer,
        "bytes": row.bytes,
        "predicted": row.predicted,
        "seconds": row.measured.seconds,
        "spread": row.measured.spread,
    }


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
    table = table_with(
        ["path", "transfer"], ["predicted", "measured", "spread", "GB/s"]
    )
    for row in rows:
        table.add_row(
            row.path,
            row.transfer,
            _microseconds(row.predicted),
            _microseconds(row.measured.seconds),
            f"{row.measured.spread:.0%}",
            f"{row.bytes / 1e9 / row.measured.seconds:.2f}",
        )
    return table


def _microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f} us"
