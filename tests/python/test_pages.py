# SPDX-License-Identifier: Apache-2.0
"""Descriptor.pages(): many pages of one memory, named by index arrays."""

import time

import pytest
from nixl_connect import Descriptor
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
    with pytest.raises(ValueError):
        Descriptor.pages(pool, 0, [1])
    with pytest.raises(ValueError):
        Descriptor.pages(pool.reshape(8, 4096)[:, :8], 8, [1])


@pytest.mark.timing
def test_4096_pages_take_less_than_a_millisecond() -> None:
    pool = numpy.zeros(4096 * 4096, numpy.uint8)
    indices = numpy.arange(4096)[::-1]

    def seconds() -> float:
        begin = time.perf_counter()
        Descriptor.pages(pool, 4096, indices)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.001
