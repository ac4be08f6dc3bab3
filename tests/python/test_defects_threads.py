# SPDX-License-Identifier: Apache-2.0
"""Defects of upstream around threads and event loops (D14 and D20 to D24 of its list),
each as a test that ours has not got it."""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import OperationStatus
from nixl_connect._completion import _of_loop
from sides import LOOPS, SECONDS, memory, run_alone, sent


def run_in(kind: str, coroutine: Coroutine[Any, Any, None]) -> None:
    """In a new event loop of that kind, which is closed then."""
    if kind == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(coroutine, SECONDS))
    finally:
        loop.close()


def run_threads(*calls: Callable[[], None]) -> None:
    """All at once. What one of them raises is raised here."""
    failures: list[BaseException] = []
    begun = threading.Barrier(len(calls))

    def run(call: Callable[[], None]) -> None:
        try:
            begun.wait(SECONDS)
            call()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * SECONDS)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


@pytest.fixture
def often() -> Iterator[None]:
    """Lets Python change threads a hundred times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(usual / 100)
    yield
    sys.setswitchinterval(usual)


async def transfer(connector: nc.Connector, peer: nc.Connector, count: int) -> None:
    for number in range(count):
        pattern = bytes([number % 256]) * 1000
        source, target = nc.Descriptor(pattern), bytearray(1000)
        async with connector.create_readable(source) as readable:
            read = await peer.begin_read(sent(readable), nc.Descriptor(target))
            async with read:
                await read.wait_for_completion()
                await readable.wait_for_completion()
        assert target == pattern
        assert read.status is readable.status is OperationStatus.COMPLETE


@pytest.mark.usefixtures("often")
def test_peers_come_and_go_on_many_threads(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D14: adding a remote races with its removal in another thread or in the
    collector."""

    def churn() -> None:
        for _ in range(50):
            readable = connector.create_readable(memory())
            read = peer.begin_read(sent(readable), memory(), timeout=SECONDS)
            with nc.Remote(peer, readable.metadata().nixl_metadata) as remote:
                assert read.remote.name == remote.name
            cycle: list[Any] = [read]
            cycle.append(cycle)
            assert read.wait(SECONDS)

    def collect() -> None:
        for _ in range(500):
            gc.collect(0)

    run_threads(churn, churn, churn, collect)


def test_connection_is_opened_off_the_loop() -> None:
    """D20: the event loop stands still while an agent is made."""

    async def run() -> None:
        connector = nc.Connector()
        loop_thread, opened_in = threading.get_ident(), []
        as_connection = connector._as_connection

        def noted() -> nc.Connection:
            opened_in.append(threading.get_ident())
            return as_connection()

        connector._as_connection = noted  # type: ignore[method-assign]
        first, second = await asyncio.gather(
            connector._create_connection(), connector._create_connection()
        )
        assert first is second is await connector._create_connection()
        assert opened_in and loop_thread not in opened_in
        await connector.aclose()

    asyncio.run(run())


@pytest.mark.timing
def test_calls_take_little_of_the_loop(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D20: registration, loading and zlib hold up the event loop. The thread's own CPU
    time of begin and create, as a wait for a processor is no fault of theirs."""
    source, target = memory(1 << 28), memory(1 << 28)
    spent = []
    for _ in range(5):
        start = time.thread_time()
        readable = connector.create_readable(source)
        metadata = sent(readable)
        read = peer.begin_read(metadata, target)
        spent.append(time.thread_time() - start)
        assert read.wait(SECONDS)
    assert min(spent) < 0.001


@pytest.mark.parametrize("kind", ["waiting", "copying"])
def test_wait_holds_no_lock_of_the_interpreter(
    connector: nc.Connector, peer: nc.Connector, kind: str
) -> None:
    """D21: the GIL is held in native calls."""
    size = 1 << 28
    readable = connector.create_readable(memory(size))
    waited: nc.AbstractOperation = readable
    if kind == "copying":
        waited = peer.begin_read(sent(readable), memory(size))
    waiting = threading.Thread(target=waited.wait, args=(SECONDS,))
    start = time.thread_time()
    waiting.start()
    while time.thread_time() - start < 0.02 and not waited.done():
        pass
    assert time.thread_time() - start < 1
    waited.cancel()
    waiting.join(SECONDS)
    assert not waiting.is_alive()
    assert waited.done()


@pytest.mark.usefixtures("often")
def test_every_call_works_from_any_thread(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D22: nothing is thread-safe, though callers use threads."""
    descriptor, readers = memory(4096), 8
    readable = connector.create_readable(descriptor, readers=readers * 50)
    metadata = sent(readable)

    def read_some() -> None:
        for _ in range(50):
            assert readable.metadata() == metadata
            read = peer.begin_read(metadata, memory(4096))
            assert str(read) and read.status and read.connection.name
            assert read.wait(SECONDS)
            assert len(read.results()) == 1
            read.cancel()

    def register() -> None:
        for _ in range(50):
            mine = memory()
            mine.register_with_connector(connector)
            with connector.create_writable(mine) as writable:
                assert writable.metadata().descriptors
            mine.deregister_with_connector(connector)

    run_threads(*[read_some] * readers, register, register)
    assert readable.wait(SECONDS)
    assert readable.status is OperationStatus.COMPLETE


@pytest.mark.parametrize("kind", LOOPS)
def test_connector_belongs_to_no_loop(
    connector: nc.Connector, peer: nc.Connector, kind: str
) -> None:
    """D23: the second event loop finds a lock that is bound to the first. Nor does
    anything keep a loop that is closed."""
    gc.collect()
    before = len(_of_loop)
    for _ in range(3):
        run_in(kind, transfer(connector, peer, 20))
    gc.collect()
    assert len(_of_loop) <= before


@pytest.mark.usefixtures("often")
def test_loops_of_all_kinds_share_a_connector() -> None:
    """D23, D22: in threads at once, from the first use on."""
    connector, peer = nc.Connector(), nc.Connector()

    def run(kind: str) -> None:
        async def both() -> None:
            await connector._create_connection()
            await asyncio.gather(*[transfer(connector, peer, 20) for _ in range(4)])

        run_in(kind, both())

    run_threads(*[lambda kind=kind: run(kind) for kind in LOOPS * 3])
    connector.close()
    peer.close()


@pytest.mark.timing
def test_waiting_uses_no_processor() -> None:
    """D24: an idle agent's thread spins, on most of a core. D1: and so do waits."""
    printed = run_alone(
        """
        import asyncio, time
        from nixl_connect import Connector, Descriptor
        here, there = Connector(), Connector()
        async def main():
            readable = here.create_readable(Descriptor(bytearray(8)), readers=2)
            read = there.begin_read(readable.metadata(), Descriptor(bytearray(8)))
            await read.wait_for_completion()
            waits = [asyncio.create_task(readable.wait_for_completion())
                     for _ in range(10)]
            await asyncio.sleep(0.1)
            start = time.process_time()
            await asyncio.sleep(2)
            print(time.process_time() - start)
            readable.cancel()
            await asyncio.gather(*waits)
        asyncio.run(main())
        """
    )
    assert float(printed) < 0.01
