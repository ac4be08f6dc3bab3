# SPDX-License-Identifier: Apache-2.0
"""Memory of GPUs for the doctor, by the CUDA driver alone, so that no array package has
to be there. Main thread."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

from .. import Descriptor
from ._failure import Failure

_CUDA = 12000  # the functions are taken as they were in that version
_NON_BLOCKING = 1


class GpuMemory:
    """`size` bytes of the GPU with that number, each 1, as cudaMalloc gives them; freed
    with the object. Failure with what the driver refuses."""

    def __init__(self, gpu: int, size: int) -> None:
        self._address = ctypes.c_uint64()
        self._size = size
        self._gpu = gpu
        self._context = _context_of(gpu)
        bytes_ = ctypes.c_size_t(size)
        self._call("cuMemAlloc", ctypes.byref(self._address), bytes_)
        self.fill(1)

    def fill(self, value: int) -> None:
        """Each byte."""
        size = ctypes.c_size_t(self._size)
        self._do("cuMemsetD8Async", self._address, ctypes.c_ubyte(value), size)

    def content(self) -> bytes:
        """All of it."""
        content = ctypes.create_string_buffer(self._size)
        size = ctypes.c_size_t(self._size)
        self._do("cuMemcpyDtoHAsync", content, self._address, size)
        return content.raw

    def descriptor(self) -> Descriptor:
        """Of all of it, which keeps it."""
        return Descriptor((self._address.value, self._size, f"cuda:{self._gpu}", self))

    def _do(self, name: str, *arguments: object) -> None:
        """To its end, on a stream of its own."""
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        try:
            self._call(name, *arguments, stream)
            self._call("cuStreamSynchronize", stream)
        finally:
            self._call("cuStreamDestroy", stream)

    def _call(self, name: str, *arguments: object) -> None:
        context = ctypes.c_void_p()
        _call("cuCtxPushCurrent", self._context)
        try:
            _call(name, *arguments)
        finally:
            _call("cuCtxPopCurrent", ctypes.byref(context))

    def __del__(self) -> None:
        if self._address:
            self._call("cuMemFree", self._address)


@cache
def _context_of(gpu: int) -> ctypes.c_void_p:
    """The primary one, which stays."""
    device, context = ctypes.c_int(), ctypes.c_void_p()
    _call("cuInit", ctypes.c_uint(0))
    _call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(gpu))
    _call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    return context


def _call(name: str, *arguments: object) -> None:
    result = _function(name)(*arguments)
    if result == 0:
        return
    text = ctypes.c_char_p()
    known = _function("cuGetErrorName")(result, ctypes.byref(text)) == 0
    what = text.value.decode() if known and text.value else f"error {result}"
    raise Failure(f"CUDA's {name}() failed: {what}")


@cache
def _function(name: str) -> Any:
    file = os.environ.get("NIXL_CONNECT_CUDA_DRIVER") or "libcuda.so.1"
    address, status = ctypes.c_void_p(), ctypes.c_int()
    try:
        ctypes.CDLL(file).cuGetProcAddress_v2(
            name.encode(),
            ctypes.byref(address),
            _CUDA,
            ctypes.c_uint64(0),
            ctypes.byref(status),
        )
    except (OSError, AttributeError) as error:
        raise Failure(f"no CUDA driver: {error}") from error
    if not address.value:
        raise Failure(f"{file} has no {name}()")
    return ctypes.CFUNCTYPE(ctypes.c_int)(address.value)
