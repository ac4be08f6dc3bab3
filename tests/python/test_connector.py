# SPDX-License-Identifier: Apache-2.0
"""Connector by itself: its name, its options of the old days, its one Connection."""

import asyncio
import inspect
import re
import socket
import threading
import uuid
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor
from sides import memory, run_alone

PARAMETERS = {
    "__init__": ["worker_id"],
    "begin_read": ["remote_metadata", "local_descriptors"],
    "begin_write": ["local_descriptors", "remote_metadata"],
    "create_readable": ["local_descriptors"],
    "create_writable": ["local_descriptors"],
    "initialize": [],
    "_create_connection": [],
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_method_has_the_parameters_in_order(name: str) -> None:
    parameters = list(inspect.signature(getattr(Connector, name)).parameters.values())
    places = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
    assert places == ["self", *PARAMETERS[name]]


def test_connector_without_a_name_gets_a_random_one() -> None:
    names = {Connector().name for _ in range(10)}
    assert len(names) == 10
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


@pytest.mark.parametrize("worker_id", ["", 5, uuid.uuid4(), b"worker", [], True])
def test_connector_refuses_other_names(worker_id: Any) -> None:
    with pytest.raises(TypeError):
        Connector(worker_id)


@pytest.mark.parametrize("worker_id", ["worker", "a b'c", "Straße ☃", "x" * 200])
def test_connector_has_the_name_it_was_given(worker_id: str) -> None:
    connector = Connector(worker_id=worker_id)
    host = socket.gethostname()
    assert connector.name == str(connector) == worker_id
    assert connector.hostname == host
    assert repr(connector) == f"Connector(worker_id='{worker_id}', hostname={host})"
    with connector:
        readable = connector.create_readable(memory())
        read = connector.begin_read(readable.metadata(), memory())
        assert read.wait(30)
        assert read.remote.name.startswith(worker_id)


def test_connectors_are_equal_by_name() -> None:
    one, same, other = Connector("a"), Connector("a"), Connector("b")
    assert (one == same, one != same) == (True, False)
    assert (one == other, one != other) == (False, True)
    assert len({one, same, other}) == 2
    for stranger in ("a", None, 5):
        assert (one == stranger, one != stranger) == (False, True)


def test_cuda_is_not_available_without_its_driver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr("nixl_connect._connector.ctypes.CDLL", absent)
    assert Connector().is_cuda_available is False


def test_initialize_opens_nothing() -> None:
    connector = Connector()
    asyncio.run(connector.initialize())
    assert connector._connection is None


def test_connection_is_made_once_for_tasks() -> None:
    async def run() -> None:
        async with Connector() as connector:
            made = await asyncio.gather(
                *(connector._create_connection() for _ in range(10))
            )
            assert {id(each) for each in made} == {id(connector._connection)}
            assert await connector._create_connection() is made[0]
            assert made[0].name == f"{connector.name}-1"
            assert connector.create_readable(memory()).connection is made[0]

    asyncio.run(run())


def test_connection_is_made_once_for_threads() -> None:
    with Connector() as connector:
        together, made = threading.Barrier(4), []

        def run() -> None:
            together.wait(30)
            made.append(asyncio.run(connector._create_connection()))

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [each is connector._connection for each in made] == [True] * 4


def test_connector_has_metadata_in_bytes(peer: Connector) -> None:
    with Connector("named") as connector:
        assert type(connector.metadata) is bytes
        assert nc.Remote(peer, connector.metadata).name.startswith("named")


@pytest.mark.parametrize(
    ("forbid", "path"),
    [([], "local"), (["local"], "host.cma"), (["local", "host.cma"], "ucx: ")],
)
def test_forbidden_path_is_not_taken(forbid: list[str], path: str) -> None:
    with Connector(forbid=forbid) as there, Connector(forbid=forbid) as here:
        readable = here.create_readable(Descriptor(b"1234"))
        target = bytearray(4)
        read = there.begin_read(readable.metadata(), Descriptor(target))
        assert read.wait(30)
        assert read.path.startswith(path)
        assert target == b"1234"


def test_path_that_there_is_not_cannot_be_forbidden() -> None:
    with pytest.raises(ValueError, match=r"host\.cam"):
        Connector(forbid=["host.cam"]).create_readable(Descriptor(b"1"))


def test_closed_connector_refuses_operations() -> None:
    with Connector() as connector:
        readable = connector.create_readable(memory())
    assert readable.status is nc.OperationStatus.CANCELLED
    with pytest.raises(nc.Error):
        connector.create_readable(memory())
    connector.close()
    asyncio.run(connector.aclose())


def test_connector_that_was_never_used_is_closed() -> None:
    with Connector() as connector:
        pass
    with pytest.raises(nc.Error):
        connector.create_readable(memory())


_OPENED_AND_CLOSED = """
import gc, os
import nixl_connect as nc
def use():
    connector = nc.Connector()
    connector.create_readable(nc.Descriptor(b"12345678"))
    connector.close()
use()
gc.collect()
gc.disable()
before = len(os.listdir("/proc/self/fd"))
for _ in range(50):
    use()
print(len(os.listdir("/proc/self/fd")) - before)
"""


def test_closed_connector_keeps_no_file_descriptor() -> None:
    assert run_alone(_OPENED_AND_CLOSED) == "0"
