# SPDX-License-Identifier: Apache-2.0
"""Rows: a large read into memory that was never touched, whose pages the kernel makes
meanwhile."""

from __future__ import annotations

from contestants import Work, ours, raw
from host_goals import share_of
from row import Contestant, Role, Row
from setup import Setup, size_text

FRESH = {"window": 0, "waits": True, "fresh": True}


def rows(setup: Setup) -> list[Row]:
    work = Work("READ", setup.size, setup.large, measuring=FRESH)
    advised = {**FRESH, "advises_huge_pages": True}
    advised_work = Work("READ", setup.size, setup.large, measuring=advised)
    call = "process_vm_readv"
    return [
        Row(
            f"{size_text(setup.size)} into fresh memory, read",
            [
                *ours_of_all_paths(setup, work),
                raw(setup, "system-call", work, 0, call),
                raw(setup, "system-call", advised_work, 0, f"{call}, MADV_HUGEPAGE"),
            ],
            [share_of(Role.CEILING)],
            size=setup.size,
        )
    ]


def ours_of_all_paths(setup: Setup, work: Work) -> list[Contestant]:
    off = ("NIXL_CONNECT_HUGE_PAGES=off",)
    return [
        contestant
        for path in ("host.cma", "host.map")
        for contestant in (
            ours(setup, path, work),
            ours(setup, path, work, f"{path}, huge pages off", Role.BESIDE, off),
        )
    ]
