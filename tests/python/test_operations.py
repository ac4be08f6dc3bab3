# SPDX-License-Identifier: Apache-2.0
"""Operations: transfers, ends, waits and refusals, between two Connectors."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor, OperationStatus, RdmaMetadata

SECONDS = 30


@pytest.fixture(scope="module")
def connector() -> Iterator[nc.Connector]:
    with nc.Connector() as made:
        yield made


@pytest.fixture(scope="module")
def peer() -> Iterator[nc.Connector]:
    with nc.Connector() as made:
        yield made


def memory(size: int = 8) -> Descriptor:
    return Descriptor(bytearray(size))


def is_gone(reference: weakref.ref[Any]) -> bool:
    """Soon. The library's thread leaves references to the main thread, which drops them
    when it next runs: so this must run, not sleep."""
    end = time.monotonic() + SECONDS
    while reference() is not None and time.monotonic() < end:
        pass
    return reference() is None


def sent(operation: nc.PassiveOperation) -> RdmaMetadata:
    return RdmaMetadata.model_validate_json(operation.metadata().model_dump_json())


def test_read_moves_the_bytes(connector: nc.Connector, peer: nc.Connector) -> None:
    target = bytearray(8)
    readable = connector.create_readable(Descriptor(b"12345678"))
    given = Descriptor(target)
    read = peer.begin_read(sent(readable), [given], timeout=SECONDS)
    assert read.wait(SECONDS)
    assert readable.wait(SECONDS)
    assert read.status is readable.status is OperationStatus.COMPLETE
    assert target == b"12345678"
    assert read.results() == [given] == read.result()
    assert read.bytes_transferred == 8
    read.cancel()
    read.__exit__(None, None, None)
    read.__exit__(None, None, None)
    assert read.status is OperationStatus.COMPLETE
    assert read.results() == [given]


def test_write_moves_the_bytes(connector: nc.Connector, peer: nc.Connector) -> None:
    target = bytearray(8)
    writable = connector.create_writable(Descriptor(target))
    write = peer.begin_write(Descriptor(b"12345678"), sent(writable), timeout=SECONDS)
    assert nc.wait_all([write, writable], SECONDS)
    assert target == b"12345678"
    assert write.result() is None


def test_own_readable_is_read(connector: nc.Connector) -> None:
    readable = connector.create_readable(Descriptor(b"12345678"))
    read = connector.begin_read(sent(readable), memory(), timeout=SECONDS)
    assert read.wait(SECONDS)
    assert read.status is OperationStatus.COMPLETE


def test_reader_names_pages_of_one_metadata(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    source = bytes(page for page in range(16) for _ in range(64))
    target = bytearray(8 * 64)
    readable = connector.create_readable(Descriptor(source), readers=3)
    metadata = sent(readable)
    pages = metadata.pages(64, [5, 3, 9])
    assert (len(pages), pages.size) == (3, 192)
    reads = [
        peer.begin_read(pages, Descriptor.pages(target, 64, [1, 2, 7])),
        peer.begin_read(pages, Descriptor(target)[192:384]),
        peer.begin_read(metadata.pages(64, [0]), Descriptor(target)[:64]),
    ]
    assert nc.wait_all([*reads, readable], SECONDS)
    assert [target[64 * page] for page in range(8)] == [0, 5, 3, 5, 3, 9, 0, 9]


def test_strided_target_gets_the_bytes(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    numpy = pytest.importorskip("numpy")
    source = numpy.arange(64, dtype=numpy.uint8)
    target = numpy.zeros((8, 24), numpy.uint8)
    readable = connector.create_readable(Descriptor(source))
    read = peer.begin_read(sent(readable), Descriptor(target[:, 8:16]))
    assert read.wait(SECONDS)
    assert (target[:, 8:16].reshape(-1) == source).all()
    assert not target[:, :8].any() and not target[:, 16:].any()


def test_empty_memory_is_moved(connector: nc.Connector, peer: nc.Connector) -> None:
    readable = connector.create_readable(memory(0))
    read = peer.begin_read(sent(readable), memory(0), timeout=SECONDS)
    assert nc.wait_all([read, readable], SECONDS)


@pytest.mark.parametrize(
    ("metadata", "local"),
    [
        (None, memory()),
        ({}, memory()),
        ("{}", memory()),
        (RdmaMetadata(), None),
        (RdmaMetadata(), "x"),
        (RdmaMetadata(), [1]),
        (RdmaMetadata(), [memory(), 5]),
    ],
)
def test_begin_refuses_other_types(metadata: Any, local: Any) -> None:
    connector = nc.Connector()
    with pytest.raises(TypeError):
        connector.begin_read(metadata, local)
    with pytest.raises(TypeError):
        connector.begin_write(local, metadata)
    assert connector._connection is None


@pytest.mark.parametrize("local", [None, 5, "x", b"raw", [1]])
def test_create_refuses_other_types(local: Any) -> None:
    connector = nc.Connector()
    with pytest.raises(TypeError):
        connector.create_readable(local)
    with pytest.raises(TypeError):
        connector.create_writable(local)
    assert connector._connection is None


def test_create_refuses_before_anything_is_opened() -> None:
    connector = nc.Connector()
    refused: list[Any] = [
        [],
        [Descriptor((4096, 8, "cuda")), memory()],
        Descriptor((0, 8)),
    ]
    for local in refused:
        with pytest.raises(ValueError):
            connector.create_readable(local)
    with pytest.raises(ValueError, match="read-only"):
        connector.create_writable(Descriptor(b"12345678"))
    assert connector._connection is None


def test_begin_refuses_the_other_kind(connector: nc.Connector) -> None:
    fresh = nc.Connector()
    readable = connector.create_readable(memory()).metadata()
    writable = connector.create_writable(memory()).metadata()
    with pytest.raises(RuntimeError):
        fresh.begin_read(writable, memory())
    with pytest.raises(RuntimeError):
        fresh.begin_write(memory(), readable)
    with pytest.raises(ValueError):
        nc.ReadOperation(fresh, writable, memory())
    with pytest.raises(ValueError):
        nc.WriteOperation(fresh, memory(), readable)
    assert fresh._connection is None


def test_begin_refuses_what_does_not_match(connector: nc.Connector) -> None:
    fresh = nc.Connector()
    single = connector.create_readable(memory()).metadata()
    pair = connector.create_readable([memory(), memory()]).metadata()
    for local in (memory(16), [], [memory(), memory()]):
        with pytest.raises(ValueError):
            fresh.begin_read(single, local)
    unequal = [memory(), memory(16)]
    for local in (memory(), [memory()], [memory()] * 3, unequal, memory(16)):
        with pytest.raises(ValueError):
            fresh.begin_read(pair, local)
    for field in ("descriptors", "nixl_metadata", "notification_key"):
        empty = single.model_copy(update={field: type(getattr(single, field))()})
        with pytest.raises(ValueError):
            fresh.begin_read(empty, memory())
    assert fresh._connection is None


def test_leaving_with_cancels(connector: nc.Connector, peer: nc.Connector) -> None:
    with connector.create_readable(memory()) as readable:
        assert readable.status is OperationStatus.INITIALIZED
    assert readable.status is OperationStatus.CANCELLED
    assert readable.metadata() == readable.metadata()
    with pytest.raises(nc.Cancelled):
        readable.result()
    late = peer.begin_read(sent(readable), memory(), timeout=SECONDS)
    with pytest.raises(RuntimeError) as raised:
        late.wait(SECONDS)
    assert isinstance(raised.value, nc.Error)
    assert raised.value.peer == late.remote.name
    assert late.status is OperationStatus.ERRORED
    with pytest.raises(RuntimeError):
        late.results()
    late.close()


def test_exception_in_with_reaches_the_caller(connector: nc.Connector) -> None:
    readable = connector.create_readable(memory())
    with pytest.raises(KeyError), readable:
        raise KeyError
    assert readable.status is OperationStatus.CANCELLED


def test_deadline_ends_an_operation(connector: nc.Connector) -> None:
    readable = connector.create_readable(memory(), timeout=0.01)
    with pytest.raises(TimeoutError) as raised:
        readable.wait(SECONDS)
    assert isinstance(raised.value, nc.TimedOut)
    assert readable.status is OperationStatus.ERRORED


def test_metadata_has_both_forms(connector: nc.Connector) -> None:
    readable = connector.create_readable(memory())
    plain, older = readable.metadata(), readable.metadata(hex_encode=True)
    assert plain.nixl_metadata.startswith("b64:")
    bytes.fromhex(older.nixl_metadata)
    names = {nc.Remote(connector, each.nixl_metadata).name for each in (plain, older)}
    assert len(names) == 1


def test_result_can_be_awaited_and_not(connector: nc.Connector) -> None:
    async def run() -> None:
        operation = connector.create_readable(memory())
        assert asyncio.iscoroutine(operation)
        assert await operation is operation  # type: ignore[comparison-overlap]
        assert await asyncio.create_task(operation) is operation  # type: ignore
        assert (await asyncio.gather(operation))[0] is operation  # type: ignore
        assert await asyncio.wait_for(operation, 1) is operation  # type: ignore
        async with operation:
            pass
        assert operation.status is OperationStatus.CANCELLED

    asyncio.run(run())


def test_wait_that_times_out_leaves_the_operation(connector: nc.Connector) -> None:
    async def run() -> None:
        readable = connector.create_readable(memory())
        for _ in range(20):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(readable.wait_for_completion(), 0.0001)
        assert readable.status is OperationStatus.INITIALIZED
        assert readable._pending is not None and len(readable._pending.futures) <= 1
        wait = asyncio.create_task(readable.wait_for_completion())
        await asyncio.sleep(0)
        readable.cancel()
        await asyncio.wait_for(wait, SECONDS)

    asyncio.run(run())


def test_loops_in_several_threads_wait_for_one_operation(
    connector: nc.Connector,
) -> None:
    readable = connector.create_readable(memory())
    waiting, ended = threading.Barrier(5), []

    def run() -> None:
        async def wait() -> None:
            waiting.wait(SECONDS)
            await asyncio.wait_for(readable.wait_for_completion(), SECONDS)
            ended.append(readable.status)

        asyncio.run(wait())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    waiting.wait(SECONDS)
    readable.cancel()
    for thread in threads:
        thread.join(SECONDS)
    assert ended == [OperationStatus.CANCELLED] * 4


def test_callback_comes_in_the_loop_and_without_one(connector: nc.Connector) -> None:
    async def in_loop() -> threading.Thread:
        called = asyncio.get_running_loop().create_future()
        readable = connector.create_readable(memory())
        readable.add_done_callback(
            lambda _: called.set_result(threading.current_thread())
        )
        readable.cancel()
        return await asyncio.wait_for(called, SECONDS)

    assert asyncio.run(in_loop()) is threading.current_thread()
    called = threading.Event()
    readable = connector.create_readable(memory())
    readable.add_done_callback(lambda _: called.set())
    readable.cancel()
    assert called.wait(SECONDS)


def test_operations_come_as_they_complete(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    readables = [connector.create_readable(memory()) for _ in range(10)]
    reads = [peer.begin_read(sent(each), memory()) for each in readables]

    async def collect() -> list[nc.ReadOperation]:
        return [read async for read in nc.as_completed(reads, timeout=SECONDS)]

    assert set(map(id, asyncio.run(collect()))) == set(map(id, reads))
    ended = list(nc.as_completed(readables, timeout=SECONDS))
    assert set(map(id, ended)) == set(map(id, readables))
    with pytest.raises(TimeoutError):
        list(nc.as_completed([connector.create_readable(memory())], timeout=0.01))


def test_memory_is_kept_until_the_end_and_not_longer(connector: nc.Connector) -> None:
    numpy = pytest.importorskip("numpy")
    owner = numpy.zeros(10)
    reference = weakref.ref(owner)
    readable = connector.create_readable(Descriptor(owner))
    del owner
    gc.collect()
    assert reference() is not None
    del readable
    assert is_gone(reference)


def test_cycle_through_the_memory_is_collected(connector: nc.Connector) -> None:
    numpy = pytest.importorskip("numpy")

    class Array(numpy.ndarray):  # type: ignore[misc, name-defined]
        operation: nc.ReadableOperation

    array = numpy.zeros(10).view(Array)
    reference = weakref.ref(array)
    array.operation = connector.create_readable(Descriptor(array))
    del array
    gc.collect()
    assert is_gone(reference)


def test_subclass_of_others_works(connector: nc.Connector, peer: nc.Connector) -> None:
    class Polling(nc.ActiveOperation):
        async def wait_for_completion(self) -> None:
            await self._wait_for_completion_(min_poll_ms=1)

    readable = connector.create_readable(memory())
    metadata = sent(readable)
    with nc.Remote(peer, metadata.nixl_metadata) as remote:
        operation = Polling(
            remote,
            nc.OperationKind.READ,
            memory(),
            metadata.to_descriptors(),
            metadata.notification_key,
        )
        asyncio.run(operation.wait_for_completion())
        assert operation._status is OperationStatus.COMPLETE
        assert operation._remote is remote
        assert operation._notification_key == metadata.notification_key


def test_closed_connector_refuses(peer: nc.Connector) -> None:
    with nc.Connector() as connector:
        readable = connector.create_readable(memory())
    assert readable.status is OperationStatus.CANCELLED
    with pytest.raises(nc.Error):
        connector.create_readable(memory())
    connector.close()
