# SPDX-License-Identifier: Apache-2.0
"""Defects of upstream around registrations, peers and notifications (D9 to D19 of its
list, without D14), each as a test that ours has not got it. D9 and D12 for GPU memory
need a GPU."""

import asyncio
import base64
import gc
import os
import resource
import zlib
from collections.abc import Callable
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor, OperationStatus, Remote
from sides import SECONDS, memory, sent

INITIALIZED = OperationStatus.INITIALIZED


def agent_of(connector: nc.Connector, operation: nc.PassiveOperation) -> str:
    """The name that peers know. It changes when a registration did that they may have
    a key of."""
    return Remote(connector, operation.metadata().nixl_metadata).name


def read_at(peer: nc.Connector, readable: nc.ReadableOperation) -> bytes:
    target = bytearray(readable._local.size)  # type: ignore[union-attr]
    read = peer.begin_read(sent(readable), Descriptor(target), timeout=SECONDS)
    assert read.wait(SECONDS)
    return bytes(target)


def test_registration_of_the_user_survives_operations(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D9: an operation undoes a registration that it did not make."""
    descriptor = Descriptor(bytearray(b"12345678"))
    connection = asyncio.run(connector._create_connection())
    descriptor.register_with_connector(connection)
    for _ in range(3):
        with connector.create_readable(descriptor) as readable:
            assert read_at(peer, readable) == b"12345678"
        assert descriptor.is_registered
    descriptor.deregister_with_connector(connection)
    assert not descriptor.is_registered


def test_registration_outlives_operations_and_descriptors(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D9: each operation registers anew. D13: and connects anew."""
    owner = bytearray(1 << 20)
    agents, peers = set(), set()
    for _ in range(20):
        readable = connector.create_readable(Descriptor(owner))
        read = peer.begin_read(sent(readable), memory(1 << 20))
        assert read.wait(SECONDS)
        agents.add(agent_of(connector, readable))
        peers.add(read.remote.name)
        del readable, read
        gc.collect(0)
    assert agents == peers and len(agents) == 1


def test_descriptor_serves_operations_that_overlap(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D10: the release of one operation takes the registration from under the next."""
    descriptor = Descriptor(bytearray(b"12345678"))
    before = None
    for _ in range(40):
        readable = connector.create_readable(descriptor)
        if before is not None:
            before.close()
        before = None
        gc.collect(0)
        assert read_at(peer, readable) == b"12345678"
        assert [each.ptr for each in readable.metadata().descriptors] == [
            descriptor.ptr
        ]
        before = readable


def test_two_descriptors_of_one_memory(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D11: two registrations of the same memory end in a double free or a leak."""
    owner = bytearray(b"12345678")
    first, second = Descriptor(owner), Descriptor(owner)
    for each in (first, second):
        each.register_with_connector(connector)
    kept = connector.create_readable(first)
    with connector.create_readable(second) as readable:
        assert read_at(peer, readable) == b"12345678"
    second.deregister_with_connector(connector)
    del second, readable
    gc.collect()
    assert read_at(peer, kept) == b"12345678"
    assert first.is_registered


def check_slices(
    connector: nc.Connector, peer: nc.Connector, pieces: Callable[[], list[Any]]
) -> None:
    """All readables of a round are there at once; all are gone before the next."""
    agents = set()
    for _ in range(2):
        readables = [connector.create_readable(Descriptor(each)) for each in pieces()]
        for readable, piece in zip(readables, pieces(), strict=True):
            assert read_at(peer, readable) == piece.tobytes()
            agents.add(agent_of(connector, readable))
        del readables, readable
        gc.collect()
    assert len(agents) == 1


def test_slices_of_one_array_in_two_rounds(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D12: the second round finds an address that was registered anew, and the whole
    peer is dropped. D9: a slice registers its whole array."""
    numpy = pytest.importorskip("numpy")
    whole = numpy.arange(64 * 64, dtype=numpy.uint16).reshape(64, 64)
    check_slices(connector, peer, lambda: [row.view() for row in whole])


def test_slices_of_one_tensor_in_two_rounds(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D12, D9: the tensors of a storage share it, also those made anew for each
    request."""
    torch = pytest.importorskip("torch")
    whole = torch.arange(64 * 64, dtype=torch.int16).reshape(64, 64)
    agents = set()
    for _ in range(2):
        for number in range(64):
            readable = connector.create_readable(Descriptor(whole[number]))
            assert read_at(peer, readable) == whole[number].numpy().tobytes()
            agents.add(agent_of(connector, readable))
            del readable
    assert len(agents) == 1


def test_memory_that_comes_back_at_its_address_is_read(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D12: a peer keeps the key of what was there before, and refuses the new one."""
    addresses = set()
    for number in range(50):
        pattern = bytes([number]) * (1 << 20)
        descriptor = Descriptor(bytearray(pattern))
        addresses.add(descriptor.ptr)
        with connector.create_readable(descriptor) as readable:
            assert read_at(peer, readable) == pattern
        del descriptor, readable
    assert len(addresses) < 50


@pytest.mark.timing
def test_way_to_a_peer_is_kept() -> None:
    """D13: a peer is dropped after each operation, and its endpoints are made anew.
    Some sockets come and go while both sides connect to each other."""
    with nc.Connector() as connector, nc.Connector() as peer:
        readable = connector.create_readable(memory(), readers=1000)
        seen = set()
        for _ in range(100):
            read_at(peer, readable)
            seen.update(sockets())
        assert len(seen) - len(set(sockets())) < 10


def sockets() -> list[str]:
    names = []
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # that of the listing itself
            continue
        if name.startswith("socket:"):
            names.append(name)
    return names


@pytest.mark.parametrize("way", ["with", "close", "aclose"])
def test_peer_is_released_with_the_operation(
    connector: nc.Connector, peer: nc.Connector, way: str
) -> None:
    """D15: only the collector releases the peer."""
    readable = connector.create_readable(memory())
    read = peer.begin_read(sent(readable), memory())
    assert read.wait(SECONDS)
    name = read.remote.name
    references = peer._as_connection()._remote_refs
    assert references[name] == 1
    if way == "with":
        with read:
            pass
    elif way == "close":
        read.close()
    else:
        asyncio.run(read.aclose())
    assert name not in references
    assert read.remote.name == name


def test_metadata_names_nothing_but_its_own_memory(connector: nc.Connector) -> None:
    """D16: metadata grows with every live registration and gives all keys away."""
    alone = connector.create_readable(memory()).metadata()
    others = [connector.create_readable(memory(64)) for _ in range(100)]
    descriptors = [memory() for _ in range(100)]
    for each in descriptors:
        each.register_with_connector(connector)
    among = connector.create_readable(memory()).metadata()
    assert abs(len(among.nixl_metadata) - len(alone.nixl_metadata)) < 32
    del others


def test_keys_that_nobody_waits_for_are_forgotten(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D17: every poll goes through all notifications there ever were. D18: those that
    nobody asks for are kept for ever."""
    exposed = connector.create_readable(memory(), readers=1_000_000)
    metadata = sent(exposed)
    awaited = connector.create_readable(memory())

    def read_some(count: int) -> None:
        for number in range(count):
            key = f"nobody-{number}-" + "x" * 1000
            invented = metadata.model_copy(update={"notification_key": key})
            assert peer.begin_read(invented, memory()).wait(SECONDS)

    read_some(2000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read_some(10_000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 5000  # KiB, of 10,000 that were sent
    assert awaited.status is INITIALIZED
    read_at(peer, awaited)
    assert awaited.wait(SECONDS)


def test_notifications_that_are_no_text_are_ignored(connector: nc.Connector) -> None:
    """D19: one of them makes every status of every passive operation raise. D17, D18:
    and those that are text but no key are kept for ever."""
    api = pytest.importorskip("nixl._api")
    agent = api.nixl_agent("raw", api.nixl_agent_config(backends=["UCX"]))
    readable = connector.create_readable(memory(), readers=2)
    blob = zlib.decompress(base64.b64decode(sent(readable).nixl_metadata[4:]))
    name = agent.add_remote_agent(blob)
    key = readable.metadata().notification_key.encode()
    for message in (b"\xff\xfe", b"", b"\0", b"nobody", key + b"\xff", key):
        agent.send_notif(name, message)
    read_at(connector, readable)
    assert readable.wait(SECONDS)
    assert readable.status is OperationStatus.COMPLETE
