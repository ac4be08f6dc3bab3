# SPDX-License-Identifier: Apache-2.0
"""Enumerations, devices and the models: what needs no Connector."""

from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import Device, DeviceKind, RdmaMetadata, SerializedDescriptor


def test_enumerations_have_the_numbers_and_texts_of_the_wire() -> None:
    assert [(each.value, str(each)) for each in DeviceKind] == [
        (0, "<invalid>"),
        (1, "cpu"),
        (2, "cuda"),
        (3, "xpu"),
    ]
    assert [(each.value, str(each)) for each in nc.OperationKind] == [
        (0, "<invalid>"),
        (1, "READ"),
        (2, "WRITE"),
    ]
    texts = ["<invalid>", "INIT", "PROC", "DONE", "STOP", "ERR"]
    assert [str(each) for each in nc.OperationStatus] == texts
    kinds = DeviceKind.HOST, DeviceKind.CUDA, DeviceKind.XPU
    assert [each.nixl_mem_type for each in kinds] == ["DRAM", "VRAM", "VRAM"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("cpu", "cpu"),
        ("host", "cpu"),
        (" CPU ", "cpu"),
        ("cpu:3", "cpu"),
        ("cuda", "cuda:0"),
        ("CUDA:3", "cuda:3"),
        ("gpu:1", "cuda:1"),
        ("xpu:2", "xpu:2"),
        ((DeviceKind.CUDA, 5), "cuda:5"),
    ],
)
def test_device_is_read_from_names_and_pairs(given: Any, text: str) -> None:
    assert str(Device(given)) == text
    assert Device(given) == Device(text)


@pytest.mark.parametrize("given", [None, "", "tpu", "cuda:x", "cudafoo:4", "cuda:-1"])
def test_device_refuses_other_names(given: Any) -> None:
    with pytest.raises(ValueError):
        Device(given)


@pytest.mark.parametrize("given", [5, (2, 0), (DeviceKind.CUDA, "0")])
def test_device_refuses_other_types(given: Any) -> None:
    with pytest.raises(TypeError):
        Device(given)


@pytest.mark.parametrize(
    ("given", "kept"), [(" CPU", "cpu"), ("CUDA:1", "cuda:1"), ("cuda", "cuda")]
)
def test_model_brings_devices_into_their_form(given: str, kept: str) -> None:
    assert SerializedDescriptor(device=given, ptr=1, size=1).device == kept


@pytest.mark.parametrize(
    "fields",
    [
        {"device": "gpu:0", "ptr": 1},
        {"device": "host", "ptr": 1},
        {"device": "cpu:0", "ptr": 1},
        {"ptr": 0},
        {"ptr": None},
        {"ptr": 2**64},
        {"ptr": 1, "size": -1},
        {"ptr": 1, "size": "x"},
        {"ptr": 1, "other": 1},
    ],
)
def test_model_refuses_what_is_no_range(fields: dict[str, Any]) -> None:
    with pytest.raises(pydantic.ValidationError):
        SerializedDescriptor(**fields)


@pytest.mark.parametrize("kind", [0, 3, "x"])
def test_model_refuses_what_is_no_kind(kind: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        RdmaMetadata(operation_kind=kind)


def test_models_have_defaults_in_the_order_of_the_wire() -> None:
    assert SerializedDescriptor().model_dump() == {"device": "cpu", "ptr": 0, "size": 0}
    fields = ["descriptors", "nixl_metadata", "notification_key", "operation_kind"]
    assert list(RdmaMetadata().model_dump()) == fields
    with pytest.raises(pydantic.ValidationError):
        RdmaMetadata().operation_kind = 1  # type: ignore[misc]


def test_metadata_gives_its_descriptors() -> None:
    one = SerializedDescriptor(ptr=4096, size="12")  # type: ignore[arg-type]
    assert one() is one
    single = RdmaMetadata(descriptors=[one]).to_descriptors()
    assert isinstance(single, nc.Descriptor)
    assert (single.ptr, single.size) == (4096, 12)
    several = RdmaMetadata(descriptors=[one, one]).to_descriptors()
    assert isinstance(several, list)
    with pytest.raises(ValueError):
        RdmaMetadata().to_descriptors()


def test_metadata_is_a_field_of_other_models() -> None:
    class Request(pydantic.BaseModel):
        metadata: RdmaMetadata | None = None
        others: list[RdmaMetadata] = []

    metadata = RdmaMetadata(descriptors=[SerializedDescriptor(ptr=1)], operation_kind=1)
    request = Request(metadata=metadata, others=[metadata])
    assert Request.model_validate_json(request.model_dump_json()) == request
    assert Request.model_validate(request.model_dump()) == request


def test_errors_are_what_callers_catch() -> None:
    assert issubclass(nc.Error, RuntimeError)
    assert issubclass(nc.Disconnected, (ConnectionError,))
    assert issubclass(nc.TimedOut, (TimeoutError,))
    assert issubclass(nc.InvalidArgument, (ValueError,))
    assert all(issubclass(each, nc.Error) for each in (nc.Disconnected, nc.TimedOut))
