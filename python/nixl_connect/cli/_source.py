# SPDX-License-Identifier: Apache-2.0
"""The bytes that the demo moves. Plain functions."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ._failure import Failure


@dataclass(frozen=True)
class Source:
    """Where they are from, in words, and the bytes, of which there may be none."""

    name: str
    content: bytes


def file_source(path: Path) -> Source:
    """The content of a regular file. Failure that tells what is wrong with it."""
    name = os.fsencode(path).decode(errors="backslashreplace")
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise Failure(f"cannot move {name}: it is a directory, a file is needed")
        if not stat.S_ISREG(mode):
            raise Failure(f"cannot move {name}: it is not a regular file")
        return Source(name, path.read_bytes())
    except OSError as error:
        raise Failure(f"cannot move {name}: {error.strerror}") from None


def random_source(size: int) -> Source:
    """`size` random bytes."""
    return Source("random bytes", os.urandom(size))
