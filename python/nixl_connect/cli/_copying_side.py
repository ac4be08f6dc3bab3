# SPDX-License-Identifier: Apache-2.0
"""The demo's process that reads the exposed memory and writes it back. Main thread.

It gets one line of JSON on its standard input, the metadata of three operations:
  {"greeting": metadata, "read": metadata, "write": metadata}
and answers with lines on its standard output, for each of the three in this order any
number of the first form and one of the second:
  {"direction": "read", "bytes": so far}
  {"direction": "read", "bytes": all, "seconds": number, "path": text}
or, if it fails, {"error": text}.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .. import ActiveOperation, Connector, Descriptor, RdmaMetadata

_PROGRESS_INTERVAL = 0.05


def run() -> int:
    """The exit code of the process."""
    order = sys.stdin.readline()
    if not order:
        return 1
    with suppress(BrokenPipeError):  # The exposing process is gone.
        try:
            _copy(json.loads(order))
            return 0
        except Exception as error:
            _tell({"error": str(error) or type(error).__name__})
    return 1


def _copy(order: dict[str, str]) -> None:
    greeting, source, target = (
        RdmaMetadata.model_validate_json(order[name])
        for name in ("greeting", "read", "write")
    )
    memory = Descriptor(bytearray(source.descriptors[0].size))
    with Connector() as connector:
        head = memory[: greeting.descriptors[0].size]
        _transfer("greeting", lambda: connector.begin_read(greeting, head))
        _transfer("read", lambda: connector.begin_read(source, memory))
        _transfer("write", lambda: connector.begin_write(memory, target))


def _transfer(direction: str, begin: Callable[[], ActiveOperation]) -> None:
    start = time.perf_counter()
    with begin() as operation:
        while not operation.wait(_PROGRESS_INTERVAL):
            _tell({"direction": direction, "bytes": operation.bytes_transferred})
        seconds = time.perf_counter() - start
        operation.result()
        _tell(
            {
                "direction": direction,
                "bytes": operation.bytes_transferred,
                "seconds": seconds,
                "path": operation.path,
            }
        )


def _tell(message: dict[str, Any]) -> None:
    # Past sys.stdout, which would try again at exit what a broken pipe has refused.
    os.write(1, json.dumps(message).encode() + b"\n")
