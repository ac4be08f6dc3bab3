# SPDX-License-Identifier: Apache-2.0
"""Connection, which few make themselves, and Remote, the peer."""

import asyncio
import base64
import binascii
import gc
import threading
import zlib
from collections.abc import Callable
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connection, Connector, Remote
from sides import SECONDS, memory, sent


@pytest.fixture(scope="module")
def connection(connector: Connector) -> Connection:
    return asyncio.run(connector._create_connection())


@pytest.mark.parametrize(
    ("of", "number", "error"),
    [
        (5, 1, TypeError),
        (None, 1, TypeError),
        ("worker", 1, TypeError),
        (Connector(), "1", TypeError),
        (Connector(), 1.0, TypeError),
        (Connector(), None, TypeError),
        (Connector(), 0, ValueError),
        (Connector(), -1, ValueError),
    ],
)
def test_connection_refuses(of: Any, number: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Connection(of, number)


def test_connection_is_named_by_number(connector: Connector) -> None:
    second = Connection(connector=connector, number=2)
    assert second.name == str(second) == f"{connector.name}-2"
    assert second.connector is connector
    assert repr(second) == f"Connection(is_initialized=True, name='{second.name}')"
    asyncio.run(second.initialize())
    second.close()


def test_shared_connection_has_number_one(
    connector: Connector, connection: Connection
) -> None:
    assert connection.name == f"{connector.name}-1"
    assert connection.connector is connector


def test_metadata_is_serialized_at_each_access(connection: Connection) -> None:
    descriptor = memory()
    before = connection.metadata
    descriptor.register_with_connector(connection)
    assert type(before) is bytes
    assert connection.metadata != before
    descriptor.deregister_with_connector(connection)


def test_users_of_a_peer_are_counted(connection: Connection) -> None:
    assert connection.acquire_remote_ref("counted") is None
    connection.acquire_remote_ref("counted")
    assert [connection.release_remote_ref("counted") for _ in range(3)] == [
        False,
        True,
        False,
    ]
    assert connection.release_remote_ref("unknown") is False


def forms(connector: Connector) -> dict[str, bytes | str]:
    blob = connector.metadata
    return {
        "bytes": blob,
        "b64": "b64:" + base64.b64encode(zlib.compress(blob)).decode(),
        "hex": zlib.compress(blob).hex(),
    }


@pytest.mark.parametrize("form", ["bytes", "b64", "hex"])
def test_remote_is_made_of(form: str, connection: Connection, peer: Connector) -> None:
    remote = Remote(connection=connection, nixl_metadata=forms(peer)[form])
    assert remote.connection is connection
    assert remote.connector is connection.connector
    assert remote.name == str(remote)
    assert remote.name.startswith(peer.name)
    text = f"Remote(name={remote.name}, connection={connection.name})"
    assert repr(remote) == text


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (5, TypeError),
        (None, TypeError),
        (bytearray(b"x"), TypeError),
        (b"", ValueError),
        ("", ValueError),
        ("zz", ValueError),
        ("b64:abc", binascii.Error),
        ("b64:AAAA", zlib.error),
        ("00", zlib.error),
        (b"no metadata", nc.Error),
        (zlib.compress(b"no metadata").hex(), nc.Error),
    ],
)
def test_remote_refuses(given: Any, error: type[Exception]) -> None:
    connector = Connector()
    with pytest.raises(error):
        Remote(connector, given)
    assert connector._connection is None


@pytest.mark.parametrize("other", [5, None, "worker"])
def test_remote_refuses_other_connections(other: Any) -> None:
    with pytest.raises(TypeError):
        Remote(other, b"no metadata")


def test_own_metadata_is_a_remote(connection: Connection) -> None:
    with Remote(connection, connection.metadata) as remote:
        assert remote.name.startswith(connection.connector.name)


def leave(remote: Remote) -> None:
    with remote as entered:
        assert entered is remote
    remote.__exit__(None, None, None)


def close(remote: Remote) -> None:
    remote.close()
    remote.close()


def drop(remote: Remote) -> None:
    del remote
    gc.collect()


@pytest.mark.parametrize("end", [leave, close, drop])
def test_remote_is_released_once(
    end: Callable[[Remote], None], connection: Connection, peer: Connector
) -> None:
    other = Remote(connection, peer.metadata)
    name = other.name
    assert connection._remote_refs[name] == 1
    end(Remote(connection, peer.metadata))
    gc.collect()
    assert connection._remote_refs[name] == 1
    other.close()
    assert name not in connection._remote_refs


def test_remote_is_left_while_its_operation_runs(
    connection: Connection, peer: Connector
) -> None:
    readable = peer.create_readable(memory())
    read = nc.ReadOperation(connection, sent(readable), memory())
    with read.remote as remote:
        assert remote.name.startswith(peer.name)
    assert read.wait(30)


def test_remote_is_dropped_while_its_connection_counts(
    connection: Connection, peer: Connector
) -> None:
    remotes = [Remote(connection, peer.metadata)]
    name = remotes[0].name

    def collect_in_the_middle() -> None:
        with connection._lock:
            remotes.clear()
            gc.collect()

    thread = threading.Thread(target=collect_in_the_middle, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()
    connection.acquire_remote_ref("another")
    assert connection.release_remote_ref("another")
    assert name not in connection._remote_refs
