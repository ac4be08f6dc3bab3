# SPDX-License-Identifier: Apache-2.0
"""Streams of GPUs, as torch, cupy and others have them: with which one an operation is
in order. No array package is imported here; the current stream is that of one which the
user imported. Any thread; the current stream is the calling thread's."""

from __future__ import annotations

import operator
import sys
from typing import Any, SupportsIndex, cast

from ._arguments import Descriptors
from ._descriptor import Descriptor
from ._device import Device
from ._enums import DeviceKind
from ._errors import InvalidArgument

_FORMS = (
    "a stream is that of torch or cupy, another with `__cuda_stream__`, `cuda_stream` "
    "or `ptr`, or the number of a CUstream; False is none"
)


def stream_of(given: object, local: Descriptors) -> int | None:
    """The stream, as a number, that an operation on that memory is in order with; None
    if with none. `given` None: the current one of torch or cupy, if they are there.
    TypeError for what is no stream, ValueError for that of another GPU and for memory
    of no GPU."""
    if given is False:
        return None
    memory = _first(local)
    device = memory.device
    if device.kind is not DeviceKind.CUDA:
        if given is None:
            return None
        raise InvalidArgument(
            f"a stream orders operations on memory of a GPU, and this is {device}; "
            "leave the stream out"
        )
    if given is None:
        return _current(memory._data_ref, device.id)
    return _number_of(given, device)


def stream_to_wait(given: object, local: Descriptors) -> int:
    """The same for a stream that is to wait for an operation's end, which has to be
    there."""
    if not local or _first(local).device.kind is not DeviceKind.CUDA:
        raise InvalidArgument(
            "streams wait for operations on memory of a GPU only; use wait()"
        )
    number = stream_of(given, local)
    if number is None:
        raise InvalidArgument(f"which stream is to wait? {_FORMS}")
    return number


def _first(local: Descriptors) -> Descriptor:
    """The first that has bytes; all are of one device then."""
    if isinstance(local, Descriptor):
        return local
    return next((each for each in local if each.size), local[0])


def _current(data: object, number: int) -> int | None:
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    is_of_cupy = type(data).__module__.startswith("cupy")
    if hasattr(torch, "cuda") and not (cupy and is_of_cupy):
        cuda = cast(Any, torch).cuda
        # To ask for its stream would start CUDA, which nobody has used by it.
        if cuda.is_initialized():
            return int(cuda.current_stream(number).cuda_stream)
    if hasattr(cupy, "cuda"):
        cuda = cast(Any, cupy).cuda
        with cuda.Device(number):
            return int(cuda.get_current_stream().ptr)
    return None


def _number_of(stream: Any, device: Device) -> int:
    if hasattr(stream, "__cuda_stream__"):
        told = stream.__cuda_stream__
        _, found = cast("tuple[int, int]", told() if callable(told) else told)
    elif hasattr(stream, "cuda_stream"):
        found = stream.cuda_stream
    else:
        found = getattr(stream, "ptr", stream)
    try:
        number = operator.index(cast(SupportsIndex, found))
    except TypeError:
        raise TypeError(f"{_FORMS}; not {stream!r}") from None
    if isinstance(stream, bool):
        raise TypeError(f"{_FORMS}; not {stream!r}")
    if not 0 <= number < 2**64:
        raise ValueError(f"there is no stream {number}")
    where = getattr(getattr(stream, "device", None), "index", None)
    if not isinstance(where, int):  # as cupy has it
        where = getattr(stream, "device_id", None)
    if isinstance(where, int) and 0 <= where != device.id:
        raise InvalidArgument(
            f"the stream is of cuda:{where}, and the memory of {device}; take a stream "
            "of the GPU that has the memory"
        )
    return number
