# SPDX-License-Identifier: Apache-2.0
"""Attributes of the module that upstream's users see, and names of its first
generation."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import nixl_connect as nc
import pytest


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, module: Any) -> Any:
    """Makes `module` what importing `name` gives; None makes that fail."""
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.mark.parametrize("name", ["nixl_api", "nixl_bindings"])
def test_nixl_is_loaded_when_asked_for(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for each in "nixl", "nixl._api", "nixl._bindings":
        stand_in(monkeypatch, each, None)
    with pytest.raises(ImportError):
        getattr(nc, name)
    stand_in(monkeypatch, "nixl", ModuleType("nixl"))
    genuine = f"nixl.{name.removeprefix('nixl')}"
    found = stand_in(monkeypatch, genuine, ModuleType(genuine))
    assert getattr(nc, name) is found


def test_array_module_is_cupy_or_else_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = stand_in(monkeypatch, "cupy", ModuleType("cupy"))
    numpy = stand_in(monkeypatch, "numpy", ModuleType("numpy"))
    assert nc.array_module is cupy  # type: ignore[attr-defined]
    stand_in(monkeypatch, "cupy", None)
    assert nc.array_module is numpy  # type: ignore[attr-defined]
    stand_in(monkeypatch, "numpy", None)
    with pytest.raises(ImportError):
        nc.array_module  # type: ignore[attr-defined] # noqa: B018


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        nc.nothing  # type: ignore[attr-defined] # noqa: B018


RUNTIME = SimpleNamespace()

OLD = {
    "by place": lambda: nc.Connector("space", RUNTIME, "worker"),
    "two by place": lambda: nc.Connector("space", RUNTIME, worker_id="worker"),
    "one by place": lambda: nc.Connector("space", runtime=RUNTIME, worker_id="worker"),
    "by name": lambda: nc.Connector(
        worker_id="worker", runtime=RUNTIME, namespace="space"
    ),
}


@pytest.mark.parametrize("how", OLD)
def test_connector_takes_the_arguments_of_the_first_generation(how: str) -> None:
    connector = OLD[how]()
    assert connector.namespace == "space"
    assert connector.runtime is RUNTIME
    assert connector.name == "worker"
    assert repr(connector).startswith("Connector(worker_id='worker', hostname=")


def test_old_order_without_a_worker_id_makes_one() -> None:
    connector = nc.Connector("space", runtime=RUNTIME)
    assert (connector.namespace, len(connector.name)) == ("space", 32)


def test_only_argument_by_place_is_the_worker_id() -> None:
    connector = nc.Connector("worker")
    assert (connector.name, connector.namespace) == ("worker", "dynamo")
    with pytest.raises(RuntimeError, match="runtime"):
        connector.runtime  # noqa: B018


@pytest.mark.parametrize(
    "arguments",
    [("space", RUNTIME, ""), ("space", RUNTIME, 5), (5, RUNTIME), ("a", None, "b", 1)],
)
def test_wrong_arguments_in_the_old_order_are_type_errors(arguments: Any) -> None:
    with pytest.raises(TypeError):
        nc.Connector(*arguments)


def test_subclass_passes_its_arguments_on() -> None:
    class Named(nc.Connector):
        def __init__(self, worker_id: str) -> None:
            super().__init__(worker_id)

    assert Named(worker_id="worker").name == "worker"


def test_serialized_request_is_rdma_metadata() -> None:
    assert nc.SerializedRequest is nc.RdmaMetadata  # type: ignore[attr-defined]
