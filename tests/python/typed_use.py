# SPDX-License-Identifier: Apache-2.0
"""Code of users, for type checkers only: what they make of each call of the API is
written beside it."""

import asyncio
from typing import TYPE_CHECKING

import nixl_connect as nc
from nixl_connect import Descriptor, ReadableOperation, ReadOperation

if TYPE_CHECKING:
    from typing_extensions import assert_type


async def use(metadata: nc.RdmaMetadata, memory: bytearray) -> None:
    async with nc.Connector("worker", timeout=5) as connector:
        readable = await connector.create_readable(Descriptor(memory), readers=2)
        assert_type(readable, ReadableOperation)
        with connector.create_readable([Descriptor(memory)]) as same:
            assert_type(same, ReadableOperation)
            assert_type(await same.wait_for_completion(), None)
        task = asyncio.create_task(connector.begin_read(metadata, Descriptor(memory)))
        assert_type(task, asyncio.Task[ReadOperation])
        [read] = await asyncio.gather(task)
        assert_type(read, ReadOperation)
        begun = connector.begin_write(Descriptor(memory), metadata, timeout=5)
        assert_type(await asyncio.wait_for(begun, 5), nc.WriteOperation)
        async for each in nc.as_completed([read]):
            assert_type(each.result(), list[Descriptor])
        assert_type(nc.wait_all([read, readable], timeout=5), bool)
        assert_type(Descriptor(memory).metadata(), nc.SerializedDescriptor)
        assert_type(await connector._create_connection(), nc.Connection)
        pages = metadata.pages(4096, range(3))
        plan = connector.explain(metadata, Descriptor(memory), forbid=["ucx"])
        assert_type(plan, nc.Plan)
        assert_type(plan.paths, tuple[nc.PathEstimate, ...])
        assert_type(begun.explain(), nc.Plan)
        connector.begin_read(pages, Descriptor.pages(memory, 4096, [1, 2, 3])).close()
