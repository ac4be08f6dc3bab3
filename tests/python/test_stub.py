# SPDX-License-Identifier: Apache-2.0
"""The stub of the extension module has the names and the signatures of the module that
was built: what nanobind writes of it is compared with the file."""

import ast
from pathlib import Path

import nixl_connect as nc
import pytest

stubgen = pytest.importorskip("nanobind.stubgen")

STUB = Path(nc.__file__).with_name("_native.pyi")
# What the module says where it takes any object of a kind; the stub says which.
VAGUE = {
    "object",
    "object | None",
    "tuple",
    "list",
    "Annotated[NDArray, dict(writable=False)]",
}


def members(body: list[ast.stmt], prefix: str = "") -> dict[str, ast.stmt]:
    """Everything that a stub defines, by its name with its class."""
    found: dict[str, ast.stmt] = {}
    for each in body:
        if isinstance(each, ast.ClassDef):
            found[prefix + each.name] = each
            found |= members(each.body, f"{prefix}{each.name}.")
        elif isinstance(each, ast.FunctionDef):
            found[prefix + each.name] = each
        elif isinstance(each, ast.AnnAssign):
            found[prefix + ast.unparse(each.target)] = each
    return found


def built() -> dict[str, ast.stmt]:
    generator = stubgen.StubGen(nc._native)
    generator.put(nc._native)
    return members(ast.parse(generator.get()).body)


BUILT = built()
WRITTEN = members(ast.parse(STUB.read_text()).body)


def signature(node: ast.stmt) -> dict[str, str]:
    """Everything about it that callers depend on: types by name, in order."""
    if isinstance(node, ast.AnnAssign):
        return {"type": ast.unparse(node.annotation)}
    if not isinstance(node, ast.FunctionDef):
        return {}
    arguments = node.args
    groups = {
        " by place": arguments.posonlyargs,
        "": arguments.args,
        " by name": arguments.kwonlyargs,
    }
    found = {
        each.arg + group: text(each.annotation)
        for group, parameters in groups.items()
        for each in parameters
    }
    found["defaults"] = text(*arguments.defaults, *filter(None, arguments.kw_defaults))
    found["decorators"] = text(*node.decorator_list)
    found["result"] = text(node.returns)
    return found


def text(*nodes: ast.expr | None) -> str:
    return ", ".join(ast.unparse(each) for each in nodes if each is not None)


def test_stub_has_the_names_of_the_module() -> None:
    assert sorted(WRITTEN) == sorted(BUILT)


@pytest.mark.parametrize("name", sorted(WRITTEN.keys() & BUILT.keys()))
def test_stub_has_the_signature(name: str) -> None:
    ours, real = signature(WRITTEN[name]), signature(BUILT[name])
    assert list(ours) == list(real)
    differing = {key for key in ours if ours[key] != real[key]}
    assert {real[key] for key in differing} <= VAGUE, (ours, real)
