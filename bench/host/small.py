# SPDX-License-Identifier: Apache-2.0
"""Rows: one small read of a connected peer, and when the exposing side knows of it."""

from __future__ import annotations

from contestants import Work, alone, ours
from host_goals import above_ceiling_us, under_us
from peers import nixl, ucx
from row import Role, Row
from setup import KIB, Setup


def rows(setup: Setup) -> list[Row]:
    work = Work("READ", 4 * KIB, setup.small)
    return [
        Row(
            "4 KiB, C++, begin_read to complete",
            [
                ours(setup, "host.cma", work),
                ours(setup, "host.map", work),
                nixl(work),
                ucx(setup, work),
            ],
            [under_us(3)],
        ),
        told(setup, "work"),
        told(setup, "rest"),
    ]


def told(setup: Setup, before: str) -> Row:
    trip = "eventfd, from one process to the other and back"
    return Row(
        "4 KiB, C++, begin_read until the exposing side's wait() returns, the reading "
        f"thread at {before} until then",
        [
            alone(setup, ("telling", before), Role.OURS, "host.cma"),
            alone(setup, ("eventfd-trips", before), Role.CEILING, trip),
        ],
        [above_ceiling_us(30)],
    )
