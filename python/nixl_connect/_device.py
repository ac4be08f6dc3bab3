# SPDX-License-Identifier: Apache-2.0
"""Where bytes live: host memory or the memory of one accelerator. A value."""

from __future__ import annotations

import re

from ._enums import DeviceKind

_KINDS = {
    "cpu": DeviceKind.HOST,
    "host": DeviceKind.HOST,
    "cuda": DeviceKind.CUDA,
    "gpu": DeviceKind.CUDA,
    "xpu": DeviceKind.XPU,
}
_FORM = re.compile(r"(cpu|host|cuda|gpu|xpu)(?::([0-9]+))?")
_HIGHEST = 2**31 - 1


class Device:
    """A device by name (``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"gpu:1"``, ``"xpu:2"``;
    letter case and blanks around it do not matter) or by ``(kind, id)``.

    Host memory has id 0, whichever is given. ValueError for another name and for None,
    TypeError for another type.

    >>> str(Device("CUDA:1"))
    'cuda:1'
    """

    __slots__ = ("_id", "_kind")

    def __init__(self, metadata: str | tuple[DeviceKind, int]) -> None:
        if metadata is None:
            raise ValueError("a device is a name such as 'cpu' or 'cuda:0', not None")
        if isinstance(metadata, str):
            kind, number = _parse(metadata)
        else:
            kind, number = _check_pair(metadata)
        self._kind = kind
        self._id = 0 if kind is DeviceKind.HOST else number

    @property
    def kind(self) -> DeviceKind:
        """HOST, CUDA or XPU."""
        return self._kind

    @property
    def id(self) -> int:
        """Number of the device among those of its kind; 0 for host memory."""
        return self._id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Device):
            return NotImplemented
        return self._kind is other._kind and self._id == other._id

    def __hash__(self) -> int:
        return hash((self._kind, self._id))

    def __str__(self) -> str:
        if self._kind in (DeviceKind.CUDA, DeviceKind.XPU):
            return f"{self._kind}:{self._id}"
        return str(self._kind)

    def __repr__(self) -> str:
        return f"Device(kind={self._kind}, id={self._id})"


def _parse(text: str) -> tuple[DeviceKind, int]:
    found = _FORM.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(
            f"{text!r} is no device; devices are named 'cpu', 'cuda:N' or 'xpu:N'"
        )
    return _KINDS[found[1]], _check_number(int(found[2] or 0))


def _check_pair(pair: object) -> tuple[DeviceKind, int]:
    match pair:
        case tuple((DeviceKind() as kind, int() as number)):
            return kind, _check_number(number)
        case _:
            raise TypeError(f"a device is a name or (DeviceKind, int), not {pair!r}")


def _check_number(number: int) -> int:
    if number < 0:
        raise ValueError(f"a device has no negative number such as {number}")
    if number > _HIGHEST:
        raise ValueError(f"no device has so high a number as {number}")
    return number
