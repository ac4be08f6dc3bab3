# SPDX-License-Identifier: Apache-2.0
"""Which local memory goes with which metadata, and what is said of what does not."""

import random
import re
import time
from collections.abc import Callable

import pytest
from nixl_connect import Connector, Descriptor, RdmaMetadata, _native
from nixl_connect._metadata import RemotePages
from sides import SECONDS, memory, sent

ONE, TWELVE = memory(), memory(12)

OVERLAPS: dict[str, list[Descriptor]] = {
    "descriptor 0 and descriptor 1": [ONE, ONE],
    "descriptor 1 and descriptor 2": [memory(), TWELVE[4:], TWELVE[:8]],
    "piece 0 of the descriptor and piece 2 of the descriptor": [
        Descriptor.pages(TWELVE, 4, [0, 1, 0])
    ],
    "piece 1 of descriptor 0 and descriptor 1": [
        Descriptor.pages(TWELVE, 4, [2, 0]),
        TWELVE[:1],
    ],
}


@pytest.mark.parametrize("which", OVERLAPS)
def test_target_that_overlaps_is_refused_with_the_two_pieces(
    connector: Connector, which: str
) -> None:
    target = OVERLAPS[which]
    fresh, text = Connector(), f"^{which} overlap; .* only a source may repeat"
    with pytest.raises(ValueError, match=text):
        fresh.create_writable(target)
    readable = connector.create_readable([memory(each.size) for each in target])
    with pytest.raises(ValueError, match=text):
        fresh.begin_read(sent(readable), target)
    assert fresh._connection is None


def test_remote_target_that_overlaps_is_refused(connector: Connector) -> None:
    writable = sent(connector.create_writable(memory(16)))
    with pytest.raises(ValueError, match=r"^page 1 of the metadata and page 2 overlap"):
        Connector().begin_write(memory(24), writable.pages(8, [0, 1, 1]))


def test_source_may_repeat(connector: Connector, peer: Connector) -> None:
    source, filled, written = Descriptor(b"12345678"), bytearray(8), bytearray(16)
    pair = connector.create_readable([source, source])
    assert peer.begin_read(sent(pair), [memory(), memory()]).wait(SECONDS)
    readable = connector.create_readable(source)
    pages = sent(readable).pages(4, [1, 1])
    assert peer.begin_read(pages, Descriptor(filled)).wait(SECONDS)
    assert filled == b"56785678"
    writable = connector.create_writable(Descriptor(written))
    twice = Descriptor.pages(source, 4, [1, 0, 1, 0])
    assert peer.begin_write(twice, sent(writable)).wait(SECONDS)
    assert written == b"5678123456781234"


@pytest.mark.timing
def test_4096_pages_are_looked_through_in_less_than_a_millisecond() -> None:
    pages = list(range(4096))
    random.Random(1).shuffle(pages)
    scattered = Descriptor.pages(memory(4096 * 16), 16, pages)._memory

    def seconds() -> float:
        begin = time.perf_counter()
        _native.check_exposed(scattered, True)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.001


Named = Callable[[RdmaMetadata], RdmaMetadata | RemotePages]

MISMATCHES: dict[str, tuple[list[int], Named, list[Descriptor]]] = {
    "1 descriptor (16 bytes), but 1 descriptor (1 byte) was given": (
        [16],
        lambda metadata: metadata,
        [memory(1)],
    ),
    "2 descriptors (24 bytes), but 1 descriptor (8 bytes) was given": (
        [8, 16],
        lambda metadata: metadata,
        [memory()],
    ),
    "1 descriptor (16 bytes), but 2 descriptors (16 bytes) were given": (
        [16],
        lambda metadata: metadata,
        [memory(), memory()],
    ),
    "3 descriptors (32 bytes), but 2 descriptors (32 bytes) were given": (
        [8, 16, 8],
        lambda metadata: metadata,
        [memory(16), memory(16)],
    ),
    "2 descriptors (24 bytes), but 2 descriptors (16 bytes) were given; "
    "number 1 has 16 bytes there and 8 here": (
        [8, 16],
        lambda metadata: metadata,
        [memory(), memory()],
    ),
    "2 pages (8 bytes), but 1 descriptor in 3 pieces (12 bytes) was given": (
        [16],
        lambda metadata: metadata.pages(4, [1, 2]),
        [Descriptor.pages(memory(32), 4, [0, 2, 4])],
    ),
}


@pytest.mark.parametrize("text", MISMATCHES)
def test_mismatch_is_told_with_counts_sizes_and_what_helps(
    connector: Connector, text: str
) -> None:
    exposed, named, given = MISMATCHES[text]
    readable = connector.create_readable([memory(size) for size in exposed])
    fresh = Connector()
    with pytest.raises(ValueError, match=re.escape(text)) as raised:
        fresh.begin_read(named(sent(readable)), given)
    for remedy in ("same shape", "Descriptor.pages()", "list", "slices"):
        assert remedy in str(raised.value)
    assert fresh._connection is None
