# SPDX-License-Identifier: Apache-2.0
"""The demo's process that owns the memory, and never touches it in between: it exposes
it, starts the copying side and reports. Main thread."""

from __future__ import annotations

import os
from hashlib import sha256

from rich.console import Console

from .. import Connector, Descriptor, wait_all
from ._copying_process import CopyingProcess
from ._failure import Failure
from ._progress import Bars, Tenths, progress_on
from ._report import Row, readable_size, report_console, table_of
from ._source import Source

_GREETING_BYTES = 8  # A first read, which opens the connection between the two.
_SECONDS_TO_HEAR = 10  # When the copying side is done, for its last message.


def move(source: Source) -> None:
    """Has another process copy `source` into itself and from there into a second
    buffer here. Failure or an Error if that does not come to its end, Failure if the
    two differ."""
    console = report_console()
    console.print(f"moving {source.name}, {readable_size(len(source.content))}")
    result = bytearray(len(source.content))
    rows = _move_through_other_process(source, result, console)
    console.print("", table_of(rows), "", sep="\n")
    expected, found = sha256(source.content).hexdigest(), sha256(result).hexdigest()
    console.print(f"SHA-256 of the source  {expected}")
    console.print(f"SHA-256 of the result  {found}")
    if found != expected:
        raise Failure("the result differs from the source")


def _move_through_other_process(
    source: Source, result: bytearray, console: Console
) -> list[Row]:
    readable, total = Descriptor(source.content), len(result)
    with Connector() as connector:
        console.print(f"transport {connector.transport()}")
        with (
            connector.create_readable(readable[:_GREETING_BYTES]) as greeting,
            connector.create_readable(readable) as reading,
            connector.create_writable(Descriptor(result)) as writing,
            CopyingProcess() as copier,
        ):
            console.print(
                f"exposing process {os.getpid()}, copying process {copier.id}"
            )
            copier.send(
                {
                    "greeting": greeting.metadata().model_dump_json(),
                    "read": reading.metadata().model_dump_json(),
                    "write": writing.metadata().model_dump_json(),
                }
            )
            with progress_on(console) as progress:
                rows = [
                    _follow(copier, size, progress)
                    for size in (min(_GREETING_BYTES, total), total, total)
                ]
            if not wait_all([greeting, reading, writing], _SECONDS_TO_HEAR):
                raise Failure("the copying process did not tell that it was done")
            return rows


def _follow(copier: CopyingProcess, total: int, progress: Bars | Tenths) -> Row:
    """Follows one transfer of the copying side to its end."""
    while True:
        message = copier.receive()
        direction, moved = message["direction"], message["bytes"]
        progress.show(direction, moved, total)
        if "seconds" in message:
            return Row(direction, moved, message["seconds"], message["path"])
