# SPDX-License-Identifier: Apache-2.0
"""Memory that peers of the same host map, as arrays. Whatever a Descriptor of it takes
part in goes by `host.map`, the fastest path of one host. Any thread."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, SupportsIndex

from . import _native
from ._numbers import check_count


def allocate(size: int, *, huge_pages: bool = False) -> memoryview:
    """`size` bytes of it, zero. They go with the last view of them and the last
    operation on them; peers that have them mapped see zeros from then on. Costs a file
    descriptor.

    `huge_pages`: of huge pages, if the system has enough in reserve
    (``vm.nr_hugepages``). TypeError, ValueError for a size below 1, and NoResources.
    """
    check_count(size, "size", sys.maxsize)
    return _native.allocate(size, bool(huge_pages))


def empty(
    shape: SupportsIndex | Sequence[SupportsIndex],
    dtype: Any = "uint8",
    *,
    huge_pages: bool = False,
) -> Any:
    """An array of it, all zero: a tensor of the CPU if `dtype` is one of torch's, else
    an array of numpy, which must be installed then. As allocate()."""
    sizes = _sizes_of(shape)
    package = sys.modules.get("torch")
    if package is None or not isinstance(dtype, package.dtype):
        package = import_module("numpy")
        dtype = package.dtype(dtype)
    size = math.prod(sizes) * dtype.itemsize
    if size == 0:
        return package.empty(sizes, dtype=dtype)
    memory = allocate(size, huge_pages=huge_pages)
    return package.frombuffer(memory, dtype=dtype).reshape(sizes)


def like(array: Any, *, huge_pages: bool = False) -> Any:
    """An array of it, of the shape and type of `array`, a tensor or a numpy array; its
    contents are not copied. As empty(), and TypeError for what has no shape."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise TypeError(
            f"like() takes a tensor or a numpy array, not {type(array).__name__}; "
            "empty(shape, dtype) makes one from numbers"
        )
    return empty(tuple(array.shape), array.dtype, huge_pages=huge_pages)


def _sizes_of(shape: SupportsIndex | Sequence[SupportsIndex]) -> list[int]:
    if isinstance(shape, Sequence) and not isinstance(shape, (str, bytes)):
        return [operator.index(each) for each in shape]
    if isinstance(shape, SupportsIndex):
        return [operator.index(shape)]
    raise TypeError(f"shape is an int or a sequence of them, not {shape!r}")
