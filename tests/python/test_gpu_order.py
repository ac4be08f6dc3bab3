# SPDX-License-Identifier: Apache-2.0
"""Operations on memory of GPUs in the order of streams, by the stand-in for CUDA's
driver; and which stream that is."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, Device
from nixl_connect._opening import _wait_for_streams
from nixl_connect._streams import stream_of, stream_to_wait
from sides import SECONDS, memory, sent
from stand_in import GpuMemory, StandIn

SIZE = 4096


class Stream:
    """A stream of a GPU that can be held up. As torch's have it, `cuda_stream` is its
    number."""

    def __init__(self, driver: StandIn, device: int) -> None:
        self._driver = driver
        # Some memory, whose context is current where its calls are made.
        self._place = driver.memory(4, device)
        self._gate = (ctypes.c_uint32 * 1024)()
        at = ctypes.c_void_p(ctypes.addressof(self._gate))
        size = ctypes.c_size_t(ctypes.sizeof(self._gate))
        self._place._call("cuMemHostRegister", at, size, 3)
        stream = ctypes.c_void_p()
        self._place._call("cuStreamCreate", ctypes.byref(stream), 1)
        self.cuda_stream = stream.value or 0

    def __del__(self) -> None:
        self.release()
        self._place._call("cuStreamSynchronize", self._stream)
        self._place._call("cuStreamDestroy", self._stream)
        at = ctypes.c_void_p(ctypes.addressof(self._gate))
        self._place._call("cuMemHostUnregister", at)

    def hold(self) -> None:
        """What it is given from now on is done after release()."""
        self._gate[0] = 0
        at = ctypes.c_uint64(ctypes.addressof(self._gate))
        self._place._call("cuStreamWaitValue32", self._stream, at, 1, 0)

    def release(self) -> None:
        self._gate[0] = 1

    def fill(self, target: GpuMemory, value: int) -> None:
        """When it comes to that."""
        at, size = ctypes.c_uint64(target.ptr), ctypes.c_size_t(target.size)
        self._place._call("cuMemsetD8Async", at, value, size, self._stream)

    def is_idle(self) -> bool:
        try:
            self._place._call("cuStreamQuery", self._stream)
        except AssertionError:
            return False
        return True

    def finish(self) -> None:
        self._place._call("cuStreamSynchronize", self._stream)

    @property
    def _stream(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.cuda_stream)


@pytest.fixture(scope="module")
def sides(stand_in: StandIn) -> Iterator[tuple[Connector, Connector]]:
    """The exposing side, and the initiating one."""
    with (
        Connector(cuda_driver=stand_in.file) as here,
        Connector(cuda_driver=stand_in.file) as there,
    ):
        yield here, there


@pytest.fixture
def current(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stream | None], None]:
    """Makes a stream the current one of torch, or leaves torch without CUDA."""

    def set_current(stream: Stream | None) -> None:
        cuda = SimpleNamespace(
            is_initialized=lambda: stream is not None, current_stream=lambda _: stream
        )
        module = ModuleType("torch")
        module.cuda = cuda  # type: ignore[attr-defined]
        module.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch", module)
        monkeypatch.setitem(sys.modules, "cupy", None)

    set_current(None)
    return set_current


@pytest.mark.parametrize(
    ("give", "content"),
    [
        (lambda stream: stream, 7),
        (lambda stream: stream.cuda_stream, 7),
        (lambda _: None, 7),
        (lambda _: False, 0),
    ],
    ids=["object", "number", "current", "none"],
)
def test_peers_see_what_the_stream_was_given_before(
    stand_in: StandIn,
    sides: tuple[Connector, Connector],
    current: Callable[[Stream | None], None],
    give: Callable[[Stream], Any],
    content: int,
) -> None:
    """And without a stream nothing is waited for."""
    here, there = sides
    source, target = stand_in.memory(SIZE), stand_in.memory(SIZE, 1)
    stream = Stream(stand_in, 0)
    stream.hold()
    stream.fill(source, 7)
    given = give(stream)
    current(None if given else stream)
    readable = here.create_readable(Descriptor(source), readers=1, stream=given)
    with there.begin_read(sent(readable), Descriptor(target), stream=False) as read:
        if content:
            assert not read.wait(0.05)
            stream.release()
        assert read.wait(SECONDS)
        read.result()
    assert target.read() == bytes([content]) * SIZE
    assert readable.wait(SECONDS)
    stream.release()
    stream.finish()


def test_transfer_and_consumer_queue_behind_each_other(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    source, target = stand_in.memory(SIZE), stand_in.memory(SIZE, 1)
    source.write(b"\7" * SIZE)
    stream = Stream(stand_in, 1)
    stream.hold()
    readable = here.create_readable(Descriptor(source), readers=1)
    read = there.begin_read(sent(readable), Descriptor(target), stream=stream)
    read.wait_on(stream)
    stream.fill(source, 9)  # behind the transfer
    assert not read.wait(0.05)
    assert not stream.is_idle()
    stream.release()
    stream.finish()
    assert target.read() == b"\7" * SIZE
    assert source.read() == b"\11" * SIZE
    assert read.wait(SECONDS)


def test_exposing_side_has_streams_wait_as_well(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    source, target = stand_in.memory(SIZE), stand_in.memory(SIZE, 1)
    source.write(b"\7" * SIZE)
    stream = Stream(stand_in, 1)
    with here.create_writable(Descriptor(target)) as writable:
        writable.wait_on(stream)
        stream.fill(target, 9)
        assert not stream.is_idle()
        with there.begin_write(Descriptor(source), sent(writable)) as write:
            assert write.wait(SECONDS)
            write.result()
        stream.finish()
        assert writable.wait(SECONDS)
    assert target.read() == b"\11" * SIZE


def test_stream_that_was_given_waits_unless_another_is_named(
    stand_in: StandIn,
    sides: tuple[Connector, Connector],
    current: Callable[[Stream | None], None],
) -> None:
    here, there = sides
    source, target = stand_in.memory(SIZE), stand_in.memory(SIZE)
    given, other = Stream(stand_in, 0), Stream(stand_in, 0)
    current(other)
    for stream, waiting, idle in [(given, given, other), (False, other, given)]:
        exposed = here.create_writable(Descriptor(target), stream=stream)
        exposed.wait_on()
        assert not waiting.is_idle()
        assert idle.is_idle()
        metadata = sent(exposed)
        with there.begin_write(Descriptor(source), metadata, stream=False) as write:
            assert write.wait(SECONDS)
        waiting.finish()
    with here.create_readable(Descriptor(source), readers=1, stream=False) as exposed:
        given.hold()
        read = there.begin_read(sent(exposed), Descriptor(target), stream=given)
        read.wait_on()
        assert other.is_idle()
        given.release()
        assert read.wait(SECONDS)
    given.finish()


def test_stream_is_let_go_when_the_operation_is_cancelled(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, _ = sides
    stream = Stream(stand_in, 0)
    writable = here.create_writable(Descriptor(stand_in.memory(SIZE)))
    writable.wait_on(stream)
    assert not stream.is_idle()
    writable.cancel()
    stream.finish()


def on_gpu(number: int) -> Descriptor:
    return Descriptor((0x1000, 64, Device(f"cuda:{number}")))


class Protocol:
    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, 21


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (False, None),
        (None, None),
        (0, 0),
        (2, 2),
        (2**64 - 1, 2**64 - 1),
        (Protocol(), 21),
        (SimpleNamespace(__cuda_stream__=(0, 22)), 22),
        (SimpleNamespace(cuda_stream=23), 23),
        (SimpleNamespace(cuda_stream=0, device=SimpleNamespace(index=1)), 0),
        (SimpleNamespace(ptr=24, device_id=1), 24),
        (SimpleNamespace(ptr=24, device_id=-1), 24),
    ],
)
@pytest.mark.usefixtures("current")
def test_streams_have_many_forms(given: Any, number: int | None) -> None:
    assert stream_of(given, on_gpu(1)) == number
    assert stream_of(given, [on_gpu(1), on_gpu(1)]) == number


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (True, TypeError, "a stream is that of torch or cupy"),
        ("0", TypeError, "a stream is that of torch or cupy"),
        (object(), TypeError, "or the number of a CUstream"),
        (-1, ValueError, "there is no stream -1"),
        (2**64, ValueError, "there is no stream"),
        (
            SimpleNamespace(cuda_stream=7, device=SimpleNamespace(index=0)),
            nc.InvalidArgument,
            "the stream is of cuda:0, and the memory of cuda:1",
        ),
        (
            SimpleNamespace(ptr=7, device_id=0),
            ValueError,
            "take a stream of the GPU that has the memory",
        ),
    ],
)
def test_what_is_no_stream_of_the_gpu_is_refused(
    given: Any, error: type[Exception], text: str
) -> None:
    for call in (stream_of, stream_to_wait):
        with pytest.raises(error, match=text):
            call(given, on_gpu(1))


def test_memory_of_the_host_has_no_stream(connector: Connector) -> None:
    descriptor = memory()
    calls: list[Any] = [connector.create_readable, connector.create_writable]
    for call in calls:
        with pytest.raises(nc.InvalidArgument, match="leave the stream out"):
            call(descriptor, stream=0)
        call(descriptor, stream=False).cancel()
    with connector.create_readable(descriptor, readers=1) as readable:
        with pytest.raises(ValueError, match="memory of a GPU only"):
            readable.wait_on(0)
        metadata = sent(readable)
        with pytest.raises(ValueError, match="leave the stream out"):
            connector.begin_read(metadata, descriptor, stream=0)


@pytest.mark.usefixtures("current")
def test_which_stream_is_to_wait_has_to_be_known() -> None:
    for given in (None, False):
        with pytest.raises(nc.InvalidArgument, match="which stream is to wait"):
            stream_to_wait(given, on_gpu(0))


def test_no_stream_waits_for_a_readable_that_stays_open(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, _ = sides
    readable = here.create_readable(Descriptor(stand_in.memory(SIZE)))
    with readable, pytest.raises(nc.InvalidArgument, match="stays open"):
        readable.wait_on(0)


def test_programs_for_dynamo_have_metadata_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NIXL_CONNECT_WAIT_FOR_STREAMS", raising=False)
    monkeypatch.delitem(sys.modules, "dynamo.nixl_connect", raising=False)
    assert _wait_for_streams(None) is None
    monkeypatch.setitem(sys.modules, "dynamo.nixl_connect", nc)
    assert _wait_for_streams(None) is True
    assert _wait_for_streams(False) is False
    monkeypatch.setenv("NIXL_CONNECT_WAIT_FOR_STREAMS", "off")
    assert _wait_for_streams(None) is None, "which the library reads"


class FakeCupyDevice:
    current = 0

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        FakeCupyDevice.current = self._number

    def __exit__(self, *_: object) -> None:
        FakeCupyDevice.current = 0


def test_current_stream_is_that_of_the_packages_own_memory(
    monkeypatch: pytest.MonkeyPatch, current: Callable[[Any], None]
) -> None:
    """Asked on the GPU that has the memory; torch's for what is of neither."""
    cupy = SimpleNamespace(
        cuda=SimpleNamespace(
            Device=FakeCupyDevice,
            get_current_stream=lambda: SimpleNamespace(ptr=70 + FakeCupyDevice.current),
        )
    )
    array = type("ndarray", (SimpleNamespace,), {"__module__": "cupy._core.core"})(
        __cuda_array_interface__={
            "shape": (64,),
            "typestr": "|u1",
            "data": (0x1000, False),
            "version": 3,
        },
        device=SimpleNamespace(id=1),
    )
    current(SimpleNamespace(cuda_stream=60))
    assert stream_of(None, on_gpu(1)) == 60
    assert stream_of(None, Descriptor(array)) == 60, "without cupy"
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert stream_of(None, on_gpu(1)) == 60
    assert stream_of(None, Descriptor(array)) == 71
    current(None)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    assert stream_of(None, on_gpu(1)) == 71, "torch has not started CUDA"
    assert stream_of(None, Descriptor((0x1000, 64))) is None
