# SPDX-License-Identifier: Apache-2.0
"""The states of an operation: what each event makes of it, on both sides. `silent` is a
peer that lets a write wait for ever."""

import asyncio
from collections.abc import Callable
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import OperationStatus
from sides import SECONDS, SilentPeer, memory, sent

INITIALIZED = OperationStatus.INITIALIZED
IN_PROGRESS = OperationStatus.IN_PROGRESS
COMPLETE = OperationStatus.COMPLETE
CANCELLED = OperationStatus.CANCELLED
ERRORED = OperationStatus.ERRORED

Make = Callable[..., nc.AbstractOperation]


@pytest.fixture(params=["readable", "writable", "write"])
def make(request: Any, connector: nc.Connector) -> Make:
    """Makes an operation that does not end by itself."""
    if request.param == "write":
        silent = request.getfixturevalue("silent")
        return lambda **options: connector.begin_write(
            memory(), silent.writable, **options
        )
    create = getattr(connector, f"create_{request.param}")
    return lambda **options: create(memory(), **options)


def complete(connector: nc.Connector, peer: nc.Connector) -> dict[str, Any]:
    """One operation of each kind, after its success."""
    readable = connector.create_readable(memory())
    writable = connector.create_writable(memory())
    made = {
        "readable": readable,
        "writable": writable,
        "read": peer.begin_read(sent(readable), memory()),
        "write": peer.begin_write(memory(), sent(writable)),
    }
    assert nc.wait_all(made.values(), SECONDS)
    return made


def cancelled(make: Make) -> nc.AbstractOperation:
    operation = make()
    operation.cancel()
    assert operation.wait(SECONDS)
    return operation


def errored(make: Make) -> nc.AbstractOperation:
    operation = make(timeout=0.001)
    with pytest.raises(nc.TimedOut):
        operation.wait(SECONDS)
    return operation


def test_created_operation_runs(make: Make) -> None:
    operation = make()
    assert operation.status in (INITIALIZED, IN_PROGRESS)
    assert operation.status in (INITIALIZED, IN_PROGRESS)
    assert not operation.done()
    assert not operation.wait(0)
    with pytest.raises(RuntimeError):
        operation.result()


def test_created_passive_operation_is_initialized(connector: nc.Connector) -> None:
    assert connector.create_readable(memory()).status is INITIALIZED
    assert connector.create_writable(memory()).status is INITIALIZED


@pytest.mark.parametrize("name", ["readable", "writable", "read", "write"])
def test_success_makes_it_complete(
    connector: nc.Connector, peer: nc.Connector, name: str
) -> None:
    operation = complete(connector, peer)[name]
    assert operation.status is COMPLETE
    assert operation.exception() is None
    assert operation.bytes_transferred == 8


def test_deadline_makes_it_errored(make: Make) -> None:
    operation = make(timeout=0.001)
    with pytest.raises(RuntimeError) as raised:
        asyncio.run(operation.wait_for_completion())
    assert isinstance(raised.value, TimeoutError)
    assert operation.status is ERRORED
    assert isinstance(operation.exception(), nc.TimedOut)


def test_loss_of_the_peer_makes_it_errored(silent: SilentPeer) -> None:
    with nc.Connector() as connector:
        write = connector.begin_write(memory(), silent.writable)
        silent.die()
        with pytest.raises(RuntimeError):
            asyncio.run(asyncio.wait_for(write.wait_for_completion(), SECONDS))
        assert write.status is ERRORED


@pytest.mark.parametrize("give_up", ["cancel", "close"])
def test_peer_that_gives_up_is_an_error_here(
    connector: nc.Connector, give_up: str
) -> None:
    """Not CANCELLED, which lets a wait return as if the data had gone over."""
    size = 1 << 27
    readable = connector.create_readable(memory(size))
    with nc.Connector() as peer:
        read = peer.begin_read(sent(readable), memory(size))
        getattr({"cancel": read, "close": peer}[give_up], give_up)()
    with pytest.raises(nc.Cancelled, match="exposed for reading"):
        readable.wait(SECONDS)
    assert readable.status is ERRORED


def test_cancel_makes_it_cancelled(make: Make) -> None:
    operation = make()
    assert operation.cancel() is None
    assert asyncio.run(operation.wait_for_completion()) is None
    assert operation.status is CANCELLED
    with pytest.raises(nc.Cancelled):
        operation.result()


def test_leaving_with_makes_it_cancelled(make: Make) -> None:
    with make() as operation:
        assert not operation.done()
    assert operation.wait(SECONDS)
    assert operation.status is CANCELLED


def test_leaving_async_with_waits_for_quiet_memory(make: Make) -> None:
    async def run() -> None:
        async with make() as operation:
            pass
        assert operation.status is CANCELLED

    asyncio.run(run())


def test_leaving_with_ends_the_waits(make: Make) -> None:
    async def run() -> None:
        with make() as operation:
            waits = [
                asyncio.create_task(operation.wait_for_completion()) for _ in range(3)
            ]
            await asyncio.sleep(0)
            assert not any(each.done() for each in waits)
        ended = await asyncio.wait_for(asyncio.gather(*waits), SECONDS)
        assert ended == [None] * 3
        assert operation.status is CANCELLED

    asyncio.run(run())


def test_metadata_is_there_after_the_end(connector: nc.Connector) -> None:
    with connector.create_readable(memory()) as readable:
        metadata = readable.metadata()
    assert readable.metadata() == metadata


ENDS: dict[str, Callable[[Any], Any]] = {
    "cancel": lambda operation: operation.cancel(),
    "exit": lambda operation: operation.__exit__(None, None, None),
    "close": lambda operation: operation.close(),
    "aclose": lambda operation: asyncio.run(operation.aclose()),
    "release": lambda operation: operation._release(),
}


def assert_stays(operation: Any, status: OperationStatus) -> None:
    for end in ENDS.values():
        for _ in range(2):
            end(operation)
            assert operation.status is status
            assert operation.done()


@pytest.mark.parametrize("name", ["readable", "writable", "read", "write"])
def test_complete_operation_never_changes(
    connector: nc.Connector, peer: nc.Connector, name: str
) -> None:
    operation = complete(connector, peer)[name]
    assert_stays(operation, COMPLETE)
    assert operation.wait(0)
    coroutine = operation.wait_for_completion()
    with pytest.raises(StopIteration):  # It returns without suspending.
        coroutine.send(None)
    if name == "read":
        assert len(operation.results()) == 1


def test_cancelled_operation_never_changes(make: Make) -> None:
    operation = cancelled(make)
    assert_stays(operation, CANCELLED)
    assert operation.wait(0)
    with pytest.raises(StopIteration):
        operation.wait_for_completion().send(None)


def test_errored_operation_never_changes(make: Make) -> None:
    operation = errored(make)
    assert_stays(operation, ERRORED)
    for _ in range(2):
        with pytest.raises(nc.TimedOut):
            operation.wait(0)
        with pytest.raises(nc.TimedOut):
            operation.wait_for_completion().send(None)


def test_status_after_a_successful_with_is_complete(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    async def run() -> None:
        with await connector.create_readable(memory()) as readable:
            with await peer.begin_read(sent(readable), memory()) as read:
                await read.wait_for_completion()
            await readable.wait_for_completion()
        assert read.status is readable.status is COMPLETE

    asyncio.run(run())


def test_exception_in_with_reaches_the_caller(make: Make) -> None:
    with pytest.raises(KeyError), make() as operation:
        raise KeyError
    assert operation.wait(SECONDS)
    assert operation.status is CANCELLED
