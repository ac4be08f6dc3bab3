# SPDX-License-Identifier: Apache-2.0
"""What is changed on purpose against upstream, each in a line or two. What the tests of
one subject show is not repeated here: states (test_states.py), refusals before side
effects (test_errors.py), models (test_models.py), equality (test_connector.py)."""

import sys
from types import ModuleType

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor
from sides import SECONDS, memory, sent

numpy = pytest.importorskip("numpy")


def test_scattered_target_gets_its_data(connector: Connector, peer: Connector) -> None:
    source = numpy.arange(64, dtype=numpy.uint8)
    target = numpy.zeros((8, 24), numpy.uint8)
    readable = connector.create_readable(Descriptor(source))
    read = peer.begin_read(sent(readable), Descriptor(target[:, 8:16]))
    assert read.wait(SECONDS)
    assert (target[:, 8:16].reshape(-1) == source).all()
    assert not target[:, :8].any()
    assert not target[:, 16:].any()


def test_one_descriptor_serves_several_operations(
    connector: Connector, peer: Connector
) -> None:
    source = Descriptor(b"12345678")
    readables = [connector.create_readable(source) for _ in range(20)]
    for readable in readables[::2]:
        readable.close()
    targets = [bytearray(8) for _ in readables[1::2]]
    reads = [
        peer.begin_read(sent(readable), Descriptor(target))
        for readable, target in zip(readables[1::2], targets, strict=True)
    ]
    assert nc.wait_all([*reads, *readables[1::2]], SECONDS)
    assert targets == [b"12345678"] * len(targets)


def test_target_serves_several_operations_one_after_another(
    connector: Connector, peer: Connector
) -> None:
    target = bytearray(8)
    descriptor = Descriptor(target)
    for text in (b"12345678", b"abcdefgh"):
        readable = connector.create_readable(Descriptor(text))
        assert peer.begin_read(sent(readable), descriptor).wait(SECONDS)
        assert target == text


def test_own_memory_is_read_and_written(connector: Connector) -> None:
    target = bytearray(8)
    readable = connector.create_readable(Descriptor(b"12345678"))
    assert connector.begin_read(sent(readable), Descriptor(target)).wait(SECONDS)
    assert target == b"12345678"
    writable = connector.create_writable(Descriptor(target))
    write = connector.begin_write(Descriptor(b"abcdefgh"), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    assert target == b"abcdefgh"


@pytest.mark.parametrize("shape", [(8,), (2, 4), (), (0,)])
def test_numpy_works_beside_cupy(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cupy = ModuleType("cupy")
    cupy.ndarray = type("ndarray", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    array = numpy.zeros(shape, numpy.uint8)
    for given in (array, (array, "cpu")):
        assert Descriptor(given).size == array.nbytes


@pytest.mark.parametrize("form", ["bytes", "memoryview", "array"])
def test_read_only_memory_is_a_source_and_no_target(
    connector: Connector, peer: Connector, form: str
) -> None:
    data = b"12345678"
    given = {
        "bytes": data,
        "memoryview": memoryview(data),
        "array": numpy.frombuffer(data, numpy.uint8),
    }[form]
    with pytest.raises(ValueError, match="read-only"):
        connector.create_writable(Descriptor(given))
    readable = connector.create_readable(Descriptor(given))
    with pytest.raises(ValueError, match="read-only"):
        peer.begin_read(sent(readable), Descriptor(given))
    assert peer.begin_read(sent(readable), memory()).wait(SECONDS)
