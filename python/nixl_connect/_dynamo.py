# SPDX-License-Identifier: Apache-2.0
"""This package under the name dynamo.nixl_connect. Called at the start of a process, on
one thread, by users and by ``python -m nixl_connect run``."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location

from ._connector import Connector

_NAME = "dynamo.nixl_connect"
# Holds a part of the namespace package `dynamo`, for sys.path.
_FOLDER = os.path.join(os.path.dirname(__file__), "_as_dynamo")
_INSIDE = os.path.join("dynamo", "nixl_connect")


def install_as_dynamo() -> None:
    """Makes ``import dynamo.nixl_connect`` give this package, whether or not ai-dynamo
    is installed; all other modules of ``dynamo`` go on being what they are.

    Call it before anything imports that name: RuntimeError if genuine
    dynamo.nixl_connect is loaded already. Calling it again does nothing. It adds a
    folder to sys.path, so it also holds for children that ``multiprocessing`` spawns or
    forks, but not for processes that are started in another way.

    Modules of the first generation, whose name was ``connect``, need a line of their
    own, because other packages may be called that:
    ``sys.modules["connect"] = nixl_connect``.

    >>> nixl_connect.install_as_dynamo()
    >>> from dynamo.nixl_connect import Connector
    """
    present = sys.modules.get(_NAME)
    if getattr(present, "Connector", None) is Connector:
        return
    if present is not None:
        raise RuntimeError(
            f"genuine {_NAME} is loaded already, from "
            f"{getattr(present, '__file__', None)}: call install_as_dynamo() before "
            "anything imports it, or start with python -m nixl_connect run"
        )
    if _FOLDER not in sys.path:
        sys.path.insert(_first_genuine(), _FOLDER)
    _load(import_module("dynamo"))


def _first_genuine() -> int:
    """The place on sys.path before which ours is found first. The folder of the script
    stays at its front, where it is expected."""
    for index, folder in enumerate(sys.path):
        if os.path.isdir(os.path.join(folder, _INSIDE)):
            return index
    return len(sys.path)


def _load(dynamo: object) -> None:
    """Loads ours without a search, which other finders take part in, and which does not
    come here if `dynamo` is a package of the ordinary kind."""
    spec = spec_from_file_location(_NAME, os.path.join(_FOLDER, _INSIDE, "__init__.py"))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[_NAME] = module
    spec.loader.exec_module(module)
    dynamo.nixl_connect = module  # type: ignore[attr-defined]
