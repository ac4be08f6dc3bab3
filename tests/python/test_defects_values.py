# SPDX-License-Identifier: Apache-2.0
"""The other defects of upstream (D30 to D32, D35, D37, D39 and D40 of its list), each
as a test that ours has not got it."""

import asyncio
import base64
import logging
import time
import zlib
from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import Descriptor, DeviceKind, RdmaMetadata, SerializedDescriptor
from sides import SECONDS, memory, run_alone, sent


def test_text_form_survives_decoders_of_all_times(connector: nc.Connector) -> None:
    """D30: a decoder stripped the letters of ``b64:``, wherever the payload begins with
    some. Level 6 and a window of 15 bits begin with another."""
    for _ in range(50):
        text = connector.create_readable(memory()).metadata().nixl_metadata
        assert text.startswith("b64:eJ")
        payload = text[4:]
        assert text.lstrip("b64:") == payload
        stream = base64.b64decode(payload, validate=True)
        assert stream[:2] == b"\x78\x9c"
        assert zlib.decompress(stream).startswith(b"nixlSerDes|")


def test_payload_of_those_letters_is_decoded(connector: nc.Connector) -> None:
    """D30, in our decoder."""
    with pytest.raises(ValueError):
        nc.Remote(connector, "b64:b64:" + "b64" * 5)
    own = connector.create_readable(memory()).metadata().nixl_metadata
    blob = zlib.decompress(base64.b64decode(own[4:]))
    for level in (1, 6, 9):
        again = "b64:" + base64.b64encode(zlib.compress(blob, level)).decode()
        hexadecimal = zlib.compress(blob, level).hex()
        names = {nc.Remote(connector, each).name for each in (own, again, hexadecimal)}
        assert len(names) == 1


def test_each_text_form_is_kept_apart(connector: nc.Connector) -> None:
    """D31: hex_encode is ignored after the first call."""
    readable = connector.create_readable(memory())
    for _ in range(2):
        assert readable.metadata().nixl_metadata.startswith("b64:")
        assert readable.metadata(hex_encode=True).nixl_metadata.startswith("789c")
        assert readable.metadata(True) == readable.metadata(hex_encode=True)
    assert readable.metadata() == readable.metadata(hex_encode=False)


def test_failed_constructors_leave_nothing_behind() -> None:
    """D32: their destructors print AttributeErrors."""
    printed = run_alone(
        """
        import gc
        import nixl_connect as nc
        from nixl_connect import Descriptor, RdmaMetadata, SerializedDescriptor
        connector = nc.Connector()
        connection = nc.Connection(connector, 2)
        one = Descriptor(bytearray(8))
        wrong = RdmaMetadata(descriptors=[SerializedDescriptor(ptr=1, size=8)],
                             nixl_metadata="b64:eJ", notification_key="k",
                             operation_kind=1)
        class Active(nc.ActiveOperation):
            async def wait_for_completion(self): pass
        for make in (
            lambda: nc.Connector(""), lambda: nc.Connector(5),
            lambda: nc.Connection(connector, 0), lambda: nc.Connection(None, 1),
            lambda: nc.Connection(nc.Connector(net_devices="no such device"), 1),
            lambda: nc.Remote(connection, b""), lambda: nc.Remote(connection, b"x"),
            lambda: nc.Remote(None, b"x"), lambda: nc.Remote(connection, "b64:eJ"),
            lambda: Descriptor(None), lambda: Descriptor(5), lambda: Descriptor(()),
            lambda: nc.Device("tpu"), lambda: nc.RdmaMetadata(operation_kind=9),
            lambda: nc.ReadOperation(None, wrong, one),
            lambda: nc.ReadOperation(connection, wrong, one),
            lambda: nc.ReadOperation(connection, None, one),
            lambda: nc.WriteOperation(connection, one, wrong),
            lambda: nc.ReadableOperation(connection, None),
            lambda: nc.ReadableOperation(connection, []),
            lambda: nc.WritableOperation(None, one),
            lambda: nc.WritableOperation(connection, Descriptor(b"fixed")),
            lambda: Active(None, nc.OperationKind.READ, one, one, "key"),
        ):
            try: make()
            except (TypeError, ValueError, RuntimeError): pass
            else: print("not refused")
            gc.collect()
        """
    )
    assert printed == ""


def test_small_things_of_the_list(connector: nc.Connector) -> None:
    """D35: NameError without cupy, an unhashable Connector, TypeError out of pydantic,
    a third kind, memory that is nowhere but on a GPU. Each is a row of test_connector,
    test_models or test_device, too."""
    assert isinstance(connector.is_cuda_available, bool)
    assert {connector: 1}[connector] == 1
    for kind in (0, 3, "x", None, [1]):
        wrong: Any = kind
        with pytest.raises(pydantic.ValidationError):
            RdmaMetadata(operation_kind=wrong)
    with pytest.raises(pydantic.ValidationError):
        SerializedDescriptor(device=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        _ = DeviceKind.UNSPECIFIED.nixl_mem_type


class Unprintable(Descriptor):
    """Its text is something to count."""

    texts = 0

    def __str__(self) -> str:
        Unprintable.texts += 1
        return super().__str__()


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_texts_are_made_for_those_who_read_them(
    connector: nc.Connector, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """D37: the texts of whole lists are made at every step."""
    Unprintable.texts = 0
    with caplog.at_level(level, "nixl_connect"):
        source, target = Unprintable(bytearray(8)), Unprintable(bytearray(8))
        source.register_with_connector(connector)
        with connector.create_readable(source) as readable:
            with connector.begin_read(sent(readable), target) as read:
                assert read.wait(SECONDS)
            assert readable.wait(SECONDS)
    assert (Unprintable.texts > 0) is (level == logging.DEBUG)


def test_operation_tells_how_it_went(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D39: no report of the path taken or of the bytes moved."""
    readable = connector.create_readable(memory(1 << 20))
    read = peer.begin_read(sent(readable), memory(1 << 20))
    assert nc.wait_all([read, readable], SECONDS)
    assert read.bytes_transferred == 1 << 20
    assert read.path
    assert connector.transport().startswith("ucx ")


def test_connector_is_closed_and_drained() -> None:
    """D39: no close, no drain."""

    async def run() -> None:
        async with nc.Connector() as connector, nc.Connector() as peer:
            size = 1 << 26
            readable = connector.create_readable(memory(size), readers=2)
            read = peer.begin_read(sent(readable), memory(size))
            waits = [read.wait_for_completion(), readable.wait_for_completion()]
            ended = asyncio.gather(*waits, return_exceptions=True)
            await asyncio.sleep(0)
        await asyncio.wait_for(ended, SECONDS)
        assert read.done() and readable.done()
        with pytest.raises(nc.Error):
            connector.create_readable(memory())

    asyncio.run(run())


def test_many_are_begun_and_awaited_together(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    """D39: no batching. 4,096 pages are one operation."""
    pages = 4096
    pool, target = bytearray(pages * 64), bytearray(pages * 64)
    pool[:] = bytes(page % 251 for page in range(pages) for _ in range(64))
    readable = connector.create_readable(Descriptor.pages(pool, 64, range(pages)))
    backwards = range(pages - 1, -1, -1)
    read = peer.begin_read(sent(readable), Descriptor.pages(target, 64, backwards))
    assert nc.wait_all([read, readable], SECONDS)
    assert target[::64] == pool[::64][::-1]


@pytest.mark.timing
def test_read_on_one_host_is_fast(connector: nc.Connector, peer: nc.Connector) -> None:
    """D40: 20 to 47 ms on one host, where shared memory takes 2."""
    size = 1 << 20
    readable = connector.create_readable(memory(size), readers=100)
    metadata, target = sent(readable), memory(size)

    def seconds() -> float:
        begin = time.perf_counter()
        assert peer.begin_read(metadata, target).wait(SECONDS)
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(20)) < 0.002
