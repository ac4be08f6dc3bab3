# SPDX-License-Identifier: Apache-2.0
"""Metadata whose descriptors nobody has looked at yet: in everything that pydantic's
users do with a model it is the same as one that was made of its fields."""

import copy
import inspect
import pickle
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import RdmaMetadata, SerializedDescriptor
from nixl_connect._unread import is_unread

NAMED = [("cpu", 4096, 12), ("cuda:1", 2**64 - 1, 0), ("xpu", 7, 1)]
FIELDS = {
    "descriptors": [{"device": d, "ptr": p, "size": s} for d, p, s in NAMED],
    "nixl_metadata": 'b64:a "quoted" \\ \x00\x1f\x7f\t\n\x85é😀/',
    "notification_key": "key",
    "operation_kind": 2,
}


def eager() -> RdmaMetadata:
    made = RdmaMetadata.model_validate(FIELDS)
    assert not is_unread(made)
    return made


def unread() -> RdmaMetadata:
    made = RdmaMetadata.model_validate_json(eager().model_dump_json())
    assert is_unread(made)
    return made


class Request(pydantic.BaseModel):
    plain: RdmaMetadata
    optional: RdmaMetadata | None = None
    anything: Any = None
    either: RdmaMetadata | SerializedDescriptor = SerializedDescriptor()


class Alike(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(from_attributes=True)
    descriptors: list[SerializedDescriptor]
    operation_kind: int


class Derived(RdmaMetadata):
    note: str = ""


def request(model: RdmaMetadata) -> Request:
    return Request(plain=model, optional=model, anything=model, either=model)


ADAPTER = pydantic.TypeAdapter(RdmaMetadata)

SAME: dict[str, Callable[[RdmaMetadata], Any]] = {
    "itself": lambda m: m,
    "descriptors": lambda m: m.descriptors,
    "getattr": lambda m: [getattr(m, name) for name in RdmaMetadata.model_fields],
    "hasattr": lambda m: [
        hasattr(m, name) for name in (*RdmaMetadata.model_fields, "x")
    ],
    "repr": repr,
    "str": str,
    "dir": dir,
    "vars": vars,
    "order of vars": lambda m: list(vars(m)),
    "iter": list,
    "dict": dict,
    "model_fields_set": lambda m: m.model_fields_set,
    "fields_set of descriptors": lambda m: [d.model_fields_set for d in m.descriptors],
    "model_extra": lambda m: m.model_extra,
    "model_dump": lambda m: m.model_dump(),
    "model_dump json": lambda m: m.model_dump(mode="json"),
    "model_dump include": lambda m: m.model_dump(include={"descriptors": {0: {"ptr"}}}),
    "model_dump exclude": lambda m: m.model_dump(exclude={"nixl_metadata"}),
    "model_dump exclude_unset": lambda m: m.model_dump(exclude_unset=True),
    "model_dump exclude_defaults": lambda m: m.model_dump(exclude_defaults=True),
    "model_dump round_trip": lambda m: m.model_dump(round_trip=True),
    "model_dump_json": lambda m: m.model_dump_json(),
    "model_dump_json indent": lambda m: m.model_dump_json(indent=1),
    "model_dump_json by_alias": lambda m: m.model_dump_json(by_alias=True),
    "model_dump_json exclude": lambda m: m.model_dump_json(exclude={"descriptors"}),
    "deprecated dict": lambda m: quietly(m.dict),
    "deprecated json": lambda m: quietly(m.json),
    "deprecated copy": lambda m: quietly(m.copy),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda m: m.model_copy(),
    "model_copy deep": lambda m: m.model_copy(deep=True),
    "model_copy update": lambda m: m.model_copy(update={"notification_key": "other"}),
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "state": lambda m: pickle.loads(pickle.dumps(m.__getstate__())),
    "model_validate": RdmaMetadata.model_validate,
    "model_validate from_attributes": lambda m: RdmaMetadata.model_validate(
        m, from_attributes=True
    ),
    "another from its attributes": Alike.model_validate,
    "derived": lambda m: Derived(note="x", **dict(m)),
    "model_construct": lambda m: RdmaMetadata.model_construct(**vars(m)),
    "adapter python": ADAPTER.dump_python,
    "adapter json": ADAPTER.dump_json,
    "adapter validate": ADAPTER.validate_python,
    "field": request,
    "field repr": lambda m: repr(request(m)),
    "field model_dump": lambda m: request(m).model_dump(),
    "field model_dump_json": lambda m: request(m).model_dump_json(),
    "field validate": lambda m: Request.model_validate_json(
        request(m).model_dump_json()
    ),
    "field copied": lambda m: request(m).model_copy(deep=True),
    "schema": lambda m: [
        type(m).model_json_schema(mode=mode) for mode in ("validation", "serialization")
    ],
    "hash": lambda m: refused(lambda: hash(m)),
    "frozen": lambda m: refused(lambda: setattr(m, "descriptors", [])),
    "undeletable": lambda m: refused(lambda: delattr(m, "descriptors")),
    "unknown": lambda m: refused(lambda: m.unknown),  # type: ignore[attr-defined]
    "to_descriptors": lambda m: [str(each) for each in m.to_descriptors()],
}


def quietly(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises((TypeError, AttributeError, pydantic.ValidationError)) as raised:
        call()
    return f"{raised.type.__name__}: {raised.value}"


@pytest.mark.parametrize("use", SAME.values(), ids=SAME)
def test_unread_metadata_is_used_like_any_other(
    use: Callable[[RdmaMetadata], Any],
) -> None:
    expected, found = use(eager()), use(unread())
    assert type(found) is type(expected)
    assert found == expected
    assert expected == found


@pytest.mark.parametrize("use", SAME.values(), ids=SAME)
def test_metadata_that_was_used_unread_is_the_same_afterwards(
    use: Callable[[RdmaMetadata], Any],
) -> None:
    used = unread()
    use(used)
    assert used == eager()
    assert used.model_dump() == FIELDS
    assert used.model_dump_json() == eager().model_dump_json()


def test_unread_metadata_is_compared() -> None:
    other = eager().model_copy(update={"notification_key": "other"})
    assert unread() == unread()
    assert unread() != other
    assert other != unread()
    assert unread() != FIELDS


def test_descriptors_are_made_once_whatever_the_number_of_threads() -> None:
    many = [SerializedDescriptor(ptr=n, size=1) for n in range(1, 2000)]
    text = eager().model_copy(update={"descriptors": many}).model_dump_json()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for _ in range(5):
            metadata = RdmaMetadata.model_validate_json(text)
            assert is_unread(metadata)
            start = threading.Barrier(4)
            found: list[list[SerializedDescriptor]] = []

            def look(
                metadata: RdmaMetadata = metadata,
                start: threading.Barrier = start,
                found: list[list[SerializedDescriptor]] = found,
            ) -> None:
                start.wait()
                found.append(metadata.descriptors)

            threads = [threading.Thread(target=look) for _ in range(4)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert len(found) == 4
            assert all(each is metadata.descriptors for each in found)
            assert metadata.descriptors == many
    finally:
        sys.setswitchinterval(interval)


def test_what_is_done_to_the_list_counts() -> None:
    used = unread()
    used.descriptors.pop()
    assert len(used.model_dump()["descriptors"]) == 2
    assert RdmaMetadata.model_validate_json(used.model_dump_json()) == used
    with nc.Connector() as connector:
        source = bytearray(b"some bytes")
        readable = connector.create_readable(nc.Descriptor(source))
        metadata = readable.metadata()
        named = metadata.descriptors.pop()
        assert named.size == len(source)
        with pytest.raises(ValueError, match="no descriptors"):
            connector.begin_read(metadata, nc.Descriptor(bytearray(10)))


def test_metadata_of_an_operation_is_unread_until_somebody_looks() -> None:
    pool = bytearray(8 * 64)
    with nc.Connector() as connector:
        exposed = nc.Descriptor.pages(pool, 64, [6, 0, 2])
        readable = connector.create_readable(exposed)
        metadata = readable.metadata()
        received = RdmaMetadata.model_validate_json(metadata.model_dump_json())
        assert is_unread(metadata)
        assert is_unread(received)
        target = nc.Descriptor.pages(bytearray(8 * 64), 64, [1, 3, 5])
        assert connector.begin_read(received, target).wait(5)
        assert is_unread(received)
        start = nc.Descriptor(pool).ptr
        assert [each.ptr - start for each in received.descriptors] == [384, 0, 128]
        assert received == metadata
        assert not is_unread(metadata)


DEVICES = [
    *("CPU", " cpu", "cpu\\n", "cpu:0", "host", "", "gpu:0", "cuda", "cuda:7"),
    *("CUDA:1", "cuda:abc", "cuda:Ä", "cuda\u2003", "xpu:1 ", "xpu_1", "xpu-1"),
]


def texts() -> dict[str, Any]:
    text = eager().model_dump_json()
    one = '{"device":"cpu","ptr":1,"size":0}'

    def with_one(changed: str) -> str:
        fields = eager().model_copy(update={"descriptors": []}).model_dump_json()
        return fields.replace("[]", f"[{changed}]")

    return {
        "plain": text,
        "bytes": text.encode(),
        "bytearray": bytearray(text.encode()),
        "blanks around": f" \t\r\n{text} \n",
        "other blanks around": f"\x0b{text}",
        "blanks inside": text.replace(",", ", "),
        "mark before": f"\ufeff{text}",
        "more behind": text + text,
        "cut off": text[:-1],
        "not UTF-8": text.encode() + b"\xff",
        "half a pair": text.replace("key", "\ud800", 1),
        "half a pair, escaped": text.replace('"key"', '"\\ud800"'),
        "another order": '{"operation_kind":1,"descriptors":[' + one + "]}",
        "no descriptors": with_one(""),
        "nothing": "{}",
        "another value": "[]",
        "no text": "",
        "a number": 5,
        "none": None,
        "unknown field": text.replace("{", '{"other":1,', 1),
        "the media loader's": '{"nixl_descriptor":{"addr":1,"size":2}}',
        "a field twice": text.replace("}", '},{"ptr":5,"ptr":6}', 1),
        "kind 0": text.replace('kind":2', 'kind":0'),
        "kind as text": text.replace('kind":2', 'kind":"2"'),
        "kind with a fraction": text.replace('kind":2', 'kind":2.0'),
        "as descriptors of one": with_one(one),
        "without a device": with_one('{"ptr":1,"size":0}'),
        "without a pointer": with_one('{"device":"cpu","size":0}'),
        "without a size": with_one('{"device":"cpu","ptr":1}'),
        "unknown in a descriptor": with_one(one.replace("}", ',"other":1}')),
        "null pointer": with_one(one.replace("1", "0")),
        "leading zero": with_one(one.replace("1", "01")),
        "signed": with_one(one.replace("1", "+1")),
        "negative": with_one(one.replace("1", "-1")),
        "exponent": with_one(one.replace("1", "1e3")),
        "too large": with_one(one.replace("1", str(2**64))),
        "as large as can be": with_one(one.replace("1", str(2**64 - 1))),
        "true": with_one(one.replace("1", "true")),
        **{
            f"device {device!r}": with_one(one.replace("cpu", device))
            for device in DEVICES
        },
    }


@pytest.mark.parametrize("text", texts().values(), ids=texts())
def test_json_is_taken_and_refused_as_by_pydantic(text: Any) -> None:
    def outcome(validate: Callable[[Any], RdmaMetadata]) -> Any:
        try:
            made = validate(text)
        except pydantic.ValidationError as error:
            # What we say besides of text that is no JSON: see test_models.py.
            return [
                {**each, "msg": each["msg"].partition(". This is no whole metadata")[0]}
                for each in error.errors(include_url=False)
            ]
        except (TypeError, UnicodeError) as error:
            return type(error), str(error)
        sets = [each.model_fields_set for each in (made, *made.descriptors)]
        return made, sets, made.model_dump_json()

    by_pydantic = super(RdmaMetadata, RdmaMetadata).model_validate_json
    assert outcome(RdmaMetadata.model_validate_json) == outcome(by_pydantic)


@pytest.mark.parametrize("options", [{"strict": True}, {"context": {}}], ids=repr)
def test_json_is_read_with_options(options: Any) -> None:
    text = eager().model_dump_json()
    made = RdmaMetadata.model_validate_json(text, **options)
    assert not is_unread(made)
    assert made == eager()


def test_derived_model_is_read_by_pydantic() -> None:
    text = eager().model_dump_json()
    made = Derived.model_validate_json(text)
    assert type(made) is Derived
    assert dict(made) == {**dict(eager()), "note": ""}


@pytest.mark.parametrize("name", ["model_dump_json", "model_validate_json"])
def test_signature_is_that_of_pydantic(name: str) -> None:
    ours, theirs = (getattr(each, name) for each in (RdmaMetadata, pydantic.BaseModel))
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert ours.__doc__ == theirs.__doc__
