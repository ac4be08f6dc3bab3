# SPDX-License-Identifier: Apache-2.0
"""Rows: one large transfer, into memory that was touched before."""

from __future__ import annotations

from contestants import Work, ours, raw_in_pieces_and_shares
from host_goals import share_of
from peers import message, messages, nixl, ucx
from row import Role, Row
from setup import Setup, size_text

WAITS = {"window": 0, "waits": True}


def rows(setup: Setup) -> list[Row]:
    return [
        make(setup, kind) for make in (plain, allocated) for kind in ("READ", "WRITE")
    ]


def plain(setup: Setup, kind: str) -> Row:
    work = Work(kind, setup.size, setup.large, measuring=WAITS)
    call = "process_vm_readv" if kind == "READ" else "process_vm_writev"
    return Row(
        f"{size_text(setup.size)} of plain memory, {kind.lower()}",
        [
            ours(setup, "host.cma", work),
            *raw_in_pieces_and_shares(setup, "system-call", work, call),
            nixl(work),
            ucx(setup, work),
            *messages(work),
        ],
        [share_of(Role.CEILING, 0.9), share_of(Role.PEER, 1)],
        size=setup.size,
    )


def allocated(setup: Setup, kind: str) -> Row:
    work = Work(kind, setup.size, setup.large, measuring=WAITS)
    mapped = Work(kind, setup.size, setup.large, {"mapped": True})
    shared = "torch, shared before, copy_()"
    return Row(
        f"{size_text(setup.size)} of allocate(), {kind.lower()}",
        [
            ours(setup, "host.map", work),
            *raw_in_pieces_and_shares(setup, "memcpy", mapped, "memcpy"),
            *raw_in_pieces_and_shares(setup, "streaming", mapped, "streaming stores"),
            message("torch-shared", shared, work, Role.BESIDE, "torch"),
        ],
        [share_of(Role.CEILING, 0.9)],
        size=setup.size,
    )
