# SPDX-License-Identifier: Apache-2.0
"""The two processes of ours, by the public Python API: ours_peer.py exposing|measuring.
They answer in lines of JSON:

    expose   work, place, operations, readable_each
                                          metadata, a list of texts; create_us
    check                                 an error unless what was written is right
    release                               ends what is exposed
    explain  work, place, metadata        path, and obstacles of those about GPUs
    measure  work, place, metadata, operations, end, window, check
                                          latencies_us, seconds, path
    awaited  work, place, metadata, parses, check
                                          latencies_us, path

`work` as layout.py has it, `place` as pools.py. measure() makes the lists of pages
once and begins operation after operation with them, of one readable that stays open or
of one writable for many. `end` is how the caller sees the end: "spin", on done(), or
"wait", in wait(). awaited() spends each text of the metadata on an operation that is
awaited on asyncio; the clock runs from begin_read or, if it `parses`, from the text on,
lists of pages included.
"""

from __future__ import annotations

import sys

from ours_exposing import Exposing
from ours_measuring import Measuring
from serving import serve

if __name__ == "__main__":
    serve({"exposing": Exposing, "measuring": Measuring}[sys.argv[1]])
