# SPDX-License-Identifier: Apache-2.0
"""The three enumerations and Device: what needs no Connector."""

from enum import IntEnum
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Device, DeviceKind

MEMBERS = [
    (nc.DeviceKind, "UNSPECIFIED", 0, "<invalid>"),
    (nc.DeviceKind, "HOST", 1, "cpu"),
    (nc.DeviceKind, "CUDA", 2, "cuda"),
    (nc.DeviceKind, "XPU", 3, "xpu"),
    (nc.OperationKind, "UNSPECIFIED", 0, "<invalid>"),
    (nc.OperationKind, "READ", 1, "READ"),
    (nc.OperationKind, "WRITE", 2, "WRITE"),
    (nc.OperationStatus, "UNINITIALIZED", 0, "<invalid>"),
    (nc.OperationStatus, "INITIALIZED", 1, "INIT"),
    (nc.OperationStatus, "IN_PROGRESS", 2, "PROC"),
    (nc.OperationStatus, "COMPLETE", 3, "DONE"),
    (nc.OperationStatus, "CANCELLED", 4, "STOP"),
    (nc.OperationStatus, "ERRORED", 5, "ERR"),
]


@pytest.mark.parametrize(("of", "name", "value", "text"), MEMBERS)
def test_enumeration_has_the_member(
    of: type[IntEnum], name: str, value: int, text: str
) -> None:
    member = of[name]
    assert member == value
    assert str(member) == f"{member}" == text


@pytest.mark.parametrize(
    "of", [nc.DeviceKind, nc.OperationKind, nc.OperationStatus], ids=str
)
def test_enumeration_has_no_other_member(of: type[IntEnum]) -> None:
    assert list(of) == [of[name] for each, name, _, _ in MEMBERS if each is of]


@pytest.mark.parametrize(
    ("kind", "name"),
    [(DeviceKind.HOST, "DRAM"), (DeviceKind.CUDA, "VRAM"), (DeviceKind.XPU, "VRAM")],
)
def test_device_kind_has_the_memory_type_of_nixl(kind: DeviceKind, name: str) -> None:
    assert kind.nixl_mem_type == name


def test_unspecified_kind_has_no_memory_type() -> None:
    with pytest.raises(ValueError):
        _ = DeviceKind.UNSPECIFIED.nixl_mem_type


@pytest.mark.parametrize(
    ("given", "kind", "number", "text"),
    [
        ("cpu", DeviceKind.HOST, 0, "cpu"),
        ("host", DeviceKind.HOST, 0, "cpu"),
        (" CPU ", DeviceKind.HOST, 0, "cpu"),
        ("cpu:3", DeviceKind.HOST, 0, "cpu"),
        ("cuda", DeviceKind.CUDA, 0, "cuda:0"),
        ("CUDA:3", DeviceKind.CUDA, 3, "cuda:3"),
        ("gpu:1", DeviceKind.CUDA, 1, "cuda:1"),
        ("xpu:2", DeviceKind.XPU, 2, "xpu:2"),
        ((DeviceKind.CUDA, 5), DeviceKind.CUDA, 5, "cuda:5"),
        ((DeviceKind.HOST, 0), DeviceKind.HOST, 0, "cpu"),
    ],
)
def test_device_is_read_from_names_and_pairs(
    given: Any, kind: DeviceKind, number: int, text: str
) -> None:
    device = Device(metadata=given)
    assert device.kind is kind
    assert device.id == number
    assert str(device) == text
    assert repr(device) == f"Device(kind={kind}, id={number})"


@pytest.mark.parametrize(
    "given", [None, "", "tpu", "cuda:x", "hosting", "cudafoo:4", "cuda:-1"]
)
def test_device_refuses_other_names(given: Any) -> None:
    with pytest.raises(ValueError):
        Device(given)


@pytest.mark.parametrize("given", [5, (2, 0), (DeviceKind.CUDA, "0"), b"cpu", ()])
def test_device_refuses_other_types(given: Any) -> None:
    with pytest.raises(TypeError):
        Device(given)


def test_device_refuses_a_negative_number() -> None:
    with pytest.raises(ValueError):
        Device((DeviceKind.CUDA, -1))


@pytest.mark.parametrize("given", ["cuda:99999999999", (DeviceKind.CUDA, 2**31)])
def test_device_refuses_a_number_that_the_library_cannot_count_to(given: Any) -> None:
    with pytest.raises(ValueError, match="no device has so high a number as"):
        Device(given)
    assert Device((DeviceKind.CUDA, 2**31 - 1)).id == 2**31 - 1


def test_device_is_a_value() -> None:
    assert Device("cuda:1") == Device((DeviceKind.CUDA, 1))
    assert hash(Device("cuda:1")) == hash(Device("gpu:1"))
    assert Device("cuda:1") != Device("cuda:0")
    assert Device("cuda:0") != Device("xpu:0")
    assert Device("cpu") != "cpu"
