# SPDX-License-Identifier: Apache-2.0
"""Memory that peers of the host map: arrays of it, and the path that it takes."""

import gc
import os
from contextlib import suppress
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor
from sides import SECONDS, sent


def filled(array: Any) -> Any:
    flat = array.reshape(-1)
    flat[:] = 7
    flat[-1] = 3
    return array


def other_zeros(arrays: Any, shape: tuple[int, ...]) -> Any:
    return arrays.zeros(shape, dtype=arrays.float32)


def test_array_of_it_is_read_and_written_through_the_map(
    connector: Connector, peer: Connector, arrays: Any
) -> None:
    shape = (3, 1000)
    source, target = filled(nc.empty(shape, arrays.float32)), other_zeros(arrays, shape)
    readable = connector.create_readable(Descriptor(source))
    read = peer.begin_read(sent(readable), Descriptor(target))
    assert read.wait(SECONDS)
    assert (target == source).all()

    place = nc.like(target)
    assert place.shape == target.shape
    assert place.dtype == target.dtype
    assert type(place) is type(target)
    writable = connector.create_writable(Descriptor(place))
    write = peer.begin_write(Descriptor(target), sent(writable))
    assert write.wait(SECONDS)
    assert (place == source).all()
    assert read.path == write.path == "host.map"


def test_it_is_zero_and_writeable() -> None:
    memory = Connector.allocate(10_000)
    assert isinstance(memory, memoryview)
    assert not memory.readonly
    assert bytes(memory) == bytes(10_000)
    memory[:] = b"x" * 10_000
    assert Descriptor(memory).size == 10_000


def test_pages_of_it_take_the_map(connector: Connector, peer: Connector) -> None:
    numpy = pytest.importorskip("numpy")
    pool, target = nc.empty((64, 4096)), numpy.zeros((3, 4096), "uint8")
    pool[:] = numpy.arange(64, dtype="uint8")[:, None]
    readable = connector.create_readable(Descriptor.pages(pool, 4096, [5, 63, 0]))
    places = Descriptor.pages(target, 4096, [0, 1, 2])
    read = peer.begin_read(sent(readable), places)
    assert read.wait(SECONDS)
    assert read.path == "host.map"
    assert target[:, 0].tolist() == target[:, -1].tolist() == [5, 63, 0]


def allocations() -> set[str]:
    """The names of those that this process has."""
    gc.collect()
    links = set()
    for each in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the list itself
            links.add(os.readlink(f"/proc/self/fd/{each}"))
    return {link for link in links if "nixl_connect_memory" in link}


def test_it_goes_with_the_last_view() -> None:
    pytest.importorskip("numpy")
    before = allocations()
    array = nc.empty(4096)
    (own,) = allocations() - before
    part = array[10:20].view("uint16")
    del array
    assert own in allocations()
    part[:] = 5
    del part
    assert own not in allocations()


def test_operation_keeps_it(connector: Connector, peer: Connector) -> None:
    readable = connector.create_readable(Descriptor(Connector.allocate(100)))
    gc.collect()
    target = bytearray(b"x" * 100)
    assert peer.begin_read(sent(readable), Descriptor(target)).wait(SECONDS)
    assert target == bytes(100)


def test_array_without_elements_needs_none_of_it(arrays: Any) -> None:
    assert nc.empty((0, 5), arrays.float32).shape == (0, 5)
    assert tuple(nc.empty((), arrays.float32).shape) == ()


def test_huge_pages_are_taken_if_they_are_there() -> None:
    assert len(Connector.allocate(3 << 20, huge_pages=True)) == 3 << 20


@pytest.mark.parametrize(
    ("size", "error"),
    [(0, ValueError), (-1, ValueError), (1 << 70, ValueError), ("5", TypeError)],
)
def test_sizes_that_cannot_be_are_refused(size: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="size"):
        Connector.allocate(size)


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(nc.NoResources):
        Connector.allocate(1 << 62)


def test_shape_is_whatever_counts() -> None:
    numpy = pytest.importorskip("numpy")
    assert nc.empty(numpy.int64(8)).shape == (8,)
    assert nc.empty((numpy.int32(2), 3)).shape == (2, 3)
    for wrong in (1.5, "8", (1.5,)):
        with pytest.raises(TypeError):
            nc.empty(wrong)  # type: ignore[arg-type]


def test_like_needs_an_array() -> None:
    for wrong in ([1], bytes, b"1"):
        with pytest.raises(
            TypeError, match=r"like\(\) takes a tensor or a numpy array"
        ):
            nc.like(wrong)
