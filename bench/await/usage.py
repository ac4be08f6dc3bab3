# SPDX-License-Identifier: Apache-2.0
"""How busy others kept the machine meanwhile: whoever reads the figures must know."""

from __future__ import annotations

import os
import resource
import time


class Usage:
    """From its making to its text."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._others = others_s()

    def __str__(self) -> str:
        share = (others_s() - self._others) / (time.monotonic() - self._start)
        return f"meanwhile other processes used {share:.2f} of {os.cpu_count()} cores"


def others_s() -> float:
    """CPU seconds since boot of all but this process and its ended children."""
    with open("/proc/stat") as stat:
        user, nice, system, _, _, irq, soft = map(int, stat.readline().split()[1:8])
    ticks = user + nice + system + irq + soft
    ours = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    own_s = sum(each.ru_utime + each.ru_stime for each in ours)
    return ticks / os.sysconf("SC_CLK_TCK") - own_s
