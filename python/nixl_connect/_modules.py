# SPDX-License-Identifier: Apache-2.0
"""Attributes of the module that upstream's users may see, and that cost too much for
those who never ask: imported at each access, and not before. Any thread."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._metadata import RdmaMetadata

nixl_api: Any  # Genuine NIXL's, which brings its own UCX into the process.
nixl_bindings: Any
array_module: Any  # cupy, or numpy where there is no cupy.

_CANDIDATES = {
    "nixl_api": ("nixl._api",),
    "nixl_bindings": ("nixl._bindings",),
    "array_module": ("cupy", "numpy"),
}


def __getattr__(name: str) -> Any:
    """ImportError if what it stands for is not installed: nothing here needs it."""
    if name == "SerializedRequest":  # RdmaMetadata's name in the first generation.
        return RdmaMetadata
    if name not in _CANDIDATES:
        raise AttributeError(f"module 'nixl_connect' has no attribute {name!r}")
    *preferred, last = _CANDIDATES[name]
    for module in preferred:
        try:
            return import_module(module)
        except ImportError:
            pass
    return import_module(last)
