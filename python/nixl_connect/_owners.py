# SPDX-License-Identifier: Apache-2.0
"""Which token stands for the owner of some memory. A registration belongs to the object
that owns the memory, not to the descriptor made of it, so descriptors that are made
anew for each request find the registration of the first. Called with the GIL, any
thread."""

from __future__ import annotations

import weakref

from ._native import Owner


class _OwnerReference(weakref.ref[object]):
    __slots__ = ("key",)

    key: int


_owners: dict[int, tuple[_OwnerReference, Owner]] = {}


def _forget(reference: weakref.ref[object]) -> None:
    assert isinstance(reference, _OwnerReference)
    _owners.pop(reference.key, None)


def owner_of(owner: object) -> Owner:
    """The token of `owner`: the same one while it lives. An object without weak
    references (bytes, bytearray) gets a new one, which lives with its descriptors."""
    key = id(owner)
    found = _owners.get(key)
    if found is not None and found[0]() is owner:
        return found[1]
    token = Owner()
    try:
        reference = _OwnerReference(owner, _forget)
    except TypeError:
        return token
    reference.key = key
    _owners[key] = (reference, token)
    return token
