# SPDX-License-Identifier: Apache-2.0
"""Waiting for operations: in event loops and threads, for one and for many."""

import asyncio
import queue
import threading

import nixl_connect as nc
import pytest
from nixl_connect import OperationStatus
from sides import SECONDS, memory, run_alone, sent


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


@pytest.mark.parametrize("module", ["asyncio", "uvloop"])
def test_callback_comes_though_its_loop_was_closed(
    connector: nc.Connector, module: str
) -> None:
    loop = pytest.importorskip(module).new_event_loop()
    called: queue.Queue[tuple[nc.ReadableOperation, threading.Thread]] = queue.Queue()
    readable = connector.create_readable(memory())

    async def add() -> None:
        readable.add_done_callback(
            lambda of: called.put((of, threading.current_thread()))
        )

    loop.run_until_complete(add())
    loop.close()
    assert called.empty()
    readable.cancel()
    operation, thread = called.get(timeout=SECONDS)
    assert operation is readable
    assert thread is not threading.current_thread()


def test_dropped_callback_finds_the_thread_that_is_being_started() -> None:
    """As a collection may drop it anywhere."""
    assert not run_alone(
        """
        import asyncio, threading
        import nixl_connect as nc
        from nixl_connect import _callbacks
        connector, loop = nc.Connector(), asyncio.new_event_loop()
        readable = connector.create_readable(nc.Descriptor(b"1"))
        called, threads = threading.Barrier(2), []
        def call(_):
            threads.append(threading.current_thread())
            if len(threads) == 2: called.wait()
        async def add(): readable.add_done_callback(call)
        loop.run_until_complete(add())
        class Log(_callbacks.LibraryLog):
            def __init__(self, *given):
                loop.close()
                super().__init__(*given)
        _callbacks.LibraryLog = Log
        readable.add_done_callback(call)
        readable.cancel()
        called.wait()
        assert threads == [_callbacks._running._thread] * 2, threads
        """,
        NIXL_CONNECT_LOG="off",
    )


def test_callback_may_wait(connector: nc.Connector) -> None:
    other, readable = (connector.create_readable(memory()) for _ in range(2))
    waited: queue.Queue[bool] = queue.Queue()
    readable.add_done_callback(lambda _: waited.put(other.wait(SECONDS)))
    readable.cancel()
    other.cancel()
    assert waited.get(timeout=SECONDS)


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


@pytest.mark.parametrize("count", [1, 2])
def test_operations_that_are_late_are_counted(
    connector: nc.Connector, count: int
) -> None:
    late = [connector.create_readable(memory()) for _ in range(count)]
    told = {1: "1 operation is still running", 2: "2 operations are still running"}

    async def collect() -> None:
        async for _ in nc.as_completed(late, timeout=0.01):
            pass

    with pytest.raises(TimeoutError, match=f"^{told[count]}$"):
        list(nc.as_completed(late, timeout=0.01))
    with pytest.raises(TimeoutError, match=f"^{told[count]}$"):
        asyncio.run(collect())
