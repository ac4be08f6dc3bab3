# SPDX-License-Identifier: Apache-2.0
"""The arguments of operations: what is checked before anything is opened, and the forms
that the extension module takes. Pure functions."""

from __future__ import annotations

from typing import cast

from . import _native
from ._descriptor import Descriptor
from ._enums import OperationKind
from ._metadata import RdmaMetadata, RemotePages

Descriptors = Descriptor | list[Descriptor]

_HOW = "wrap memory: Descriptor(array)"


def check_descriptors(value: object, name: str = "local_descriptors") -> Descriptors:
    """`value` if it is a Descriptor or a list of some. TypeError, ValueError if
    empty."""
    if isinstance(value, Descriptor):
        return value
    if not isinstance(value, list):
        raise TypeError(
            f"{name} is a Descriptor or a list of them, not {type(value).__name__}"
            f"; {_HOW}"
        )
    if not value:
        raise ValueError(f"{name} is an empty list")
    for each in cast("list[object]", value):
        if not isinstance(each, Descriptor):
            raise TypeError(
                f"{name} has a {type(each).__name__} among its Descriptors; {_HOW}"
            )
    return cast("list[Descriptor]", value)


def memory_of(descriptors: Descriptors) -> _native.Memory | list[_native.Memory]:
    """What the extension module takes for them."""
    if isinstance(descriptors, Descriptor):
        return descriptors._memory
    return [each._memory for each in descriptors]


def check_metadata(metadata: object) -> None:
    """TypeError unless it is RdmaMetadata or pages of it."""
    if isinstance(metadata, (RdmaMetadata, RemotePages)):
        return
    name, how = type(metadata).__name__, ""
    if isinstance(metadata, (str, bytes, bytearray)):
        how = "; make it of the text: RdmaMetadata.model_validate_json(text)"
    elif isinstance(metadata, dict):
        how = (
            "; make it of the dict: RdmaMetadata.model_validate(values), or of JSON: "
            "RdmaMetadata.model_validate_json(text)"
        )
    raise TypeError(f"remote_metadata is RdmaMetadata, not {name}{how}")


def wrong_kind(metadata: RdmaMetadata | RemotePages, kind: OperationKind) -> str:
    """Why that metadata is refused."""
    number = metadata.operation_kind
    if number not in (OperationKind.READ, OperationKind.WRITE):
        return (
            f"the metadata has no operation_kind (it is {number}), so it is not that "
            "of a readable or a writable"
        )
    return (
        f"the metadata is of a {OperationKind(number)} operation and cannot be used "
        f"for a {kind}; a readable is read, a writable is written"
    )
