# SPDX-License-Identifier: Apache-2.0
"""Arrays as descriptors: numpy's, torch's, and whatever speaks one of the protocols,
for which small objects stand in."""

from types import SimpleNamespace
from typing import Any

import pytest
from nixl_connect import Descriptor, Device
from sides import ranges_of

numpy = pytest.importorskip("numpy")


@pytest.mark.parametrize(
    ("data", "size", "is_read_only"),
    [
        (numpy.zeros(3, numpy.float32), 12, False),
        (numpy.array(3.0), 8, False),
        (numpy.zeros(3, "M8[s]"), 24, False),
        (numpy.zeros((3, 0, 2)), 0, False),
        (numpy.frombuffer(b"abc", numpy.uint8), 3, True),
        (numpy.float32(3), 4, True),
    ],
)
def test_descriptor_takes_numpy_arrays(
    data: Any, size: int, is_read_only: bool
) -> None:
    descriptor = Descriptor(data)
    assert descriptor.size == size
    assert descriptor.is_read_only is is_read_only
    assert descriptor.device == Device("cpu")
    assert descriptor.ptr != 0


def test_descriptor_refuses_arrays_that_scatter() -> None:
    text = (
        "more than 262,144 pieces, the last of 1 bytes; transfer a part of it .* copy"
    )
    with pytest.raises(ValueError, match=text):
        Descriptor(numpy.zeros((1000, 1000), numpy.uint8).T)


def test_elements_that_overlap_are_ranges_that_do() -> None:
    row = numpy.zeros(3, numpy.uint8)
    thrice = Descriptor(numpy.broadcast_to(row, (3, 3)))
    assert ranges_of(thrice) == [(row.ctypes.data, 3)] * 3
    windows = numpy.lib.stride_tricks.sliding_window_view(row, 2)
    address = row.ctypes.data
    assert ranges_of(Descriptor(windows)) == [(address, 2), (address + 1, 2)]


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


def on_device(**members: Any) -> Any:
    """Like an array of numba or cupy, at an address where nothing is."""
    data = {"shape": (4, 4), "typestr": "<f4", "data": (0x10000, False), "version": 3}
    return SimpleNamespace(__cuda_array_interface__={**data, **members})


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "ptr=0x10000, size=64, device=cuda:0"),
        ({"strides": (16, 4)}, "ptr=0x10000, size=64, device=cuda:0"),
        ({"shape": ()}, "ptr=0x10000, size=4, device=cuda:0"),
        ({"typestr": "|u1", "shape": (7,)}, "ptr=0x10000, size=7, device=cuda:0"),
    ],
)
def test_descriptor_takes_cuda_array_interfaces(
    members: dict[str, Any], text: str
) -> None:
    assert str(Descriptor(on_device(**members))) == text


def test_cuda_array_is_read_only_where_it_says_so() -> None:
    assert not Descriptor(on_device()).is_read_only
    assert Descriptor(on_device(data=(0x10000, True))).is_read_only


def test_cuda_array_with_strides_is_its_ranges() -> None:
    rows = Descriptor(on_device(strides=(32, 4)))
    assert ranges_of(rows) == [(0x10000 + 32 * row, 16) for row in range(4)]


def test_cuda_array_without_a_device_is_where_it_is_said_to_be() -> None:
    assert Descriptor((on_device(), "cuda:3")).device == Device("cuda:3")
    with pytest.raises(ValueError):
        Descriptor((on_device(), "cpu"))


def test_cuda_array_with_a_device_is_there() -> None:
    placed = on_device()
    placed.device = SimpleNamespace(id=2)
    assert Descriptor(placed).device == Device("cuda:2")
    assert Descriptor((placed, "gpu:2")).device == Device("cuda:2")
    with pytest.raises(ValueError):
        Descriptor((placed, "cuda:0"))


@pytest.mark.parametrize(
    "interface", ["__cuda_array_interface__", "__array_interface__"]
)
def test_array_of_objects_is_refused(interface: str) -> None:
    described = {"shape": (4,), "typestr": "|O8", "data": (0x10000, False)}
    with pytest.raises(TypeError):
        Descriptor(SimpleNamespace(**{interface: described}))


def test_descriptor_takes_array_interfaces() -> None:
    whole = numpy.arange(24).reshape(4, 6)
    host = SimpleNamespace(__array_interface__=whole.__array_interface__)
    assert (Descriptor(host).ptr, Descriptor(host).size) == (whole.ctypes.data, 192)
    part = SimpleNamespace(__array_interface__=whole[:, 1:].__array_interface__)
    assert len(ranges_of(Descriptor(part))) == 4


class Exporter:
    """Speaks DLPack only."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **arguments: Any) -> Any:
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def test_descriptor_takes_dlpack() -> None:
    whole = numpy.arange(24).reshape(4, 6)
    assert Descriptor(Exporter(whole)).ptr == whole.ctypes.data
    assert Descriptor(Exporter(whole)).size == 192
    assert Descriptor((Exporter(whole), "cpu")).size == 192
    address = whole.ctypes.data + 16
    rows = [(address + 48 * row, 32) for row in range(4)]
    assert ranges_of(Descriptor(Exporter(whole[:, 2:]))) == rows
    with pytest.raises(ValueError):
        Descriptor((Exporter(whole), "cuda:0"))


def test_refusal_of_dlpack_says_why() -> None:
    class Refusing(Exporter):
        def __dlpack__(self, **_: Any) -> Any:
            raise BufferError("on another GPU")

    with pytest.raises(BufferError, match="on another GPU"):
        Descriptor(Refusing(numpy.zeros(3)))


def test_array_of_jax_is_read_only() -> None:
    class Array(Exporter):
        __module__ = "jaxlib.xla_extension"

    assert Descriptor(Array(numpy.zeros(3))).is_read_only
    assert not Descriptor(Exporter(numpy.zeros(3))).is_read_only


def test_descriptor_takes_tensors() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(24).reshape(4, 6)
    for data in (tensor, Exporter(tensor), (tensor, "cpu")):
        assert (Descriptor(data).ptr, Descriptor(data).size) == (tensor.data_ptr(), 192)
    rows = [(tensor.data_ptr() + 16 + 48 * row, 32) for row in range(4)]
    for data in (tensor[:, 2:], Exporter(tensor[:, 2:])):
        assert ranges_of(Descriptor(data)) == rows
    assert Descriptor(tensor).device == Device("cpu")
    assert Descriptor(tensor)._data_ref is tensor
    assert Descriptor(tensor[2:]).ptr == tensor.data_ptr() + 96
    assert Descriptor(torch.zeros(4, dtype=torch.bfloat16)).size == 8


def test_descriptor_takes_tensors_without_elements_or_axes() -> None:
    torch = pytest.importorskip("torch")
    assert Descriptor(torch.tensor(3.0)).size == 4
    assert Descriptor(torch.zeros(0)).metadata.size == 0
    assert Descriptor(torch.zeros(0)).ptr != 0


@pytest.mark.parametrize("form", ["sparse", "meta", "conjugated"])
def test_descriptor_refuses_tensors_without_memory_of_their_own(form: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = {
        "sparse": lambda: torch.zeros(3).to_sparse(),
        "meta": lambda: torch.zeros(3, device="meta"),
        "conjugated": lambda: torch.zeros(3, dtype=torch.complex64).conj(),
    }[form]()
    with pytest.raises(ValueError):
        Descriptor(tensor)


def test_tensors_of_accelerators_are_on_their_device() -> None:
    torch = pytest.importorskip("torch")

    class Placed(torch.Tensor):  # type: ignore[misc, name-defined]
        device = torch.device("cuda", 1)

    tensor = torch.zeros(4).as_subclass(Placed)
    assert Descriptor(tensor).device == Device("cuda:1")
