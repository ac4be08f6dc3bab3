# SPDX-License-Identifier: Apache-2.0
"""Descriptor: what counts as memory, and where it is found to be."""

import array
import mmap
import time
from typing import Any

import pydantic
import pytest
from nixl_connect import Descriptor, Device, SerializedDescriptor

numpy = pytest.importorskip("numpy")


def ranges_of(descriptor: Descriptor) -> list[tuple[int, int]]:
    return descriptor._memory.ranges()


@pytest.mark.parametrize(
    "given",
    [
        (4096,),
        ("4096", 10),
        (4096, "10"),
        (4096, 10, 5),
        (numpy.zeros(3), 5),
        (),
        object(),
        5,
        "text",
        numpy.array([object()]),
    ],
)
def test_descriptor_refuses_what_is_no_memory(given: Any) -> None:
    with pytest.raises(TypeError):
        Descriptor(given)


@pytest.mark.parametrize(
    "given",
    [
        None,
        (4096, 10, "tpu"),
        (1, -1),
        (numpy.zeros(3), "cuda:0"),
        numpy.broadcast_to(numpy.zeros(1), (4,)),
        numpy.zeros((1000, 1000), numpy.uint8).T,
    ],
)
def test_descriptor_refuses_memory_that_cannot_be_moved(given: Any) -> None:
    with pytest.raises(ValueError):
        Descriptor(given)


@pytest.mark.parametrize(
    ("data", "size", "is_read_only"),
    [
        (bytearray(10), 10, False),
        (b"abc", 3, True),
        (b"", 0, True),
        (memoryview(bytearray(7)), 7, False),
        (array.array("d", [1, 2]), 16, False),
        (mmap.mmap(-1, 4096), 4096, False),
        (numpy.zeros(3, numpy.float32), 12, False),
        (numpy.array(3.0), 8, False),
        (numpy.zeros(3, "M8[s]"), 24, False),
        (numpy.zeros((3, 0, 2)), 0, False),
        (numpy.float32(3), 4, True),
    ],
)
def test_descriptor_takes_buffers(data: Any, size: int, is_read_only: bool) -> None:
    descriptor = Descriptor(data)
    assert descriptor.size == size
    assert descriptor.is_read_only is is_read_only
    assert descriptor.device == Device("cpu")
    assert descriptor.ptr != 0


def test_descriptor_takes_pointers() -> None:
    descriptor = Descriptor((0x1000, 16))
    assert str(descriptor) == "ptr=0x1000, size=16, device=cpu"
    assert repr(descriptor) == "Descriptor(ptr=0x1000, size=16, device=cpu)"
    assert str(Descriptor((0x1000, 16, "CUDA:1")).device) == "cuda:1"
    with pytest.raises(pydantic.ValidationError):
        _ = Descriptor((0, 10)).metadata


def test_descriptor_takes_array_interfaces() -> None:
    class OnDevice:
        @property
        def __cuda_array_interface__(self) -> dict[str, Any]:
            data = {"shape": (4, 4), "typestr": "<f4", "data": (0x10000, False)}
            return {**data, "version": 3}

    class OnHost:
        def __init__(self, of: Any) -> None:
            self.of = of
            self.__array_interface__ = of.__array_interface__

    text = "ptr=0x10000, size=64, device=cuda:0"
    assert str(Descriptor(OnDevice())) == text
    whole = numpy.arange(24).reshape(4, 6)
    assert Descriptor(OnHost(whole)).size == whole.nbytes
    assert len(ranges_of(Descriptor(OnHost(whole[:, 1:])))) == 4


def test_descriptor_takes_tensors_and_dlpack() -> None:
    torch = pytest.importorskip("torch")

    class Exporter:
        def __init__(self, tensor: Any) -> None:
            self.tensor = tensor

        def __dlpack__(self, **arguments: Any) -> Any:
            return self.tensor.__dlpack__(**arguments)

        def __dlpack_device__(self) -> Any:
            return self.tensor.__dlpack_device__()

    tensor = torch.arange(24).reshape(4, 6)
    rows = [(tensor.data_ptr() + 16 + 48 * row, 32) for row in range(4)]
    for data in (tensor, Exporter(tensor)):
        assert (Descriptor(data).ptr, Descriptor(data).size) == (tensor.data_ptr(), 192)
    for data in (tensor[:, 2:], Exporter(tensor[:, 2:])):
        assert ranges_of(Descriptor(data)) == rows
    assert Descriptor(torch.zeros(4, dtype=torch.bfloat16)).size == 8
    assert Descriptor(torch.tensor(3.0)).size == 4
    assert Descriptor(torch.zeros(0)).metadata.size == 0
    with pytest.raises(ValueError):
        Descriptor(torch.zeros(3).to_sparse())


def test_strided_array_is_the_ranges_it_lies_in() -> None:
    whole = numpy.zeros((4, 3, 8), numpy.uint8)
    address = whole.ctypes.data
    middle = Descriptor(whole[:, 1, :])
    assert ranges_of(middle) == [(address + 8 + 24 * row, 8) for row in range(4)]
    assert ranges_of(middle[4:20]) == [
        (address + 12, 4),
        (address + 32, 8),
        (address + 56, 4),
    ]
    assert ranges_of(Descriptor(whole[:2])) == [(address, 48)]
    backwards = numpy.arange(3, dtype=numpy.uint8)[::-1]
    last = backwards.ctypes.data
    assert ranges_of(Descriptor(backwards)) == [(last, 1), (last - 1, 1), (last - 2, 1)]
    with pytest.raises(ValueError, match="4 ranges"):
        _ = middle.metadata


def test_slice_shares_the_memory() -> None:
    descriptor = Descriptor(bytearray(100))
    assert descriptor[10:20].ptr == descriptor.ptr + 10
    assert descriptor[-10:].size == 10
    assert descriptor[50:10].size == 0
    with pytest.raises(TypeError):
        _ = descriptor[3]  # type: ignore[index]
    with pytest.raises(ValueError):
        _ = descriptor[::2]


def test_size_that_a_pool_sets_shows_in_the_metadata() -> None:
    descriptor = Descriptor(bytearray(100))
    assert descriptor.metadata.size == 100
    descriptor._data_size = 50
    assert (
        descriptor.size == descriptor.metadata.size == descriptor.metadata().size == 50
    )
    descriptor._data_size = 100
    assert descriptor.metadata.size == 100
    with pytest.raises(ValueError):
        descriptor._data_size = 101


def test_serialized_range_becomes_a_descriptor() -> None:
    serialized = SerializedDescriptor(ptr=4096, size=5)
    assert Descriptor.from_serialized(serialized).metadata == serialized
    for other in (None, {}):
        with pytest.raises(TypeError):
            Descriptor.from_serialized(other)  # type: ignore[arg-type]


def test_bytearray_cannot_be_resized_while_described() -> None:
    data = bytearray(5)
    descriptor = Descriptor(data)
    with pytest.raises(BufferError):
        data.append(1)
    del descriptor
    data.append(1)


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


def test_4096_pages_take_less_than_a_millisecond() -> None:
    pool = numpy.zeros(4096 * 4096, numpy.uint8)
    indices = numpy.arange(4096)[::-1]

    def seconds() -> float:
        begin = time.perf_counter()
        Descriptor.pages(pool, 4096, indices)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.001
