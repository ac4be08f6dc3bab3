# SPDX-License-Identifier: Apache-2.0
"""The operations' classes: constructors, members, texts."""

import asyncio
import gc
import inspect
import uuid
import weakref
from contextlib import suppress

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor, OperationKind, OperationStatus
from sides import SECONDS, SilentPeer, memory, sent

PARAMETERS = {
    "AbstractOperation": [
        "connection",
        "operation_kind",
        "local_descriptors",
        "remote_descriptors",
        "notification_key",
    ],
    "ActiveOperation": [
        "remote",
        "operation_kind",
        "local_descriptors",
        "remote_descriptors",
        "notification_key",
    ],
    "PassiveOperation": ["connection", "operation_kind", "local_descriptors"],
    "ReadOperation": ["connection", "remote_metadata", "local_descriptors"],
    "WriteOperation": ["connection", "local_descriptors", "remote_metadata"],
    "ReadableOperation": ["connection", "local_descriptors"],
    "WritableOperation": ["connection", "local_descriptors"],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_constructor_has_the_parameters_in_order(name: str) -> None:
    parameters = inspect.signature(getattr(nc, name)).parameters.values()
    places = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
    assert places == PARAMETERS[name]


class Made:
    """One operation of each kind, made by keywords: the active ones of the others."""

    def __init__(self, connector: nc.Connector, peer: nc.Connector) -> None:
        ours, theirs = connector._as_connection(), peer._as_connection()
        self.connections = {"passive": ours, "active": theirs}
        self.target = memory()
        self.readable = nc.ReadableOperation(
            connection=ours, local_descriptors=Descriptor(b"12345678")
        )
        self.writable = nc.WritableOperation(
            connection=ours, local_descriptors=memory()
        )
        self.read = nc.ReadOperation(
            connection=theirs,
            remote_metadata=sent(self.readable),
            local_descriptors=self.target,
        )
        self.write = nc.WriteOperation(
            connection=theirs,
            local_descriptors=memory(),
            remote_metadata=sent(self.writable),
        )


@pytest.fixture
def made(connector: nc.Connector, peer: nc.Connector) -> Made:
    return Made(connector, peer)


KINDS = {
    "readable": OperationKind.READ,
    "read": OperationKind.READ,
    "writable": OperationKind.WRITE,
    "write": OperationKind.WRITE,
}


@pytest.mark.parametrize("name", KINDS)
def test_operation_has_the_common_members(made: Made, name: str) -> None:
    operation = getattr(made, name)
    side = "active" if name in ("read", "write") else "passive"
    assert operation.connection is made.connections[side]
    assert operation.connector is operation.connection.connector
    assert operation.operation_kind is KINDS[name]
    assert isinstance(operation.status, OperationStatus)
    with operation as entered:
        assert entered is operation
        assert asyncio.run(operation.wait_for_completion()) is None
        waiting = operation._wait_for_completion_(
            min_poll_ms=1, max_poll_ms=2, backoff_factor=1.1
        )
        assert asyncio.run(waiting) is None
    assert operation.status is OperationStatus.COMPLETE
    for _ in range(2):
        operation.__exit__(None, None, None)
    assert operation.status is OperationStatus.COMPLETE
    for member in ("connection", "operation_kind", "status"):
        with pytest.raises(AttributeError):
            setattr(operation, member, None)


@pytest.mark.parametrize("name", ["read", "write"])
def test_active_operation_names_its_peer(made: Made, name: str) -> None:
    operation = getattr(made, name)
    assert isinstance(operation.remote, nc.Remote)
    assert operation.remote is operation.remote
    assert operation.remote.connection is operation.connection
    assert operation.remote.name.startswith(made.readable.connector.name)
    operation.cancel()
    assert operation.wait(SECONDS)


@pytest.mark.parametrize("name", ["readable", "writable"])
def test_passive_operation_gives_equal_metadata(made: Made, name: str) -> None:
    operation = getattr(made, name)
    metadata = operation.metadata()
    assert operation.metadata() == metadata == operation.metadata(hex_encode=False)
    assert metadata.operation_kind == KINDS[name]
    assert metadata.nixl_metadata.startswith("b64:")
    older = operation.metadata(True)
    assert bytes.fromhex(older.nixl_metadata)
    assert operation.metadata(hex_encode=True) == older != metadata
    both = metadata.nixl_metadata, older.nixl_metadata
    assert len({nc.Remote(operation.connector, each).name for each in both}) == 1


def test_key_of_a_passive_operation_is_a_random_uuid(made: Made) -> None:
    key = made.readable.metadata().notification_key
    assert (str(uuid.UUID(key)), uuid.UUID(key).version) == (key, 4)
    assert key != made.writable.metadata().notification_key
    assert made.readable._notification_key == made.read._notification_key == key


def test_results_are_the_descriptors_that_were_passed(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    single, pair = memory(), [memory(), memory(16)]
    readable = connector.create_readable(memory())
    readables = connector.create_readable([memory(), memory(16)])
    for given, operation in ((single, readable), (pair, readables)):
        with peer.begin_read(sent(operation), given) as read:
            assert read.wait(SECONDS)
        expected = given if isinstance(given, list) else [given]
        assert [id(each) for each in read.results()] == [id(each) for each in expected]


def test_only_a_complete_read_has_results(
    connector: nc.Connector, peer: nc.Connector, made: Made
) -> None:
    with connector.create_readable(memory()) as readable:
        metadata = sent(readable)
    assert readable.wait(SECONDS)
    read = peer.begin_read(metadata, memory())
    with pytest.raises(nc.Error):
        read.wait(SECONDS)
    assert read.status is OperationStatus.ERRORED
    with pytest.raises(RuntimeError):
        read.results()
    assert not hasattr(made.write, "results")


def test_active_operation_shows_itself(made: Made) -> None:
    read, theirs = made.read, made.readable.metadata().to_descriptors()
    assert read.wait(SECONDS)
    assert repr(read) == (
        f"ReadOperation(operation_kind=READ, local_descriptors={made.target}, "
        f"remote_descriptors={theirs}, notification_key='{read._notification_key}', "
        f"remote='{read.remote}', status='DONE')"
    )
    assert repr(made.write).startswith("WriteOperation(operation_kind=WRITE, ")


def test_passive_operation_shows_itself(connector: nc.Connector) -> None:
    pair = [memory(), memory(16)]
    for given, kind in ((pair[0], "READ"), (pair, "WRITE")):
        make = {
            "READ": connector.create_readable,
            "WRITE": connector.create_writable,
        }
        operation = make[kind](given)
        assert repr(operation) == (
            f"{type(operation).__name__}(operation_kind={kind}, "
            f"local_descriptors={given}, "
            f"notification_key='{operation._notification_key}', status='INIT')"
        )


def test_showing_an_operation_changes_nothing(silent: SilentPeer) -> None:
    with nc.Connector() as connector:
        write = connector.begin_write([memory()], silent.writable)
        assert repr(write) == repr(write)
        assert str(write) == repr(write)
        assert not write.done()
        assert write.remote.name in repr(write)


@pytest.mark.parametrize("end", ["wait", "result"])
def test_error_that_was_raised_holds_no_operation(
    connector: nc.Connector, end: str
) -> None:
    operation = connector.create_readable(memory(), timeout=0.001)
    while not operation.done():
        pass
    gc.disable()
    try:
        with suppress(nc.TimedOut):
            getattr(operation, end)()
        left = weakref.ref(operation)
        del operation
        assert left() is None
    finally:
        gc.enable()
