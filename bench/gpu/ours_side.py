# SPDX-License-Identifier: Apache-2.0
"""What both processes of ours_peer.py have: a Connector and a pool of memory."""

from __future__ import annotations

from layout import Work
from nixl_connect import Connector, Descriptor
from pools import HostPool, Place, Pool


class Side:
    """A Connector and a pool."""

    def __init__(self) -> None:
        self.connector = Connector()
        self._place = Place()

    def pool(self, work: Work, place: str) -> Pool:
        return self._place.pool(place, work.pool_bytes)


def descriptor_of(pool: Pool, work: Work) -> Descriptor:
    """Of as much of the pool as the work needs."""
    if isinstance(pool, HostPool):
        return Descriptor(pool.array)[: work.pool_bytes]
    return Descriptor((pool.address, pool.size, pool.device, pool))[: work.pool_bytes]
