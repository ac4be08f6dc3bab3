# SPDX-License-Identifier: Apache-2.0
"""The two pydantic models: what they take, refuse and give, and that they go through
everything pydantic's users do with a model."""

import copy
import json
import pickle
import re
from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import RdmaMetadata, SerializedDescriptor

METADATA = RdmaMetadata(
    descriptors=[
        SerializedDescriptor(device="cpu", ptr=4096, size=12),
        SerializedDescriptor(device="cuda:1", ptr=2**64 - 1, size=0),
    ],
    nixl_metadata="b64:abc",
    notification_key="key",
    operation_kind=1,
)
TEXT = (
    '{"descriptors":[{"device":"cpu","ptr":4096,"size":12},'
    '{"device":"cuda:1","ptr":18446744073709551615,"size":0}],'
    '"nixl_metadata":"b64:abc","notification_key":"key","operation_kind":1}'
)


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("device", "cpu", "cpu"),
        ("device", " CPU", "cpu"),
        ("device", "CUDA:1", "cuda:1"),
        ("device", "cuda", "cuda"),
        ("device", "cuda:abc", "cuda:abc"),
        ("device", "\tXPU:2\n", "xpu:2"),
        ("ptr", 1, 1),
        ("ptr", "4096", 4096),
        ("ptr", 2**64 - 1, 2**64 - 1),
        ("ptr", str(2**64 - 1), 2**64 - 1),
        ("size", 0, 0),
        ("size", "7", 7),
    ],
)
def test_serialized_descriptor_takes(field: str, given: Any, kept: Any) -> None:
    made = SerializedDescriptor.model_validate({"ptr": 1, field: given})
    assert getattr(made, field) == kept
    again = SerializedDescriptor.model_validate_json(json.dumps(made.model_dump()))
    assert again == made


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("device", "gpu:0"),
        ("device", "host"),
        ("device", "cpu:0"),
        ("device", "tpu"),
        ("device", ""),
        ("device", 5),
        ("ptr", 0),
        ("ptr", None),
        ("ptr", -1),
        ("ptr", 2**64),
        ("size", -1),
        ("size", "x"),
        ("other", 1),
    ],
)
def test_serialized_descriptor_refuses(field: str, given: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        SerializedDescriptor.model_validate({"ptr": 1, field: given})


@pytest.mark.parametrize("kind", [1, 2, "1", nc.OperationKind.WRITE])
def test_metadata_takes_both_kinds(kind: Any) -> None:
    made = RdmaMetadata(operation_kind=kind)
    assert made.operation_kind == int(kind)
    assert json.loads(made.model_dump_json())["operation_kind"] == int(kind)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("operation_kind", 0),
        ("operation_kind", 3),
        ("operation_kind", -1),
        ("operation_kind", "x"),
        ("descriptors", None),
        ("descriptors", [{"ptr": 0}]),
        ("descriptors", [{"ptr": 1, "other": 1}]),
        ("nixl_metadata", 5),
        ("notification_key", None),
        ("other", 1),
    ],
)
def test_metadata_refuses(field: str, given: Any) -> None:
    with pytest.raises(pydantic.ValidationError):
        RdmaMetadata.model_validate({field: given})


def test_defaults_are_not_validated_and_stand_in_the_order_of_the_wire() -> None:
    serialized = SerializedDescriptor().model_dump_json()
    assert serialized == '{"device":"cpu","ptr":0,"size":0}'
    assert RdmaMetadata().model_dump_json() == (
        '{"descriptors":[],"nixl_metadata":"","notification_key":"","operation_kind":0}'
    )


@pytest.mark.parametrize("model", [METADATA, METADATA.descriptors[0]], ids=repr)
def test_model_is_frozen(model: pydantic.BaseModel) -> None:
    for field in type(model).model_fields:
        with pytest.raises(pydantic.ValidationError):
            setattr(model, field, getattr(model, field))


def test_metadata_is_dumped_and_read() -> None:
    assert METADATA.model_dump_json() == TEXT
    assert METADATA.model_dump() == json.loads(TEXT)
    assert RdmaMetadata.model_validate_json(TEXT) == METADATA
    assert RdmaMetadata.model_validate(json.loads(TEXT)) == METADATA
    assert RdmaMetadata() != METADATA


def test_metadata_is_copied() -> None:
    other = METADATA.model_copy(update={"notification_key": "other"})
    assert (other.notification_key, METADATA.notification_key) == ("other", "key")
    for same in (
        METADATA.model_copy(),
        METADATA.model_copy(deep=True),
        copy.deepcopy(METADATA),
        pickle.loads(pickle.dumps(METADATA)),
    ):
        assert same == METADATA


@pytest.mark.parametrize("model", [RdmaMetadata, SerializedDescriptor])
def test_model_has_a_json_schema(model: type[pydantic.BaseModel]) -> None:
    schema = model.model_json_schema()
    assert list(schema["properties"]) == list(model.model_fields)
    assert schema["additionalProperties"] is False
    pattern = schema["properties"].get("device", {}).get("pattern", "")
    assert "(?" not in pattern  # Flags are not in the dialect of JSON schemas.
    assert all(re.match(pattern, each) for each in ("cpu", " CPU ", "CUDA:1", "xpu"))


def test_metadata_gives_its_descriptors_in_order() -> None:
    several = METADATA.to_descriptors()
    assert isinstance(several, list)
    assert [(str(each.device), each.ptr, each.size) for each in several] == [
        ("cpu", 4096, 12),
        ("cuda:1", 2**64 - 1, 0),
    ]
    single = RdmaMetadata(descriptors=METADATA.descriptors[:1]).to_descriptors()
    assert isinstance(single, nc.Descriptor)
    assert (single.ptr, single.size) == (4096, 12)
    with pytest.raises(ValueError):
        RdmaMetadata().to_descriptors()


def test_device_that_only_looks_like_one_fails_when_it_is_used() -> None:
    named = SerializedDescriptor(device="cuda:abc", ptr=1)
    with pytest.raises(ValueError):
        named.to_descriptor()


def test_metadata_is_a_field_of_other_models() -> None:
    class Request(pydantic.BaseModel):
        plain: RdmaMetadata
        optional: RdmaMetadata | None = None
        several: list[RdmaMetadata] = []

    for request in (
        Request(plain=METADATA),
        Request(plain=METADATA, optional=METADATA, several=[METADATA] * 2),
    ):
        assert Request.model_validate_json(request.model_dump_json()) == request
        assert Request.model_validate(request.model_dump()) == request
    assert "RdmaMetadata" in Request.model_json_schema()["$defs"]


@pytest.mark.parametrize("length", [0, 1, 30, len(TEXT) - 1])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_json_that_was_cut_is_told_what_to_do(kind: Any, length: int) -> None:
    text = "^1 validation error for RdmaMetadata\n  Invalid JSON: .*model_dump_json"
    with pytest.raises(pydantic.ValidationError, match=text) as raised:
        RdmaMetadata.model_validate_json(kind(TEXT[:length]))
    [error] = raised.value.errors()
    assert error["type"] == "json_invalid"
    assert isinstance(raised.value, ValueError)
