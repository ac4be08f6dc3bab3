# SPDX-License-Identifier: Apache-2.0
"""What the programs that the tests drive have in common, nixl_agent.py and
dynamo_peer.py: how they digest memory, and where their answers go. Called on the thread
that obeys their commands."""

import os
import zlib
from typing import TextIO

import numpy as np

Pieces = list[tuple[int, int]]


def digest(memory: np.ndarray, pieces: Pieces) -> dict[str, int]:
    """Checksums of the bytes in these pieces, in their order, and of all others."""
    return {
        "inside": checksum(memory, pieces),
        "outside": checksum(memory, complement(memory.nbytes, pieces)),
    }


def checksum(memory: np.ndarray, pieces: Pieces) -> int:
    crc = 0
    for offset, size in pieces:
        crc = zlib.crc32(memory[offset : offset + size].data, crc)
    return crc


def complement(size: int, pieces: Pieces) -> Pieces:
    """What the pieces, which do not overlap, leave of this many bytes."""
    starts = [0, *(offset + length for offset, length in sorted(pieces))]
    ends = [*(offset for offset, _ in sorted(pieces)), size]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def answer_stream() -> TextIO:
    """Standard output. NIXL logs to it: all but answers go to standard error now."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers
