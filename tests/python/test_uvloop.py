# SPDX-License-Identifier: Apache-2.0
"""The same awaiting on the other event loop that people use."""

import asyncio
import gc

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor, OperationStatus
from nixl_connect._completion import _of_loop

uvloop = pytest.importorskip("uvloop")


def test_operations_are_awaited_on_uvloop() -> None:
    async def run(connector: nc.Connector) -> None:
        for _ in range(20):
            readable = connector.create_readable(Descriptor(b"12345678"))
            read = connector.begin_read(readable.metadata(), Descriptor(bytearray(8)))
            waits = read.wait_for_completion(), readable.wait_for_completion()
            await asyncio.wait_for(asyncio.gather(*waits), 30)
            assert read.status is readable.status is OperationStatus.COMPLETE

    with nc.Connector() as connector:
        for _ in range(3):
            loop = uvloop.new_event_loop()
            loop.run_until_complete(run(connector))
            loop.close()
    del loop
    gc.collect()
    assert not any(type(each).__module__ == "uvloop" for each in _of_loop)
