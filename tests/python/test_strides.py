# SPDX-License-Identifier: Apache-2.0
"""Arrays that are not contiguous, moved as any other: out of and into selections of a
KV cache, each side with the strides it happens to have."""

import itertools
from collections.abc import Callable
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor
from sides import SECONDS, memory, ranges_of, sent

SHAPE = (3, 6, 2, 5)  # layers, blocks, heads, bytes

# Of the same shape, contiguous and not.
SELECTIONS: dict[str, Callable[[Any], Any]] = {
    "blocks": lambda cache: cache[:2, 1:3, :, :],
    "every other block": lambda cache: cache[1:, 1::2][:, :2],
    "packed": lambda cache: cache.reshape(-1)[:40].reshape(2, 2, 2, 5),
    "layers last": lambda cache: cache.reshape(6, 3, 2, 5)[1:3, :2].swapaxes(0, 1),
    "heads reversed": lambda cache: cache.reshape(3, 6, 5, 2)[:2, :2, :, :].swapaxes(
        2, 3
    ),
}


def caches(package: Any) -> tuple[Any, Any]:
    """One with different bytes, and one of zeros."""
    count = 3 * 6 * 2 * 5
    full = package.arange(count, dtype=package.uint8).reshape(SHAPE)
    return full, package.zeros(SHAPE, dtype=package.uint8)


def moves(connector: Connector, peer: Connector, source: Any, target: Any) -> None:
    """By a read, and by a write."""
    readable = connector.create_readable(Descriptor(source))
    read = peer.begin_read(sent(readable), Descriptor(target))
    assert nc.wait_all([read, readable], SECONDS)
    assert read.status is nc.OperationStatus.COMPLETE
    assert (target == source).all()
    target[...] = 0
    writable = connector.create_writable(Descriptor(target))
    write = peer.begin_write(Descriptor(source), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    assert (target == source).all()


@pytest.mark.parametrize(
    ("here", "there"), list(itertools.product(SELECTIONS, SELECTIONS))
)
def test_selection_of_a_cache_is_moved_into_any_other(
    connector: Connector, peer: Connector, arrays: Any, here: str, there: str
) -> None:
    full, empty = caches(arrays)
    source, target = SELECTIONS[there](full), SELECTIONS[here](empty)
    outside = empty + 1  # which are zeros where it is not selected
    SELECTIONS[here](outside)[...] = 0
    moves(connector, peer, source, target)
    assert (empty[outside == 1] == 0).all(), "nothing else is touched"


def test_selection_is_as_few_ranges_as_there_can_be(arrays: Any) -> None:
    cache = arrays.zeros((4, 10, 16, 8), dtype=arrays.uint8)
    for selection, count, size in (
        (cache[1:3], 1, 2 * 10 * 16 * 8),
        (cache[:, 2:5], 4, 3 * 16 * 8),
        (cache[:, :, 2:5], 40, 3 * 8),
        (cache[:, 1:2, :, :], 4, 16 * 8),
        (cache[..., :4], 640, 4),
        (cache[:, :, 0], 40, 8),
    ):
        ranges = ranges_of(Descriptor(selection))
        assert [each for _, each in ranges] == [size] * count


def test_what_belongs_together_is_found_by_its_bytes(
    connector: Connector, peer: Connector
) -> None:
    numpy = pytest.importorskip("numpy")
    cache = numpy.arange(32, dtype=numpy.uint8).reshape(4, 8)
    exposed = [Descriptor(cache[:, 2:4]), memory(3), Descriptor(cache[::2, 4:])]
    readable = connector.create_readable(exposed)
    assert len(sent(readable).descriptors) == 4 + 1 + 2
    first, middle, last = numpy.zeros((3, 8), numpy.uint8)
    read = peer.begin_read(
        sent(readable), [Descriptor(first), Descriptor(middle[:3]), Descriptor(last)]
    )
    assert nc.wait_all([read, readable], SECONDS)
    assert first.tolist() == cache[:, 2:4].ravel().tolist()
    assert last.tolist() == cache[::2, 4:].ravel().tolist()


def test_nothing_is_moved_between_different_nothings(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable([memory(0), memory(0)])
    read = peer.begin_read(sent(readable), memory(0))
    assert nc.wait_all([read, readable], SECONDS)
    assert read.status is nc.OperationStatus.COMPLETE


def test_pages_of_exposed_memory_in_pieces_follow_their_order(
    connector: Connector, peer: Connector
) -> None:
    numpy = pytest.importorskip("numpy")
    cache = numpy.arange(48, dtype=numpy.uint8).reshape(4, 3, 4)
    readable = connector.create_readable(Descriptor(cache[:, 1]), readers=2)
    metadata = sent(readable)
    target = numpy.zeros(8, numpy.uint8)
    blocks = metadata.pages(4, [3, 1])
    assert (len(blocks), blocks.size) == (2, 8)
    assert peer.begin_read(blocks, Descriptor(target)).wait(SECONDS)
    assert target.tolist() == [*cache[3, 1], *cache[1, 1]]
    across = metadata.pages(6, [1])
    assert (len(across), across.size) == (1, 6)
    assert peer.begin_read(across, Descriptor(target)[:6]).wait(SECONDS)
    assert target[:6].tolist() == [*cache[1, 1, 2:], *cache[2, 1]]
    assert readable.wait(SECONDS)
    with pytest.raises(IndexError):
        metadata.pages(6, [2])


def test_pages_of_several_devices_are_refused() -> None:
    metadata = nc.RdmaMetadata(
        descriptors=[
            nc.SerializedDescriptor(device=device, ptr=4096, size=64)
            for device in ("cuda:0", "cuda:1")
        ],
        nixl_metadata="b64:abc",
        notification_key="key",
        operation_kind=1,
    )
    with pytest.raises(ValueError, match="one device, not of cuda:0 and of cuda:1"):
        metadata.pages(64, [1])
