# SPDX-License-Identifier: Apache-2.0
"""Callers of two generations at once: both shapes of everything that changed between
them, and the private names that callers of either touch. That operations may be awaited
is in test_module.py."""

import asyncio
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, OperationStatus, Remote
from sides import SECONDS, memory, sent


def test_first_generation_uses_operations_as_they_are(
    connector: Connector, peer: Connector
) -> None:
    async def run() -> None:
        await connector.initialize()
        target = bytearray(8)
        with connector.create_readable(Descriptor(b"12345678")) as readable:
            with peer.begin_read(sent(readable), Descriptor(target)) as read:
                await read.wait_for_completion()
            await readable.wait_for_completion()
        with connector.create_writable(Descriptor(target)) as writable:
            with peer.begin_write(Descriptor(b"abcdefgh"), sent(writable)) as write:
                await write.wait_for_completion()
            await writable.wait_for_completion()
        assert target == b"abcdefgh"

    asyncio.run(run())


def test_operation_that_a_cancelled_task_should_give_is_ended(
    connector: Connector,
) -> None:
    async def run() -> None:
        readable = connector.create_readable(memory())
        task = asyncio.create_task(readable)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(readable.wait_for_completion(), SECONDS)
        assert readable.status is OperationStatus.CANCELLED

    asyncio.run(run())


def test_metadata_of_a_descriptor_has_three_shapes() -> None:
    descriptor = memory()
    metadata = descriptor.metadata
    assert descriptor.metadata() is metadata
    assert descriptor.to_serialized() is metadata
    assert metadata.model_dump() == {
        "device": "cpu",
        "ptr": descriptor.ptr,
        "size": 8,
    }


def test_metadata_of_an_operation_has_two_names(connector: Connector) -> None:
    readable = connector.create_readable(memory())
    assert readable.to_serialized() == readable.metadata()


MAKERS: dict[str, Any] = {
    "Readable": lambda first, metadata: nc.ReadableOperation(first, memory()),
    "Writable": lambda first, metadata: nc.WritableOperation(first, memory()),
    "Read": lambda first, metadata: nc.ReadOperation(first, metadata["read"], memory()),
    "Write": lambda first, metadata: nc.WriteOperation(
        first, memory(), metadata["write"]
    ),
    "Remote": lambda first, metadata: Remote(first, metadata["read"].nixl_metadata),
}


@pytest.mark.parametrize("shape", ["Connector", "Connection"])
@pytest.mark.parametrize("name", MAKERS)
def test_constructor_takes_a_connector_or_its_connection(
    connector: Connector, peer: Connector, name: str, shape: str
) -> None:
    readable = connector.create_readable(memory())
    writable = connector.create_writable(memory())
    first = peer if shape == "Connector" else peer._as_connection()
    metadata = {"read": sent(readable), "write": sent(writable)}
    with MAKERS[name](first, metadata) as made:
        assert made.connection is peer._as_connection()
        assert made.connector is peer
    for other in (None, 5, "worker", object()):
        with pytest.raises(TypeError):
            MAKERS[name](other, metadata)


@pytest.mark.parametrize("kind", ["Read", "Write"])
def test_operation_has_the_private_names(
    connector: Connector, peer: Connector, kind: str
) -> None:
    passive: nc.PassiveOperation
    active: nc.ActiveOperation
    if kind == "Read":
        passive = connector.create_readable(memory())
        active = peer.begin_read(sent(passive), memory())
    else:
        passive = connector.create_writable(memory())
        active = peer.begin_write(memory(), sent(passive))
    assert passive._notification_key == active._notification_key
    assert nc.wait_all([passive, active], SECONDS)
    assert passive._status is active._status is OperationStatus.COMPLETE
    assert active._remote is active.remote
    for operation in (passive, active):
        assert operation.__exit__(None, None, None) is None
