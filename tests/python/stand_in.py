# SPDX-License-Identifier: Apache-2.0
"""GPUs that are not there: the library that answers as CUDA's driver does (tests/paths/
cuda/stand_in), and memory of its two devices, as arrays of other packages have it. This
process cannot touch it, as with a GPU."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VARIABLE = "NIXL_CONNECT_CUDA_STAND_IN"
"""Names the library; whoever sets it wants these tests."""

_BUILT = "build/release/tests/paths/cuda/libcuda_stand_in.so"
_CUDA = 2  # of DLPack


def find() -> Path | None:
    """The library, if it was built."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    built = Path(__file__).parents[2] / _BUILT
    return built if built.exists() else None


class StandIn:
    """The driver as programs use it. `file` is what a Connector's `cuda_driver` is."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)
        self._library = ctypes.CDLL(self.file)

    def call(self, name: str, *arguments: object) -> None:
        """A function of the driver, which must succeed."""
        function, status = ctypes.c_void_p(), ctypes.c_int()
        found = self._library.cuGetProcAddress_v2(
            name.encode(),
            ctypes.byref(function),
            12000,
            ctypes.c_uint64(0),
            ctypes.byref(status),
        )
        assert found == 0, name
        assert ctypes.CFUNCTYPE(ctypes.c_int)(function.value)(*arguments) == 0, name

    def calls(self, name: str) -> int:
        """How often it was called by whomever."""
        return int(self._library.nixl_connect_stand_in_calls(name.encode()))

    def blocks(self) -> int:
        """Of the kernel that was launched last."""
        return int(self._library.nixl_connect_stand_in_blocks())

    def memory(self, size: int, device: int = 0) -> GpuMemory:
        """`size` bytes of zero."""
        return GpuMemory(self, size, device)


class GpuMemory:
    """An array of bytes of a GPU; like cupy's, it tells where it is."""

    def __init__(self, driver: StandIn, size: int, device: int) -> None:
        self._driver, self.size = driver, size
        self.device = SimpleNamespace(id=device)
        pointer = ctypes.c_uint64()
        self._call("cuMemAlloc", ctypes.byref(pointer), ctypes.c_size_t(size))
        self.ptr = pointer.value
        self.write(bytes(size))

    def __del__(self) -> None:
        self._call("cuMemFree", ctypes.c_uint64(self.ptr))

    def write(self, content: bytes) -> None:
        """From its start on."""
        size = ctypes.c_size_t(len(content))
        self._copy("cuMemcpyHtoDAsync", ctypes.c_uint64(self.ptr), content, size)

    def read(self) -> bytes:
        """All of it."""
        content = ctypes.create_string_buffer(self.size)
        size = ctypes.c_size_t(self.size)
        self._copy("cuMemcpyDtoHAsync", content, ctypes.c_uint64(self.ptr), size)
        return content.raw

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return interface_of((self.size,), "|u1", self.ptr, None)

    def like(self, whole: Any, part: Any) -> Any:
        """The array that is to this memory what `part` is to `whole`, arrays of numpy:
        the same selection of it."""
        address = self.ptr + part.ctypes.data - whole.ctypes.data
        described = interface_of(part.shape, part.dtype.str, address, part.strides)
        return SimpleNamespace(
            __cuda_array_interface__=described, device=self.device, keeps=self
        )

    def _call(self, name: str, *arguments: object) -> None:
        context = ctypes.c_void_p()
        self._driver.call(
            "cuDevicePrimaryCtxRetain", ctypes.byref(context), self.device.id
        )
        self._driver.call("cuCtxPushCurrent", context)
        try:
            self._driver.call(name, *arguments)
        finally:
            self._driver.call("cuCtxPopCurrent", ctypes.byref(context))

    def _copy(self, name: str, *arguments: object) -> None:
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), 1)
        self._call(name, *arguments, stream)
        self._call("cuStreamSynchronize", stream)
        self._call("cuStreamDestroy", stream)


def interface_of(
    shape: tuple[int, ...], typestr: str, address: int, strides: Any
) -> dict[str, Any]:
    """As ``__cuda_array_interface__`` has it."""
    return {
        "shape": shape,
        "typestr": typestr,
        "data": (address, False),
        "strides": strides,
        "version": 3,
    }


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("dtype", ctypes.c_uint8 * 4),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class DLPackArray:
    """Bytes of a GPU that speak DLPack and nothing else. Strides in elements."""

    def __init__(
        self, memory: GpuMemory, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.memory = memory
        numbers = ctypes.c_int64 * len(shape)
        self._kept = numbers(*shape), numbers(*strides)
        self._tensor = _DLTensor(
            memory.ptr,
            (_CUDA, memory.device.id),
            len(shape),
            (1, 8, 1, 0),
            *self._kept,
        )

    def __dlpack__(self, **_: object) -> object:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self._tensor), b"dltensor", None)

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CUDA, self.memory.device.id
