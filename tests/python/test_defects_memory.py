# SPDX-License-Identifier: Apache-2.0
"""Defects of upstream around what memory takes part in operations (D25 to D29, D33, D34
and D36 of its list), each as a test that ours has not got it. D38 is about GPUs."""

import sys
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor, OperationStatus
from sides import SECONDS, memory, sent


def moved(
    connector: nc.Connector, source: Descriptor, target: Descriptor | list[Descriptor]
) -> None:
    """A read of one into the other has succeeded."""
    readable = connector.create_readable(source)
    read = connector.begin_read(sent(readable), target, timeout=SECONDS)
    assert nc.wait_all([read, readable], SECONDS)
    assert read.status is OperationStatus.COMPLETE


def test_connector_reads_and_writes_its_own_memory(connector: nc.Connector) -> None:
    """D25: INVALID_PARAM."""
    target = bytearray(8)
    moved(connector, Descriptor(b"12345678"), Descriptor(target))
    assert target == b"12345678"
    writable = connector.create_writable(Descriptor(target))
    write = connector.begin_write(Descriptor(b"abcdefgh"), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    assert target == b"abcdefgh"


def test_slices_are_moved(connector: nc.Connector) -> None:
    """D26: whole arrays or nothing."""
    target = bytearray(b"........")
    moved(connector, Descriptor(b"12345678")[2:5], Descriptor(target)[4:7])
    assert target == b"....345."


def test_buffer_of_a_pool_changes_its_size(connector: nc.Connector) -> None:
    """D26: metadata is cached, so the size that a pool sets does not show."""
    source, target = Descriptor(bytearray(b"12345678")), bytearray(8)
    lent = Descriptor(target)
    assert source.metadata.size == lent.metadata.size == 8
    for size in (3, 8, 0, 5):
        source._data_size = lent._data_size = size
        assert source.metadata.size == source.metadata().size == lent.size == size
        target[:] = bytes(8)
        moved(connector, source, lent)
        assert target == b"12345678"[:size].ljust(8, b"\0")


def check_strided(connector: nc.Connector, make: Any, raw: Any) -> None:
    """Columns of a matrix, as a source, which names its rows one by one, and as a
    target."""
    whole = make()
    packed = bytearray(8)
    rows = [Descriptor(packed)[at : at + 2] for at in range(0, 8, 2)]
    moved(connector, Descriptor(whole[:, 1:3]), rows)
    assert packed == bytes([1, 2, 5, 6, 9, 10, 13, 14])
    moved(connector, Descriptor(bytes(range(100, 108))), Descriptor(whole[:, 2:]))
    assert raw(whole)[2::4] == bytes(range(100, 108, 2))
    assert raw(whole)[3::4] == bytes(range(101, 108, 2))
    assert raw(whole)[0::4] == bytes(range(0, 16, 4))


def test_columns_of_an_array_are_moved_in_place(connector: nc.Connector) -> None:
    """D27: what is not contiguous is copied in silence, and the copy gets the data."""
    numpy = pytest.importorskip("numpy")
    check_strided(
        connector,
        lambda: numpy.arange(16, dtype=numpy.uint8).reshape(4, 4),
        lambda whole: whole.tobytes(),
    )


def test_columns_of_a_tensor_are_moved_in_place(connector: nc.Connector) -> None:
    """D27."""
    torch = pytest.importorskip("torch")
    check_strided(
        connector,
        lambda: torch.arange(16, dtype=torch.uint8).reshape(4, 4),
        lambda whole: whole.numpy().tobytes(),
    )


def test_elements_that_overlap_are_a_source_but_no_target(
    connector: nc.Connector,
) -> None:
    """D27, D28: where one address stands for several elements."""
    numpy = pytest.importorskip("numpy")
    row, target = numpy.arange(2.0), numpy.zeros(6)
    thrice = numpy.lib.stride_tricks.as_strided(row, (3, 2), (0, 8), writeable=True)
    moved(connector, Descriptor(thrice), Descriptor(target))
    assert target.tolist() == [0, 1] * 3
    text = "^piece 0 of the descriptor and piece 1 of the descriptor overlap"
    with pytest.raises(ValueError, match=text):
        connector.create_writable(Descriptor(thrice))
    readable = connector.create_readable(Descriptor(target))
    with pytest.raises(ValueError, match=text):
        connector.begin_read(sent(readable), Descriptor(thrice))


def read_only(kind: str) -> Any:
    if kind == "bytes":
        return b"12345678"
    if kind == "memoryview":
        return memoryview(bytearray(8)).toreadonly()
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(8, numpy.uint8)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("kind", ["bytes", "memoryview", "numpy"])
def test_read_only_memory_is_a_source_but_no_target(
    connector: nc.Connector, kind: str
) -> None:
    """D28: bytes are written to."""
    data = read_only(kind)
    moved(connector, Descriptor(data), memory())
    readable = connector.create_readable(memory())
    with pytest.raises(ValueError, match="read-only"):
        connector.begin_read(sent(readable), Descriptor(data))
    with pytest.raises(ValueError, match="read-only"):
        connector.create_writable(Descriptor(data))
    assert readable.status is OperationStatus.INITIALIZED


def test_device_that_is_not_the_arrays_is_refused() -> None:
    """D28: any device is believed."""
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError):
        Descriptor((numpy.zeros(3), "cuda:0"))
    assert Descriptor((numpy.zeros(3), "cpu")).size == 24


def test_bytearray_cannot_be_resized_while_an_operation_uses_it(
    connector: nc.Connector,
) -> None:
    """D28: memory that is registered moves away."""
    data = bytearray(8)
    readable = connector.create_readable(Descriptor(data))
    with pytest.raises(BufferError):
        data.extend(b"more")
    readable.close()
    assert readable.wait(SECONDS)
    del readable
    data.extend(b"more")


def test_address_is_that_of_the_payload(connector: nc.Connector) -> None:
    """D29: ``id(data)`` was taken for the address of bytes."""
    for data in (b"payload!", bytearray(b"payload!")):
        assert Descriptor(data).ptr != id(data)
        target = bytearray(8)
        moved(connector, Descriptor(data), Descriptor(target))
        assert target == b"payload!"


@pytest.mark.parametrize(
    "local", [[1], ["x"], [None], [memory(), 5], [[memory()]], (memory(),), [b"raw"]]
)
def test_list_of_other_things_is_refused(local: Any) -> None:
    """D33: any list passes, and AttributeError comes of it."""
    fresh = nc.Connector()
    for make in (fresh.create_readable, fresh.create_writable):
        with pytest.raises(TypeError):
            make(local)
    for begin in (
        lambda: fresh.begin_read(nc.RdmaMetadata(operation_kind=1), local),
        lambda: fresh.begin_write(local, nc.RdmaMetadata(operation_kind=2)),
    ):
        with pytest.raises(TypeError):
            begin()
    assert fresh._connection is None


def test_mixed_kinds_are_refused_before_anything_is_registered(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D34: both are registered first, and what was is left to the collector."""
    fresh = nc.Connector()
    host, device = memory(), Descriptor((1 << 40, 8, "cuda:0"))
    for make in (fresh.create_readable, fresh.create_writable):
        with pytest.raises(ValueError):
            make([device, host])
        with pytest.raises(ValueError):
            make([host, device])
    pair = sent(connector.create_readable([memory(), memory()]))
    with pytest.raises(ValueError):
        fresh.begin_read(pair, [host, device])
    assert fresh._connection is None
    assert not host.is_registered and not device.is_registered
    moved(connector, host, memory())


def test_arrays_work_where_cupy_is_installed(
    connector: nc.Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D36: with cupy there, arrays of numpy are refused."""
    numpy = pytest.importorskip("numpy")
    monkeypatch.setitem(sys.modules, "cupy", type(sys)("cupy"))
    source, target = numpy.arange(3.0), numpy.zeros(3)
    for given in (source, (source, "cpu")):
        target[:] = 0
        moved(connector, Descriptor(given), Descriptor((target, nc.Device("cpu"))))
        assert target.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_scalars_and_empty_arrays_are_moved(connector: nc.Connector, kind: str) -> None:
    """D36: an array of no dimensions fails, and so does an empty one."""
    package = pytest.importorskip(kind)
    as_array = package.array if kind == "numpy" else package.tensor
    scalar = package.zeros(())
    moved(connector, Descriptor(as_array(3.0, dtype=scalar.dtype)), Descriptor(scalar))
    assert float(scalar) == 3
    empty = package.zeros((0, 4))
    moved(connector, Descriptor(empty), Descriptor(package.zeros(0)))
