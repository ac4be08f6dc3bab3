# SPDX-License-Identifier: Apache-2.0
"""What upstream's documentation promises, by the reference's numbers. Its 1, what it is
meant for, and its 11, names of devices (test_device.py), are not here."""

import asyncio
import gc
import json
import weakref

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, OperationStatus, RdmaMetadata
from sides import SECONDS, SilentPeer, memory, run_alone, sent
from watched import Owner, is_gone

TCP_ONLY = """
import nixl_connect as nc
with nc.Connector() as here, nc.Connector() as there:
    target = bytearray(1000)
    readable = here.create_readable(nc.Descriptor(bytes(range(250)) * 4))
    read = there.begin_read(readable.metadata(), nc.Descriptor(target))
    assert nc.wait_all([read, readable], 30)
    assert target == bytes(range(250)) * 4
"""


def test_2_transfer_completes_by_slower_means() -> None:
    assert not run_alone(TCP_ONLY, UCX_TLS="tcp,self")


@pytest.mark.parametrize("kind", ["read", "write"])
def test_3_wrong_pairing_raises(
    connector: Connector, peer: Connector, kind: str
) -> None:
    readable = connector.create_readable(memory())
    writable = connector.create_writable(memory())
    with pytest.raises(RuntimeError):
        if kind == "read":
            peer.begin_read(sent(writable), memory())
        else:
            peer.begin_write(memory(), sent(readable))


def test_4_transfer_begins_at_its_creation(
    connector: Connector, peer: Connector
) -> None:
    """Nobody looks at the active operations: the passive ones end all the same."""
    source, target = bytearray(b"12345678"), bytearray(8)
    readable = connector.create_readable(Descriptor(source))
    read = peer.begin_read(sent(readable), memory())
    assert readable.wait(SECONDS)
    writable = connector.create_writable(Descriptor(target))
    write = peer.begin_write(Descriptor(source), sent(writable))
    assert writable.wait(SECONDS)
    assert target == source
    del read, write


def test_5_metadata_travels_as_text(connector: Connector, peer: Connector) -> None:
    source = Descriptor(b"12345678")
    readable = connector.create_readable(source)
    text = json.dumps(readable.metadata().model_dump())
    metadata = RdmaMetadata.model_validate(json.loads(text))
    assert metadata.descriptors[0].ptr == source.ptr
    assert peer.begin_read(metadata, memory()).wait(SECONDS)


def test_6_disposal_of_an_operation_cancels_it(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(memory())
    metadata = sent(readable)
    del readable
    gc.collect()
    with pytest.raises(RuntimeError):
        peer.begin_read(metadata, memory()).wait(SECONDS)


@pytest.mark.parametrize("kind", ["readable", "writable"])
def test_7_passive_operation_is_cancelled(connector: Connector, kind: str) -> None:
    operation = getattr(connector, f"create_{kind}")(memory())
    operation.cancel()
    assert operation.wait(SECONDS)
    assert operation.status is OperationStatus.CANCELLED


@pytest.mark.parametrize(
    "status",
    [OperationStatus.COMPLETE, OperationStatus.ERRORED, OperationStatus.CANCELLED],
)
def test_8_cancel_leaves_what_has_ended(
    connector: Connector, peer: Connector, status: OperationStatus
) -> None:
    timeout = 0.001 if status is OperationStatus.ERRORED else None
    readable = connector.create_readable(memory(), timeout=timeout)
    if status is OperationStatus.COMPLETE:
        assert peer.begin_read(sent(readable), memory()).wait(SECONDS)
    elif status is OperationStatus.CANCELLED:
        readable.cancel()
    assert readable._native.wait(SECONDS)
    for _ in range(2):
        readable.cancel()
        assert readable.status is status


def test_9_waits_end_when_the_bytes_are_there(
    connector: Connector, peer: Connector
) -> None:
    async def run() -> None:
        filled, written = bytearray(8), bytearray(8)
        readable = connector.create_readable(Descriptor(b"12345678"))
        read = peer.begin_read(sent(readable), Descriptor(filled))
        await asyncio.wait_for(read.wait_for_completion(), SECONDS)
        assert filled == b"12345678"
        await asyncio.wait_for(readable.wait_for_completion(), SECONDS)
        writable = connector.create_writable(Descriptor(written))
        write = peer.begin_write(Descriptor(b"abcdefgh"), sent(writable))
        await asyncio.wait_for(writable.wait_for_completion(), SECONDS)
        assert written == b"abcdefgh"
        await asyncio.wait_for(write.wait_for_completion(), SECONDS)

    asyncio.run(run())


def test_9_waits_end_on_errors(connector: Connector, silent: SilentPeer) -> None:
    async def run() -> None:
        write = connector.begin_write(memory(), silent.writable)
        readable = connector.create_readable(memory(), timeout=0.001)
        silent.die()
        waits = [each.wait_for_completion() for each in (write, readable)]
        ended = await asyncio.wait_for(
            asyncio.gather(*waits, return_exceptions=True), SECONDS
        )
        assert [type(each) for each in ended] == [nc.Disconnected, nc.TimedOut]

    asyncio.run(run())


def test_10_descriptor_neither_copies_nor_forgets_its_memory() -> None:
    owner = Owner(b"12345678")
    reference = weakref.ref(owner)
    descriptor = Descriptor(owner)
    same = Descriptor(owner)
    assert descriptor.ptr == same.ptr
    del owner, same
    gc.collect()
    assert reference() is not None


def test_10_reader_sees_what_changed_before_the_read(
    connector: Connector, peer: Connector
) -> None:
    source, target = bytearray(b"12345678"), bytearray(8)
    descriptor = Descriptor(source)
    descriptor.register_with_connector(connector)
    descriptor.register_with_connector(connector)
    readable = connector.create_readable(descriptor)
    metadata = sent(readable)
    source[:] = b"abcdefgh"
    assert peer.begin_read(metadata, Descriptor(target)).wait(SECONDS)
    assert target == b"abcdefgh"


def test_12_passive_side_completes_at_the_first_signal(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(memory())
    assert peer.begin_read(sent(readable), memory()).wait(SECONDS)
    assert readable.wait(SECONDS)
    assert readable.status is OperationStatus.COMPLETE


def test_12_several_read_while_the_memory_is_exposed(
    connector: Connector, peer: Connector
) -> None:
    source, targets = b"12345678", [bytearray(8) for _ in range(5)]
    readable = connector.create_readable(Descriptor(source))
    metadata = sent(readable)
    first = peer.begin_read(metadata, Descriptor(targets[0]))
    assert first.wait(SECONDS)
    assert readable.wait(SECONDS)
    assert readable.status is OperationStatus.COMPLETE
    with Connector() as third:
        later = [
            each.begin_read(metadata, Descriptor(target))
            for each, target in zip([peer, third] * 2, targets[1:], strict=True)
        ]
        assert nc.wait_all(later, SECONDS)
    assert targets == [source] * 5
    assert readable.status is OperationStatus.COMPLETE


@pytest.mark.parametrize("end", ["close", "cancel", "drop", "with", "aclose"])
def test_12_nobody_reads_what_is_exposed_no_more(
    connector: Connector, peer: Connector, end: str
) -> None:
    owner = Owner(8)
    readable = connector.create_readable(Descriptor(owner))
    metadata = sent(readable)
    assert peer.begin_read(metadata, memory()).wait(SECONDS)
    assert readable.wait(SECONDS)
    kept = weakref.ref(owner)
    del owner
    assert kept() is not None
    if end == "with":
        with readable:
            pass
    elif end == "aclose":
        asyncio.run(readable.aclose())
    elif end != "drop":
        getattr(readable, end)()
    del readable
    assert is_gone(kept)
    late = peer.begin_read(metadata, memory())
    with pytest.raises(nc.Cancelled):
        late.wait(SECONDS)


def test_12_counted_readers_are_the_only_ones(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(memory(), readers=2)
    metadata = sent(readable)
    assert peer.begin_read(metadata, memory()).wait(SECONDS)
    assert not readable.done()
    assert peer.begin_read(metadata, memory()).wait(SECONDS)
    assert readable.wait(SECONDS)
    with pytest.raises(nc.Cancelled):
        peer.begin_read(metadata, memory()).wait(SECONDS)
