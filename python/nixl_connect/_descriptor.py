# SPDX-License-Identifier: Apache-2.0
"""A piece of this process's memory that takes part in operations. Any thread; a
descriptor whose size is changed must not be used by another thread just then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._device import Device
from ._in_process import InProcess
from ._log import is_debugging, logger
from ._memory import HOST, indices_of, memory_of_array, memory_of_pointer
from ._metadata import SerializedDescriptor
from ._native import Memory

if TYPE_CHECKING:
    from ._connection import Connection
    from ._connector import Connector


class Descriptor(InProcess):
    """Names memory; never copies or moves it. Keeps the object alive that it is made
    of.

    `data` is one of
      - an array: torch, numpy, cupy, or any other that DLPack, the buffer protocol or
        an array interface describes (also bytes, bytearray, memoryview). Not
        contiguous: it is transferred as the ranges it lies in, in the order of its
        elements; where these overlap, as broadcast ones do, only as a source
      - ``(array, device)``: the same, and the device must be the array's, if it tells
      - ``(pointer, size[, device[, owner]])``: `size` bytes; the device is ``"cpu"``
        unless given, `owner` is kept alive

    Read-only memory can be read by a peer and is refused as a target. ValueError for
    None and for memory that cannot be transferred, TypeError for what is no memory. One
    descriptor may serve many operations at once.

    >>> descriptor = Descriptor(bytearray(4096))
    >>> head = descriptor[:1024]
    """

    __slots__ = (
        "__weakref__",
        "_connection",
        "_data_ref",
        "_device",
        "_memory",
        "_serialized",
        "_whole",
    )

    def __init__(self, data: Any) -> None:
        if data is None:
            raise ValueError("a descriptor needs memory, not None")
        if isinstance(data, tuple):
            memory, device, reference = _of_tuple(data)
        else:
            found = memory_of_array(data)
            if found is None:
                raise TypeError(
                    f"{type(data).__name__} is no memory: give an array, a buffer, "
                    "(array, device) or (pointer, size[, device[, owner]])"
                )
            memory, device = found
            reference = data
        self._set(memory, device, reference)

    def _set(self, memory: Memory, device: Device, reference: object) -> None:
        self._whole = memory
        self._memory = memory
        self._device = device
        self._data_ref = reference
        self._serialized: SerializedDescriptor | None = None
        self._connection: Connection | None = None

    @classmethod
    def _of(cls, memory: Memory, device: Device, reference: object) -> Descriptor:
        descriptor = cls.__new__(cls)
        descriptor._set(memory, device, reference)
        return descriptor

    @classmethod
    def pages(cls, array: Any, page_bytes: int, indices: Any) -> Descriptor:
        """One descriptor of many pages of one memory: page k is the `page_bytes` bytes
        at ``k * page_bytes``, of an array that is not contiguous in the order of its
        elements.

        `array`: what Descriptor takes, or a Descriptor. `indices`: a sequence or a
        one-dimensional integer array in host memory, in any order. Thousands of pages
        take microseconds. Pages may repeat in what is a source; a target that does is
        refused by its operation. ValueError for no page at all, IndexError for a page
        outside.
        """
        whole = array if isinstance(array, Descriptor) else cls(array)
        memory = whole._memory.pages(page_bytes, indices_of(indices))
        return cls._of(memory, whole._device, whole._data_ref)

    @staticmethod
    def from_serialized(serialized: SerializedDescriptor) -> Descriptor:
        """A descriptor of a range named in metadata. TypeError for another type."""
        if not isinstance(serialized, SerializedDescriptor):
            raise TypeError(
                "a SerializedDescriptor is needed, not " + type(serialized).__name__
            )
        return Descriptor((serialized.ptr, serialized.size, serialized.device))

    @property
    def ptr(self) -> int:
        """Address of the first byte."""
        return self._memory.ptr

    @property
    def size(self) -> int:
        """Bytes."""
        return self._memory.size

    @property
    def device(self) -> Device:
        """Where the bytes live."""
        return self._device

    @property
    def is_read_only(self) -> bool:
        """True: refused as the target of a transfer."""
        return self._memory.is_read_only

    @property
    def _data_size(self) -> int:
        return self._memory.size

    @_data_size.setter
    def _data_size(self, size: int) -> None:
        # Pools lend the same buffer for messages of any size up to its own.
        self._memory = self._whole.slice(0, size)
        self._serialized = None

    def __getitem__(self, part: slice) -> Descriptor:
        """The bytes ``[a:b]`` as a descriptor of their own, with the same owner; cut
        off at its ends, as slices are. TypeError for anything but a slice, ValueError
        for a step."""
        if not isinstance(part, slice):
            raise TypeError("descriptors are cut by slices: descriptor[a:b]")
        start, stop, step = part.indices(self.size)
        if step != 1:
            raise ValueError("a slice of a descriptor has no step; use pages()")
        memory = self._memory.slice(start, max(0, stop - start))
        return self._of(memory, self._device, self._data_ref)

    @property
    def metadata(self) -> SerializedDescriptor:
        """The range as metadata names it; also callable. ValueError (pydantic's) for a
        null pointer, and for memory in several ranges, which an operation's metadata
        names one by one."""
        if self._serialized is None:
            if self._memory.range_count != 1:
                raise ValueError(
                    f"this memory lies in {self._memory.range_count} ranges; use the "
                    "metadata of an operation"
                )
            self._serialized = SerializedDescriptor(
                device=str(self._device), ptr=self.ptr, size=self.size
            )
        return self._serialized

    def to_serialized(self) -> SerializedDescriptor:
        """The same as `metadata`."""
        return self.metadata

    @property
    def is_registered(self) -> bool:
        """Whether register_with_connector() was called and not undone."""
        return self._connection is not None

    def register_with_connector(self, connection: Connection | Connector) -> None:
        """Makes the memory known before the first operation needs it. Not necessary:
        operations do the same, and what they registered stays registered while the
        memory's owner lives. No effect when repeated.

        TypeError for anything but a Connection or a Connector, ValueError for a null
        pointer, RuntimeError (Error) if it is registered elsewhere or the memory cannot
        be used.
        """
        check_connection(connection)
        if self.ptr == 0:
            raise ValueError("a null pointer cannot be registered")
        target = connection_of(connection)
        if self._connection is not None and self._connection is not target:
            raise RuntimeError(
                f"{self!r} is registered with {self._connection}; deregister it first"
            )
        if self._connection is None:
            target._register(self)
            self._connection = target
            if is_debugging():
                logger.debug("registered %s with %s", repr(self), str(target))

    def register_memory(self, connector: Connection | Connector) -> None:
        """The same as register_with_connector()."""
        self.register_with_connector(connector)

    def deregister_with_connector(self, connection: Connection | Connector) -> None:
        """Undoes register_with_connector(); running operations are not touched.
        TypeError as there, RuntimeError if it is not registered there."""
        target = connection_of(connection)
        if self._connection is not target:
            raise RuntimeError(f"{self!r} is not registered with {target}")
        target._deregister(self)
        self._connection = None

    def __copy__(self) -> Descriptor:
        copied = self._of(self._whole, self._device, self._data_ref)
        copied._memory = self._memory
        return copied

    def __str__(self) -> str:
        return f"ptr={self.ptr:#x}, size={self.size}, device={self._device}"

    def __repr__(self) -> str:
        return f"Descriptor({self})"


def connection_of(value: Connection | Connector) -> Connection:
    """The Connection that `value` is or has, which is opened if need be."""
    check_connection(value)
    return value._as_connection()


def check_connection(value: object) -> None:
    """TypeError unless it is a Connection or a Connector."""
    if not hasattr(type(value), "_as_connection"):
        raise TypeError(
            f"a Connection or a Connector is needed, not {type(value).__name__}"
        )


def _of_tuple(data: Any) -> tuple[Memory, Device, object]:
    if len(data) < 2:
        raise TypeError("a tuple is (array, device) or (pointer, size[, ...])")
    first, second = data[0], data[1]
    if isinstance(first, int) and isinstance(second, int):
        device = _device_of(data[2]) if len(data) > 2 else HOST
        owner = data[3] if len(data) > 3 else None
        return memory_of_pointer(first, second, device, owner), device, owner
    if isinstance(first, (int, str)) or not isinstance(second, (Device, str)):
        raise TypeError(
            "a tuple is (array, device) or (pointer, size[, device[, owner]]), not "
            f"({', '.join(type(each).__name__ for each in data)})"
        )
    device = _device_of(second)
    found = memory_of_array(first, device)
    if found is None:
        raise TypeError(f"{type(first).__name__} is no array")
    if found[1] != device:
        raise ValueError(f"the array is in {found[1]}, not in {device}")
    return found[0], device, first


def _device_of(value: object) -> Device:
    if isinstance(value, Device):
        return value
    if isinstance(value, str):
        return Device(value)
    raise TypeError(f"a Device or its name is needed, not {type(value).__name__}")
