# SPDX-License-Identifier: Apache-2.0
"""The module: its classes, which of their methods are coroutines, what can be awaited,
and what importing it needs."""

import asyncio
import enum
import inspect
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import _dynamo_names
from sides import memory, run_alone, sent

CLASSES = {
    "AbstractOperation": object,
    "ActiveOperation": nc.AbstractOperation,
    "Connection": object,
    "Connector": object,
    "Descriptor": object,
    "Device": object,
    "DeviceKind": enum.IntEnum,
    "OperationKind": enum.IntEnum,
    "OperationStatus": enum.IntEnum,
    "PassiveOperation": nc.AbstractOperation,
    "RdmaMetadata": pydantic.BaseModel,
    "ReadOperation": nc.ActiveOperation,
    "ReadableOperation": nc.PassiveOperation,
    "Remote": object,
    "SerializedDescriptor": pydantic.BaseModel,
    "WritableOperation": nc.PassiveOperation,
    "WriteOperation": nc.ActiveOperation,
}
MAKING = ["begin_read", "begin_write", "create_readable", "create_writable"]
WAITING = [name for name in CLASSES if name.endswith("Operation")]
COROUTINES = [
    nc.Connector.initialize,
    nc.Connector._create_connection,
    nc.Connection.initialize,
    *(getattr(nc, name).wait_for_completion for name in WAITING),
]


@pytest.mark.parametrize("name", CLASSES)
def test_module_has_the_class(name: str) -> None:
    found = getattr(nc, name)
    assert name in nc.__all__
    assert isinstance(found, type)
    assert issubclass(found, CLASSES[name])
    assert found.__name__ == name


def test_module_of_dynamo_has_these_classes() -> None:
    assert _dynamo_names.__all__ == list(CLASSES)


def test_star_gives_the_classes_and_nothing_else() -> None:
    printed = run_alone(
        """
        import nixl_connect
        nixl_connect.install_as_dynamo()
        got = {}
        exec("from dynamo.nixl_connect import *", got)
        print(*sorted(got.keys() - {"__builtins__"}))
        """
    )
    assert printed.split() == list(CLASSES)


@pytest.mark.parametrize(
    "name", ["AbstractOperation", "ActiveOperation", "PassiveOperation"]
)
def test_abstract_operation_is_not_made(name: str) -> None:
    assert inspect.isabstract(getattr(nc, name))
    with pytest.raises(TypeError):
        getattr(nc, name)()


def test_logger_is_named_after_the_module() -> None:
    assert nc.logger.name == "nixl_connect"


@pytest.mark.parametrize("function", COROUTINES, ids=lambda each: each.__qualname__)
def test_method_is_a_coroutine_function(function: Any) -> None:
    assert inspect.iscoroutinefunction(function)


def make(name: str, connector: nc.Connector, peer: nc.Connector) -> Any:
    if name == "begin_read":
        return peer.begin_read(sent(connector.create_readable(memory())), memory())
    if name == "begin_write":
        return peer.begin_write(memory(), sent(connector.create_writable(memory())))
    return getattr(connector, name)(memory())


def test_what_stays_in_its_process_is_not_pickled(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    operations = [make(name, connector, peer) for name in MAKING]
    connection = connector._as_connection()
    for each in (memory(), connector, connection, operations[0].remote, *operations):
        with pytest.raises(TypeError, match=rf"{type(each).__name__} .*metadata\(\)"):
            pickle.dumps(each)


async def gathered(made: Any) -> Any:
    return (await asyncio.gather(made))[0]


AWAITING: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "await": lambda made: made,
    "create_task": lambda made: asyncio.create_task(made),
    "gather": gathered,
    "wait_for": lambda made: asyncio.wait_for(made, 30),
    "ensure_future": asyncio.ensure_future,
}


@pytest.mark.parametrize("how", AWAITING)
@pytest.mark.parametrize("name", MAKING)
def test_operation_is_awaited(
    connector: nc.Connector, peer: nc.Connector, name: str, how: str
) -> None:
    async def run() -> None:
        made = make(name, connector, peer)
        assert asyncio.iscoroutine(made)
        assert await AWAITING[how](made) is made

    asyncio.run(run())


@pytest.mark.parametrize("name", ["create_readable", "create_writable"])
def test_both_kinds_of_with_end_an_operation(
    connector: nc.Connector, peer: nc.Connector, name: str
) -> None:
    async def run() -> None:
        async with await make(name, connector, peer) as operation:
            pass
        assert operation.done()
        with make(name, connector, peer) as operation:
            pass
        assert operation.wait(30)

    asyncio.run(run())


def test_module_works_without_any_array_package() -> None:
    assert not run_alone(
        """
        import sys
        absent = ("torch", "numpy", "cupy", "jax", "nixl", "dynamo")
        sys.modules.update(dict.fromkeys(absent))
        import nixl_connect as nc
        with nc.Connector() as connector:
            target = bytearray(3)
            readable = connector.create_readable(nc.Descriptor(b"abc"))
            read = connector.begin_read(readable.metadata(), nc.Descriptor(target))
            assert read.wait(30) and target == b"abc"
        """
    )


def test_import_loads_no_array_package() -> None:
    printed = run_alone(
        """
        import sys, nixl_connect
        print({"torch", "numpy", "cupy", "jax", "nixl"} & set(sys.modules))
        """
    )
    assert printed == "set()"


def test_missing_native_part_is_an_import_error_of_the_connection() -> None:
    assert not run_alone(
        """
        import nixl_connect as nc
        connector = nc.Connector(ucx_directory="/nowhere")
        for use in (
            lambda: nc.Connection(connector, 1),
            lambda: connector.create_readable(nc.Descriptor(b"abc")),
        ):
            try:
                use()
            except ImportError as error:
                assert isinstance(error.__cause__, nc.Error), error.__cause__
                assert "pip install" in str(error)
            else:
                raise AssertionError("nothing was missing")
        """
    )
