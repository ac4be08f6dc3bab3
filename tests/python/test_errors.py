# SPDX-License-Identifier: Apache-2.0
"""Which call fails with which exception, and that a refused call has no effect: nothing
is opened, registered or begun for it."""

from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, RdmaMetadata
from sides import SECONDS, SilentPeer, memory, sent


def on_gpu(size: int = 8) -> Descriptor:
    return Descriptor((0x1000, size, "cuda:0"))


@pytest.fixture(scope="module")
def metadata(connector: Connector) -> dict[str, RdmaMetadata]:
    """What begin_read() and begin_write() are given, by name."""
    made = {
        "read": connector.create_readable(memory()).metadata(),
        "write": connector.create_writable(memory()).metadata(),
        "read2": connector.create_readable([memory(), memory()]).metadata(),
    }
    for field, nothing in (
        ("descriptors", []),
        ("nixl_metadata", ""),
        ("notification_key", ""),
        ("operation_kind", 0),
    ):
        made[f"no {field}"] = made["read"].model_copy(update={field: nothing})
    for text in ("zz", "b64:abc", "b64:AAAA"):
        made[text] = made["read"].model_copy(update={"nixl_metadata": text})
    return made


BEGIN_READ = [
    (None, memory(), TypeError),
    ({}, memory(), TypeError),
    ("{}", memory(), TypeError),
    ("read", None, TypeError),
    ("read", "x", TypeError),
    ("read", [1], TypeError),
    ("read", [memory(), 5], TypeError),
    ("read", (memory(),), TypeError),
    ("write", memory(), nc.InvalidArgument),
    ("no operation_kind", memory(), nc.InvalidArgument),
    ("read", memory(16), ValueError),
    ("read", [], ValueError),
    ("read", [memory(), memory()], ValueError),
    ("read", Descriptor((0, 8)), ValueError),
    ("read", Descriptor(b"12345678"), ValueError),
    ("read2", memory(), ValueError),
    ("read2", memory(24), ValueError),
    ("read2", [memory()], ValueError),
    ("read2", [memory()] * 3, ValueError),
    ("read2", [memory(), memory(16)], ValueError),
    ("read2", [on_gpu(), memory()], ValueError),
    ("no descriptors", memory(), ValueError),
    ("no nixl_metadata", memory(), ValueError),
    ("no notification_key", memory(), ValueError),
]


@pytest.mark.parametrize(("given", "local", "error"), BEGIN_READ)
def test_begin_read_refuses(
    metadata: dict[str, RdmaMetadata], given: Any, local: Any, error: type[Exception]
) -> None:
    fresh = Connector()
    remote = metadata.get(given, given) if isinstance(given, str) else given
    with pytest.raises(error):
        fresh.begin_read(remote, local)
    assert fresh._connection is None


BEGIN_WRITE = [
    (memory(), None, TypeError),
    (None, "write", TypeError),
    ("write", memory(), TypeError),
    ([memory(), 5], "write", TypeError),
    (memory(), "read", nc.InvalidArgument),
    (memory(16), "write", ValueError),
    ([], "write", ValueError),
    (Descriptor((0, 8)), "write", ValueError),
]


@pytest.mark.parametrize(("local", "given", "error"), BEGIN_WRITE)
def test_begin_write_refuses(
    metadata: dict[str, RdmaMetadata], local: Any, given: Any, error: type[Exception]
) -> None:
    fresh = Connector()
    arguments = [
        metadata.get(each, each) if isinstance(each, str) else each
        for each in (local, given)
    ]
    with pytest.raises(error):
        fresh.begin_write(*arguments)
    assert fresh._connection is None


@pytest.mark.parametrize("text", ["zz", "b64:abc", "b64:AAAA"])
def test_begin_refuses_damaged_metadata(
    peer: Connector, metadata: dict[str, RdmaMetadata], text: str
) -> None:
    with pytest.raises(ValueError) as raised:
        peer.begin_read(metadata[text], memory())
    assert isinstance(raised.value, nc.Error)


CREATE = [
    (None, TypeError),
    (5, TypeError),
    ("x", TypeError),
    (b"raw", TypeError),
    ([1], TypeError),
    ([memory(), 5], TypeError),
    ((memory(),), TypeError),
    ([], ValueError),
    ([on_gpu(), memory()], ValueError),
    ([memory(), on_gpu()], ValueError),
    (Descriptor((0, 8)), ValueError),
    ([memory(), Descriptor((0, 8))], ValueError),
]


@pytest.mark.parametrize("name", ["create_readable", "create_writable"])
@pytest.mark.parametrize(("local", "error"), CREATE)
def test_create_refuses(name: str, local: Any, error: type[Exception]) -> None:
    fresh = Connector()
    with pytest.raises(error):
        getattr(fresh, name)(local)
    assert fresh._connection is None


def test_read_only_memory_is_no_target() -> None:
    fresh = Connector()
    with pytest.raises(ValueError, match="read-only"):
        fresh.create_writable(Descriptor(b"12345678"))
    assert fresh._connection is None


def test_operation_of_the_other_kind_is_refused(
    metadata: dict[str, RdmaMetadata],
) -> None:
    fresh = Connector()
    with pytest.raises(nc.InvalidArgument):
        nc.ReadOperation(fresh, metadata["write"], memory())
    with pytest.raises(nc.InvalidArgument):
        nc.WriteOperation(fresh, memory(), metadata["read"])
    assert fresh._connection is None


# The table in docs/python.md: NIXL's name for it, and what it is caught as.
BASES: dict[type[nc.Error], tuple[str, tuple[type, ...]]] = {
    nc.Error: ("UNKNOWN", (RuntimeError,)),
    nc.InvalidArgument: ("INVALID_PARAM", (nc.Error, ValueError)),
    nc.Unsupported: ("NOT_SUPPORTED", (nc.Error,)),
    nc.NoResources: ("BACKEND", (nc.Error,)),
    nc.Disconnected: ("REMOTE_DISCONNECT", (nc.Error, ConnectionError)),
    nc.TimedOut: ("CANCELED", (nc.Error, TimeoutError)),
    nc.Cancelled: ("CANCELED", (nc.Error,)),
}


@pytest.mark.parametrize("of", BASES, ids=lambda each: each.__name__)
def test_error_is_what_callers_catch(of: type[nc.Error]) -> None:
    assert (of.nixl_status, of.__bases__) == BASES[of]
    assert of.__module__ == "nixl_connect"
    assert getattr(nc, of.__name__) is of


def test_error_of_an_operation_says_what_happened(
    connector: Connector, peer: Connector
) -> None:
    with connector.create_readable(memory()) as readable:
        metadata = sent(readable)
    assert readable.wait(SECONDS)
    read = peer.begin_read(metadata, memory())
    with pytest.raises(RuntimeError) as raised:
        read.wait(SECONDS)
    error = raised.value
    assert isinstance(error, nc.Cancelled)
    assert error.peer == read.remote.name
    assert error.peer in str(error)
    assert error.nixl_status == "CANCELED"
    assert error.path == (read.path or None)
    assert error.ucx_status is None


def test_error_names_the_status_of_ucx() -> None:
    made = nc._errors.error_of(3, "putting: Connection reset by remote peer", "peer")
    assert isinstance(made, nc.Disconnected)
    assert (made.ucx_status, made.peer) == ("UCS_ERR_CONNECTION_RESET", "peer")


def test_lost_peer_is_an_error_of_the_wait(silent: SilentPeer) -> None:
    with Connector() as connector:
        write = connector.begin_write(memory(), silent.writable)
        silent.die()
        with pytest.raises(RuntimeError) as raised:
            write.wait(SECONDS)
        assert isinstance(raised.value, nc.Disconnected)
        assert raised.value.nixl_status == "REMOTE_DISCONNECT"
        assert raised.value.peer == write.remote.name
