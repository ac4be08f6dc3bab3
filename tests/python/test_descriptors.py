# SPDX-License-Identifier: Apache-2.0
"""Descriptor: its forms but for arrays (test_arrays.py), what it refuses, its
members."""

import array
import copy
import gc
import mmap
import weakref
from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import Descriptor, Device, DeviceKind, SerializedDescriptor
from watched import Owner

numpy = pytest.importorskip("numpy")

ARRAY = numpy.arange(6, dtype=numpy.int16)
DATA = bytearray(10)
ADDRESS = Descriptor(DATA).ptr


@pytest.mark.parametrize(
    ("given", "size", "is_read_only"),
    [
        (DATA, 10, False),
        (bytearray(), 0, False),
        (b"abc", 3, True),
        (b"", 0, True),
        (memoryview(DATA), 10, False),
        (memoryview(DATA)[2:5], 3, False),
        (memoryview(b"abc"), 3, True),
        (array.array("d", [1, 2]), 16, False),
        (mmap.mmap(-1, 4096), 4096, False),
    ],
)
def test_descriptor_takes_buffers(given: Any, size: int, is_read_only: bool) -> None:
    descriptor = Descriptor(data=given)
    assert descriptor.size == size
    assert descriptor.is_read_only is is_read_only
    assert descriptor.device == Device("cpu")
    assert (
        descriptor.ptr == numpy.frombuffer(given, numpy.uint8).ctypes.data or not size
    )
    assert descriptor.ptr != 0


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((0x1000, 16), "ptr=0x1000, size=16, device=cpu"),
        ((0x1000, 0), "ptr=0x1000, size=0, device=cpu"),
        ((0x1000, 16, "cpu"), "ptr=0x1000, size=16, device=cpu"),
        ((0x1000, 16, "CUDA:1"), "ptr=0x1000, size=16, device=cuda:1"),
        ((0x1000, 16, "cuda"), "ptr=0x1000, size=16, device=cuda:0"),
        ((0x1000, 16, Device("xpu:2")), "ptr=0x1000, size=16, device=xpu:2"),
        ((0x1000, 16, "cpu", DATA), "ptr=0x1000, size=16, device=cpu"),
        ((0x1000, 16, "cpu", None), "ptr=0x1000, size=16, device=cpu"),
        ((0, 16), "ptr=0x0, size=16, device=cpu"),
    ],
)
def test_descriptor_takes_pointers(given: Any, text: str) -> None:
    assert str(Descriptor(given)) == text
    assert repr(Descriptor(given)) == f"Descriptor({text})"


@pytest.mark.parametrize("device", ["cpu", " CPU", "host", Device("cpu")])
def test_descriptor_takes_arrays_with_their_device(device: Any) -> None:
    descriptor = Descriptor((ARRAY, device))
    assert descriptor.ptr == ARRAY.__array_interface__["data"][0]
    assert descriptor.size == ARRAY.nbytes
    assert descriptor.device == Device("cpu")


def test_owner_of_a_pointer_is_kept_while_it_is_described() -> None:
    owner = Owner()
    reference = weakref.ref(owner)
    descriptor = Descriptor((0x1000, 16, "cpu", owner))
    assert descriptor._data_ref is owner
    del owner
    gc.collect()
    assert reference() is not None
    del descriptor
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    "given",
    [
        (4096,),
        ("4096", 10),
        (4096, "10"),
        (4096, 10, 5),
        (4096, 10, None),
        (ARRAY, 5),
        (ARRAY, None),
        (object(), "cpu"),
        (),
        [4096, 10],
        object(),
        5,
        "text",
        {},
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
        (4096, 10, ""),
        (ARRAY, "tpu"),
        (ARRAY, "cuda:0"),
        (4096, -1),
        (-1, 10),
        (4096, 10, Device((DeviceKind.UNSPECIFIED, 0))),
    ],
)
def test_descriptor_refuses_memory_that_cannot_be_moved(given: Any) -> None:
    with pytest.raises(ValueError):
        Descriptor(given)


@pytest.mark.parametrize("given", [(2**64 - 4, 16), (2**64 - 16, 16), (2**64, 0)])
def test_descriptor_refuses_memory_that_wraps_around(given: Any) -> None:
    with pytest.raises(ValueError, match="do not fit behind the address 0x"):
        Descriptor(given)
    assert Descriptor((2**64 - 17, 16)).size == 16


def test_members_tell_where_the_memory_is() -> None:
    descriptor = Descriptor((0x1000, 16, "cuda:1"))
    assert (descriptor.ptr, descriptor.size) == (0x1000, 16)
    assert descriptor.device == Device("cuda:1")
    assert descriptor.is_registered is False
    for name in ("ptr", "size", "device", "is_registered", "metadata"):
        with pytest.raises(AttributeError):
            setattr(descriptor, name, getattr(descriptor, name))


def test_metadata_is_made_once() -> None:
    descriptor = Descriptor((0x1000, 16, "cuda:1"))
    expected = SerializedDescriptor(device="cuda:1", ptr=0x1000, size=16)
    assert descriptor.metadata == expected
    assert descriptor.metadata is descriptor.metadata


def test_null_pointer_has_no_metadata() -> None:
    with pytest.raises(pydantic.ValidationError):
        _ = Descriptor((0, 10)).metadata


def test_size_that_a_pool_sets_shows_in_the_metadata() -> None:
    descriptor = Descriptor(bytearray(100))
    assert descriptor.metadata.size == 100
    for size in (50, 0, 100):
        descriptor._data_size = size
        assert descriptor.size == descriptor._data_size == size
        assert descriptor.metadata.size == size
    for size in (101, -1):
        with pytest.raises((ValueError, TypeError)):
            descriptor._data_size = size
    assert descriptor.size == 100


def test_reference_is_what_was_given() -> None:
    for given in (DATA, ARRAY, b"abc"):
        assert Descriptor(given)._data_ref is given
    assert Descriptor((ARRAY, "cpu"))._data_ref is ARRAY


def test_serialized_range_becomes_a_descriptor() -> None:
    serialized = SerializedDescriptor(device="cuda:1", ptr=4096, size=5)
    made = Descriptor.from_serialized(serialized=serialized)
    assert made.metadata == serialized
    assert serialized.to_descriptor().metadata == serialized


@pytest.mark.parametrize("other", [None, {}, 5, "x", nc.RdmaMetadata()])
def test_only_serialized_ranges_become_descriptors(other: Any) -> None:
    with pytest.raises(TypeError):
        Descriptor.from_serialized(other)


def test_copy_is_of_the_same_memory() -> None:
    descriptor = Descriptor(bytearray(100))
    descriptor._data_size = 50
    copied = copy.copy(descriptor)
    copied._data_size = 70
    assert (descriptor.size, copied.size) == (50, 70)
    assert (copied.ptr, copied._data_ref) == (descriptor.ptr, descriptor._data_ref)
    assert copied.device == descriptor.device


def test_slice_shares_the_memory() -> None:
    descriptor = Descriptor(bytearray(100))
    assert descriptor[10:20].ptr == descriptor.ptr + 10
    assert descriptor[-10:].size == 10
    assert descriptor[50:10].size == 0
    assert descriptor[10:50][5:15].ptr == descriptor.ptr + 15
    with pytest.raises(TypeError):
        _ = descriptor[3]  # type: ignore[index]
    with pytest.raises(ValueError):
        _ = descriptor[::2]


def test_bytearray_cannot_be_resized_while_described() -> None:
    data = bytearray(5)
    descriptor = Descriptor(data)
    with pytest.raises(BufferError):
        data.append(1)
    del descriptor
    data.append(1)
