# SPDX-License-Identifier: Apache-2.0
"""The CUDA driver by ctypes, as far as memory needs it, so that no array package has to
be there: the system's, or the one that NIXL_CONNECT_CUDA_DRIVER names."""

from __future__ import annotations

import ctypes
import os
from typing import Any

# The functions are taken as they were in this version of CUDA.
VERSION = 12000
NON_BLOCKING = 1


class DriverError(Exception):
    """No driver, or what one of its functions refused."""


class Driver:
    """call("cuMemAlloc", ...) with values of ctypes. What a function asks of the thread
    (most use the context that is current there) is for the caller."""

    def __init__(self, file: str):
        try:
            library = ctypes.CDLL(file)
            self._get = library.cuGetProcAddress_v2
        except (OSError, AttributeError) as error:
            raise DriverError(f"no CUDA driver: {error}") from error
        self._functions: dict[str, Any] = {}
        self.call("cuInit", ctypes.c_uint(0))

    @classmethod
    def of_environment(cls) -> Driver:
        return cls(os.environ.get("NIXL_CONNECT_CUDA_DRIVER") or "libcuda.so.1")

    def call(self, name: str, *arguments: Any) -> None:
        result = self._find(name)(*arguments)
        if result != 0:
            raise DriverError(f"{name} failed: {self._name_of(result)} ({result})")

    def names(self) -> list[str]:
        """Of all GPUs that this process sees."""
        count = ctypes.c_int(0)
        self.call("cuDeviceGetCount", ctypes.byref(count))
        names = []
        for ordinal in range(count.value):
            name = ctypes.create_string_buffer(100)
            self.call("cuDeviceGetName", name, len(name), ordinal)
            names.append(name.value.decode())
        return names

    def version(self) -> str:
        """Of CUDA, as the driver has it."""
        version = ctypes.c_int(0)
        self.call("cuDriverGetVersion", ctypes.byref(version))
        return f"{version.value // 1000}.{version.value % 1000 // 10}"

    def _find(self, name: str) -> Any:
        if name not in self._functions:
            address, status = ctypes.c_void_p(), ctypes.c_int(0)
            flags = ctypes.c_uint64(0)
            self._get(
                name.encode(),
                ctypes.byref(address),
                VERSION,
                flags,
                ctypes.byref(status),
            )
            if not address.value:
                raise DriverError(f"the CUDA driver lacks {name}")
            self._functions[name] = ctypes.CFUNCTYPE(ctypes.c_int)(address.value)
        return self._functions[name]

    def _name_of(self, result: int) -> str:
        name = ctypes.c_char_p()
        found = self._find("cuGetErrorName")(result, ctypes.byref(name))
        return name.value.decode() if found == 0 and name.value else "error"


class Gpu:
    """One GPU, whose primary context, that of torch too, is current on the thread that
    made this from then on. Used by that thread only."""

    def __init__(self, ordinal: int):
        self.ordinal = ordinal
        self.driver = Driver.of_environment()
        device, context = ctypes.c_int(0), ctypes.c_void_p()
        self.driver.call("cuDeviceGet", ctypes.byref(device), ordinal)
        self.driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.driver.call("cuCtxPushCurrent", context)
        self._stream = ctypes.c_void_p()
        self.driver.call(
            "cuStreamCreate", ctypes.byref(self._stream), ctypes.c_uint(NON_BLOCKING)
        )

    def allocate(self, size: int) -> int:
        address = ctypes.c_uint64(0)
        self.driver.call("cuMemAlloc", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def free(self, address: int) -> None:
        self.driver.call("cuMemFree", ctypes.c_uint64(address))

    def write(self, to: int, source: int, size: int) -> None:
        """From an address of this process."""
        self._on_stream(
            "cuMemcpyHtoDAsync",
            ctypes.c_uint64(to),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size),
        )

    def read(self, to: int, source: int, size: int) -> None:
        """To an address of this process."""
        self._on_stream(
            "cuMemcpyDtoHAsync",
            ctypes.c_void_p(to),
            ctypes.c_uint64(source),
            ctypes.c_size_t(size),
        )

    def clear(self, address: int, size: int) -> None:
        self._on_stream(
            "cuMemsetD8Async",
            ctypes.c_uint64(address),
            ctypes.c_ubyte(0),
            ctypes.c_size_t(size),
        )

    def _on_stream(self, name: str, *arguments: Any) -> None:
        self.driver.call(name, *arguments, self._stream)
        self.driver.call("cuStreamSynchronize", self._stream)
