# SPDX-License-Identifier: Apache-2.0
"""What can be typed after `nixl-connect`, and how failures are told: in one line, on
standard error. Called by main(), on the main thread."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from .._errors import Error
from ._calibration import calibrate
from ._doctor import examine
from ._exposing_side import move
from ._failure import Failure
from ._source import file_source, random_source

_INTERRUPTED = 130  # what shells report of a process that SIGINT ended
_UNITS = {"": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _about() -> None:
    """Moves memory between processes, and speaks NIXL's metadata."""


def parse_size(text: str) -> int:
    """Bytes of ``4096``, ``64KiB``, ``1GiB``."""
    found = re.fullmatch(r"(\d+) ?([KMGT]iB|)", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no size such as 4096, 64KiB or 1GiB")
    return int(found[1]) << _UNITS[found[2]]


@app.command()
def demo(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="The file to move; without it random bytes."
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            parser=parse_size,
            metavar="SIZE",
            help="How many random bytes, such as 64KiB; else 256MiB.",
        ),
    ] = None,
) -> None:
    """Moves a file's bytes into another process and back, and compares them.

    Fails if the result differs from the file.
    """
    if file is not None and size is not None:
        raise typer.BadParameter("--size is for random bytes, without a FILE")
    with _failures_told():
        if file is not None:
            move(file_source(file))
        else:
            move(random_source(256 << 20 if size is None else size))


@app.command()
def doctor(
    is_calibrating: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measures what the paths cost here, which takes 10 to 20 seconds (30 "
            "with GPUs), and keeps it for all Connectors.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Where that is kept; else where Connectors look for it, "
            "~/.config/nixl_connect/costs.json.",
        ),
    ] = None,
    is_json: Annotated[
        bool, typer.Option("--json", help="Prints one JSON object.")
    ] = False,
) -> None:
    """Tells what this machine has, which paths work on it and what would help."""
    if output is not None and not is_calibrating:
        raise typer.BadParameter("--output goes with --calibrate")
    with _failures_told():
        if is_calibrating:
            calibrate(output, is_json)
        else:
            examine(is_json)


@contextmanager
def _failures_told() -> Generator[None, None, None]:
    try:
        yield
    except (Failure, Error, ImportError) as error:
        _end(str(error), 1)
    except (MemoryError, OverflowError):
        _end("there is not enough memory for that", 1)
    except KeyboardInterrupt:
        _end("interrupted", _INTERRUPTED)


def _end(why: str, code: int) -> None:
    print("nixl-connect: " + why.replace("\n", " "), file=sys.stderr)
    raise typer.Exit(code)
