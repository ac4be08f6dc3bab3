# SPDX-License-Identifier: Apache-2.0
"""Registering a descriptor explicitly, under its names of two generations."""

from typing import Any

import pytest
from nixl_connect import Connection, Connector, Descriptor
from sides import memory, sent

REGISTER = ["register_with_connector", "register_memory"]
NEITHER = [None, 5, "worker", {}]


def either(connector: Connector) -> list[Connector | Connection]:
    return [connector, connector._as_connection()]


@pytest.mark.parametrize("name", REGISTER)
@pytest.mark.parametrize("index", [0, 1], ids=["connector", "connection"])
def test_descriptor_is_registered_once(
    name: str, index: int, connector: Connector
) -> None:
    descriptor, target = memory(), either(connector)[index]
    assert descriptor.is_registered is False
    for _ in range(2):
        getattr(descriptor, name)(target)
        assert descriptor.is_registered is True
    descriptor.deregister_with_connector(target)
    assert descriptor.is_registered is False


@pytest.mark.parametrize("other", NEITHER)
@pytest.mark.parametrize("name", [*REGISTER, "deregister_with_connector"])
def test_only_connections_are_registered_with(name: str, other: Any) -> None:
    with pytest.raises(TypeError):
        getattr(memory(), name)(other)


@pytest.mark.parametrize("name", REGISTER)
def test_null_pointer_is_not_registered(name: str) -> None:
    connector = Connector()
    with pytest.raises(ValueError):
        getattr(Descriptor((0, 8)), name)(connector)
    assert connector._connection is None


def test_descriptor_is_registered_in_one_place(
    connector: Connector, peer: Connector
) -> None:
    descriptor = memory()
    with pytest.raises(RuntimeError):
        descriptor.deregister_with_connector(connection=connector)
    descriptor.register_with_connector(connection=connector)
    with pytest.raises(RuntimeError):
        descriptor.register_with_connector(peer)
    with pytest.raises(RuntimeError):
        descriptor.deregister_with_connector(peer)
    assert descriptor.is_registered
    descriptor.deregister_with_connector(connector)
    with pytest.raises(RuntimeError):
        descriptor.deregister_with_connector(connector)
    descriptor.register_memory(connector=peer)
    assert descriptor.is_registered
    descriptor.deregister_with_connector(peer)


def test_running_operation_survives_a_deregistration(
    connector: Connector, peer: Connector
) -> None:
    source = Descriptor(bytearray(b"12345678"))
    source.register_with_connector(connector)
    readable = connector.create_readable(source)
    source.deregister_with_connector(connector)
    target = bytearray(8)
    assert peer.begin_read(sent(readable), Descriptor(target)).wait(30)
    assert target == b"12345678"
