# SPDX-License-Identifier: Apache-2.0
"""What counts as memory: address, size, device, strides, owner of any array-like
object. No array package is imported here; an object can only be of one that the user
imported."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from math import prod
from typing import Any

from ._device import Device
from ._enums import DeviceKind
from ._native import Memory, inspect_buffer, inspect_dlpack
from ._owners import owner_of

HOST = Device("cpu")

# Where an array without bytes is said to be when it names no address itself: a null
# pointer is refused in metadata, by us and by peers.
_EMPTY = bytearray(1)
_EMPTY_ADDRESS: int = inspect_buffer(_EMPTY)[0]

# DLPack's device types that are host memory, and those of CUDA and of Intel GPUs.
_DLPACK_KINDS = {
    1: DeviceKind.HOST,
    2: DeviceKind.CUDA,
    3: DeviceKind.HOST,
    13: DeviceKind.CUDA,
    14: DeviceKind.XPU,
}


def memory_of_array(
    data: Any, device: Device | None = None
) -> tuple[Memory, Device] | None:
    """The memory of an array or a buffer; None if `data` is neither. `device`: where an
    array is that does not tell by itself.

    torch tensors, numpy and cupy arrays, what has ``__cuda_array_interface__``, the
    buffer protocol, ``__array_interface__`` or ``__dlpack__``. An array that is not
    contiguous becomes the ranges that it lies in, in the order of its elements, as few
    as there can be.
    TypeError for arrays of Python objects, ValueError for what cannot be moved.
    """
    modules = sys.modules
    torch = modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        return _of_tensor(data)
    numpy = modules.get("numpy")
    if numpy is not None and isinstance(data, numpy.ndarray):
        return _of_ndarray(data, numpy.ndarray)
    if hasattr(data, "__cuda_array_interface__"):
        where = _cuda_device(data, device)
        return _of_interface(data, data.__cuda_array_interface__, where)
    try:
        view = memoryview(data)
    except (TypeError, BufferError):
        pass
    else:
        return _of_buffer(view, data)
    if hasattr(data, "__array_interface__"):
        return _of_interface(data, data.__array_interface__, HOST)
    if hasattr(data, "__dlpack__"):
        return _of_dlpack(data)
    return None


def memory_of_pointer(address: int, size: int, device: Device, owner: object) -> Memory:
    """Memory that the caller vouches for. `owner`, if not None, is kept alive."""
    if size < 0 or address < 0:
        raise ValueError(f"memory has no address {address} and size {size}")
    if address + size >= 2**64:
        raise ValueError(
            f"{size} bytes do not fit behind the address {address:#x}, which has 64 "
            "bits; check pointer and size"
        )
    return Memory.contiguous(
        owner,
        None if owner is None else owner_of(owner),
        address,
        size,
        device.kind,
        device.id,
        False,
    )


def indices_of(indices: Any) -> Any:
    """Page numbers as the extension module reads them. IndexError for one beyond 64
    bits; what are no numbers it refuses itself."""
    if not isinstance(indices, range):
        return indices
    try:
        return array("q", indices)
    except OverflowError:
        raise IndexError("there is no page with a number beyond 64 bits") from None


def _of_tensor(tensor: Any) -> tuple[Memory, Device]:
    kind = tensor.device.type
    if tensor.layout is not sys.modules["torch"].strided or kind == "meta":
        raise ValueError(f"a tensor of layout {tensor.layout} on {kind} has no memory")
    if tensor.is_conj() or tensor.is_neg():
        raise ValueError("a lazily conjugated or negated tensor: resolve it first")
    device = HOST if kind not in ("cuda", "xpu") else Device(str(tensor.device))
    owner = tensor.untyped_storage()
    address, item, strides = tensor.data_ptr(), tensor.element_size(), None
    if not tensor.is_contiguous():
        strides = [stride * item for stride in tensor.stride()]
    return _placed(
        tensor,
        owner,
        device,
        address,
        tensor.nbytes,
        item,
        False,
        tensor.shape,
        strides,
    )


def _of_ndarray(data: Any, ndarray: Any) -> tuple[Memory, Device]:
    if data.dtype.hasobject:
        raise TypeError("an array of Python objects cannot be moved")
    owner: Any = data
    while isinstance(owner, ndarray) and owner.base is not None:
        owner = owner.base
    try:
        found = inspect_buffer(data)
    except (BufferError, ValueError):  # a dtype that has no letter in that protocol
        return _of_interface(data, data.__array_interface__, HOST)
    return _placed(data, owner, HOST, *found)


def _of_buffer(view: memoryview, data: Any) -> tuple[Memory, Device]:
    # The view is what is kept: while it is exported, a bytearray cannot be resized.
    owner = view.obj if isinstance(data, memoryview) else data
    return _placed(view, owner, HOST, *inspect_buffer(view))


def _of_interface(
    data: Any, interface: dict[str, Any], device: Device
) -> tuple[Memory, Device]:
    typestr = interface["typestr"]
    if typestr[1] == "O":
        raise TypeError("an array of Python objects cannot be moved")
    item = int(typestr[2:]) * (4 if typestr[1] == "U" else 1)
    shape = interface["shape"]
    address, read_only = interface["data"]
    read_only = read_only or _never_changes(data)
    strides = interface.get("strides")
    size = item * prod(shape)
    return _placed(data, data, device, address, size, item, read_only, shape, strides)


def _of_dlpack(data: Any) -> tuple[Memory, Device]:
    try:
        inspected = inspect_dlpack(data)
    except TypeError:
        data.__dlpack__()  # raises why: torch exports those of its current GPU only
        raise
    address, size, item, kind, number, shape, strides = inspected
    if kind not in _DLPACK_KINDS:
        raise ValueError(f"memory of DLPack device type {kind} cannot be moved")
    device = Device((_DLPACK_KINDS[kind], number))
    read_only = _never_changes(data)
    return _placed(data, data, device, address, size, item, read_only, shape, strides)


def _never_changes(data: object) -> bool:
    """JAX takes that for granted of its arrays."""
    return type(data).__module__.startswith(("jax", "jaxlib"))


def _cuda_device(data: Any, given: Device | None) -> Device:
    """`__cuda_array_interface__` does not say on which device the memory is; cupy's
    arrays do, and what speaks DLPack too."""
    number = getattr(getattr(data, "device", None), "id", None)
    if not isinstance(number, int) and hasattr(data, "__dlpack_device__"):
        number = int(data.__dlpack_device__()[1])
    if isinstance(number, int):
        return Device((DeviceKind.CUDA, number))
    if given is not None and given.kind is DeviceKind.CUDA:
        return given
    return Device((DeviceKind.CUDA, 0))


def _placed(
    pin: object,
    owner: object,
    device: Device,
    address: int,
    size: int,
    item: int,
    read_only: bool,
    shape: Sequence[int] | None,
    strides: Sequence[int] | None,
) -> tuple[Memory, Device]:
    """Memory in one piece, unless there are strides."""
    token, kind, number = owner_of(owner), device.kind, device.id
    if shape is None or strides is None:
        if size == 0:
            address = address or _EMPTY_ADDRESS
        memory = Memory.contiguous(pin, token, address, size, kind, number, read_only)
    else:
        memory = Memory.strided(
            pin,
            token,
            address or _EMPTY_ADDRESS,
            item,
            list(shape),
            list(strides),
            kind,
            number,
            read_only,
        )
    return memory, device
