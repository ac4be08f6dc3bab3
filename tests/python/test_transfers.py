# SPDX-License-Identifier: Apache-2.0
"""Bytes that move: reads and writes, of single ranges and of pages."""

import nixl_connect as nc
from nixl_connect import Descriptor, OperationStatus
from sides import SECONDS, sent


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
