# SPDX-License-Identifier: Apache-2.0
"""What upstream's documentation promises, by the reference's numbers. Its 1, what it is
meant for, has no test. Elsewhere are

- 3, a wrong pairing raises: test_errors.py
- 4, a transfer begins at its creation: test_defects_completion.py, D2 and D6
- 5, metadata travels as text: test_callers_old.py, P14
- 7 and 8, what cancel() does: test_states.py
- 9, when waits end: test_smoke.py and test_generations.py, for errors test_states.py
- 11, names of devices: test_device.py
"""

import asyncio
import gc
import weakref

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, OperationStatus
from sides import SECONDS, memory, run_alone, sent
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


def test_6_disposal_of_an_operation_cancels_it(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(memory())
    metadata = sent(readable)
    del readable
    gc.collect()
    with pytest.raises(RuntimeError):
        peer.begin_read(metadata, memory()).wait(SECONDS)


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
