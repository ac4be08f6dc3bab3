# SPDX-License-Identifier: Apache-2.0
"""Descriptor.pages(): many pages of one memory, named by index arrays."""

import time

import pytest
from nixl_connect import Connector, Descriptor
from sides import ranges_of

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize("kind", ["int64", "int32", "uint16"])
def test_pages_take_index_arrays(kind: str) -> None:
    pool = numpy.zeros(8 * 4096, numpy.uint8)
    pages = Descriptor.pages(pool, 4096, numpy.array([3, 1], kind))
    address = pool.ctypes.data
    assert ranges_of(pages) == [(address + 3 * 4096, 4096), (address + 4096, 4096)]
    assert ranges_of(Descriptor.pages(pool, 4096, [3, 1])) == ranges_of(pages)
    assert ranges_of(Descriptor.pages(pool, 4096, (3, 1))) == ranges_of(pages)


def test_pages_refuse_what_is_no_page() -> None:
    pool = numpy.zeros(8 * 4096, numpy.uint8)
    for outside in ([8], [-1]):
        with pytest.raises(IndexError):
            Descriptor.pages(pool, 4096, outside)
    for indices in (numpy.array([1.5]), "ab", numpy.zeros((2, 2), int)):
        with pytest.raises(TypeError):
            Descriptor.pages(pool, 4096, indices)
    for mask in ([True], (0, False), [1, True], numpy.array([True])):
        with pytest.raises(TypeError, match="indices are"):
            Descriptor.pages(pool, 4096, mask)
    with pytest.raises(ValueError):
        Descriptor.pages(pool, 0, [1])


def test_no_pages_are_refused_alike_on_both_sides(connector: Connector) -> None:
    pool = numpy.zeros(8 * 4096, numpy.uint8)
    metadata = connector.create_readable(Descriptor(pool)).metadata()
    for pages in (
        lambda n: Descriptor.pages(pool, 4096, n),
        lambda n: metadata.pages(4096, n),
    ):
        for none in ([], (), range(0), numpy.zeros(0, int)):
            with pytest.raises(
                ValueError, match=r"^the indices name no page, so there"
            ):
                pages(none)


def test_pages_of_an_array_that_is_not_contiguous_follow_its_elements() -> None:
    cache = numpy.zeros((4, 3, 8), numpy.uint8)  # blocks, layers, bytes
    address = cache.ctypes.data
    layer = Descriptor(cache[:, 1])
    blocks = Descriptor.pages(layer, 8, [3, 0])
    assert ranges_of(blocks) == [(address + 24 * 3 + 8, 8), (address + 8, 8)]
    across = Descriptor.pages(cache[:, 1], 12, [1])
    assert ranges_of(across) == [(address + 24 + 12, 4), (address + 48 + 8, 8)]
    with pytest.raises(IndexError, match="page 4 is outside the 4 pages of 8 bytes"):
        Descriptor.pages(layer, 8, [4])


@pytest.mark.timing
def test_4096_pages_take_less_than_a_millisecond() -> None:
    pool = numpy.zeros(4096 * 4096, numpy.uint8)
    indices = numpy.arange(4096)[::-1]

    def seconds() -> float:
        begin = time.perf_counter()
        Descriptor.pages(pool, 4096, indices)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.001
