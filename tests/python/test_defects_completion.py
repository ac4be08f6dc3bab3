# SPDX-License-Identifier: Apache-2.0
"""Defects of upstream around how operations begin, end and are told of it (D1 to D8 of
its list), each as a test that ours has not got it."""

import asyncio
import gc
import subprocess
import sys
import time
import weakref
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor, OperationStatus, RdmaMetadata
from nixl_connect._native import CompletionQueue
from sides import SECONDS, memory, sent, silent_peer
from watched import Owner, is_gone

COMPLETE, CANCELLED = OperationStatus.COMPLETE, OperationStatus.CANCELLED


@pytest.mark.timing
def test_wait_is_woken_and_sets_no_timer(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D1: a sleep loop sees the end up to 100 ms late. Here the wait is 70 ms old, when
    such a loop would look again after 34 ms."""

    async def lag(readable: nc.ReadableOperation) -> float:
        loop = asyncio.get_running_loop()
        wait = asyncio.create_task(readable.wait_for_completion())
        await asyncio.sleep(0.07)
        timers: list[object] = []
        call_at, loop.call_at = loop.call_at, timers.append  # type: ignore
        read = peer.begin_read(sent(readable), memory())
        begun = loop.time()
        await wait
        took = loop.time() - begun
        loop.call_at = call_at  # type: ignore[method-assign]
        assert timers == []
        assert read.wait(SECONDS)
        return took

    async def run() -> float:
        return min([await lag(connector.create_readable(memory())) for _ in range(5)])

    assert asyncio.run(run()) < 0.01


def test_end_is_told_though_nobody_asks(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D2: the notification leaves with the initiator's next poll. D6: begin_* does not
    begin before somebody asks for the status."""
    size = 1 << 22
    readable = connector.create_readable(memory(size))
    writable = connector.create_writable(memory(size))
    begun = (
        peer.begin_read(sent(readable), memory(size)),
        peer.begin_write(memory(size), sent(writable)),
    )
    assert readable.wait(SECONDS) and writable.wait(SECONDS)
    assert readable.status is writable.status is COMPLETE
    del begun


def test_cancelled_wait_still_tells_the_peer(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D2: a task cancelled after the data moved never notifies."""

    async def run() -> None:
        size = 1 << 26
        readable = connector.create_readable(memory(size))
        read = peer.begin_read(sent(readable), memory(size))
        wait = asyncio.create_task(read.wait_for_completion())
        await asyncio.sleep(0)
        wait.cancel()
        await asyncio.wait_for(readable.wait_for_completion(), SECONDS)
        assert read.status is readable.status is COMPLETE

    asyncio.run(run())


def test_deadline_of_the_connector_holds_for_all() -> None:
    """D3: no timeouts, so what nobody reads is kept for ever. Deadlines of single
    operations are tested in test_states.py."""
    owner = Owner(1000)
    reference = weakref.ref(owner)
    with nc.Connector(timeout=0.02) as connector:
        readable = connector.create_readable(Descriptor(owner))
        writable = connector.create_writable(memory())
        longer = connector.create_readable(memory(), timeout=SECONDS)
        del owner
        for operation in (readable, writable):
            with pytest.raises(nc.TimedOut):
                operation.wait(SECONDS)
        assert longer.status is OperationStatus.INITIALIZED
        del readable, operation
        gc.collect()
        assert is_gone(reference)


@pytest.mark.parametrize("end", ["cancel", "close", "__exit__"])
def test_end_of_an_exposure_ends_its_waits(connector: nc.Connector, end: str) -> None:
    """D4: the passive side has no cancel, and a wait after __exit__ hangs."""

    async def run() -> None:
        readable = connector.create_readable(memory())
        wait = asyncio.create_task(readable.wait_for_completion())
        await asyncio.sleep(0)
        getattr(readable, end)()
        await asyncio.wait_for(wait, SECONDS)
        assert readable.status is CANCELLED
        await asyncio.wait_for(readable.wait_for_completion(), SECONDS)

    asyncio.run(run())


READ_FOR_EVER = """
import sys
import nixl_connect as nc
metadata = nc.RdmaMetadata.model_validate_json(sys.stdin.read())
targets = [nc.Descriptor(bytearray(metadata.descriptors[0].size)) for _ in range(2)]
connector = nc.Connector()
reads = [connector.begin_read(metadata, each) for each in targets]
while True:
    reads[0].wait()
    reads.append(connector.begin_read(metadata, targets[0]))
    del reads[0]
    targets.reverse()
"""


def test_exposing_side_learns_that_its_peer_died(connector: nc.Connector) -> None:
    """D4: peer death goes unnoticed."""
    readable = connector.create_readable(memory(1 << 26), readers=1_000_000)
    with subprocess.Popen(
        [sys.executable, "-c", READ_FOR_EVER], stdin=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        with reader.stdin as pipe:
            pipe.write(sent(readable).model_dump_json())
        end = time.monotonic() + SECONDS
        while readable.status is not OperationStatus.IN_PROGRESS:
            assert time.monotonic() < end
        reader.kill()
    with pytest.raises(nc.Disconnected):
        readable.wait(SECONDS)
    assert readable.status is OperationStatus.ERRORED


def refused(connector: nc.Connector, peer: nc.Connector, data: Any) -> nc.ReadOperation:
    """A read that has failed, as its peer took the memory back."""
    readable = connector.create_readable(memory())
    metadata = sent(readable)
    readable.close()
    read = peer.begin_read(metadata, Descriptor(data), timeout=SECONDS)
    with pytest.raises(RuntimeError):
        read.wait(SECONDS)
    return read


def test_failure_is_a_state_and_releases_the_memory(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D5: a failed transfer stays INIT or PROC, raises at __exit__, keeps its memory.
    D7: cancel() of what has failed raises."""
    owner = Owner(8)
    reference = weakref.ref(owner)
    with refused(connector, peer, owner) as read:
        del owner
        read.cancel()
        assert read.status is OperationStatus.ERRORED
        for _ in range(2):
            with pytest.raises(nc.Error) as raised:
                read.wait(SECONDS)
            assert raised.value.peer == read.remote.name
    assert read.status is OperationStatus.ERRORED
    del read, raised
    gc.collect()
    assert is_gone(reference)


def test_cancel_of_what_has_ended_does_nothing(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D7: cancel() turns COMPLETE into CANCELLED, and results() fails then."""
    readable = connector.create_readable(memory())
    target = memory()
    read = peer.begin_read(sent(readable), target, timeout=SECONDS)
    assert nc.wait_all([read, readable], SECONDS)
    for operation in (read, readable):
        operation.cancel()
        operation.close()
        assert operation.status is COMPLETE
    assert read.results() == [target]


def test_cancelled_transfer_keeps_its_memory_until_it_is_quiet(
    connector: nc.Connector,
) -> None:
    """D8: cancel releases memory that the transport still uses."""
    source = Owner(8)
    reference = weakref.ref(source)

    async def run(metadata: RdmaMetadata) -> None:
        nonlocal source
        write = connector.begin_write(Descriptor(source), metadata)
        ended = asyncio.get_running_loop().create_future()
        write.add_done_callback(lambda _: ended.set_result(reference() is not None))
        del source
        write.cancel()
        gc.collect()
        assert reference() is not None
        assert await asyncio.wait_for(ended, SECONDS)
        assert write.status is CANCELLED

    with silent_peer() as silent:
        asyncio.run(run(silent.writable))
    gc.collect()
    assert is_gone(reference)


def test_dropped_transfer_keeps_its_memory_until_it_is_quiet(
    connector: nc.Connector,
) -> None:
    """D8, for what is collected rather than cancelled. Operations tell the queue of
    their end before they let go."""
    source = Owner(8)
    reference = weakref.ref(source)
    ended = CompletionQueue()
    with silent_peer() as silent:
        write = connector.begin_write(Descriptor(source), silent.writable)
        assert write._native.notify(ended, 1)
        del source, write
        gc.collect()
        assert reference() is not None or ended.wait(0)
        assert is_gone(reference)
        assert ended.wait(0)
