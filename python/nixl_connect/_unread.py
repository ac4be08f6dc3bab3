# SPDX-License-Identifier: Apache-2.0
"""Pydantic models with a field that is made when somebody first looks at it, because
making it takes longer than all that is usually done with the model. Any thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel


class Unread(BaseModel):
    """Base of a frozen model that may have such a field.

    pydantic, copy and pickle get at the fields of a model through its ``__dict__``,
    which is a property here. Attributes are looked up in the dictionary behind it, and
    ``__getattr__`` is asked for what is not there.
    """

    # The field and what makes it. Not a pydantic attribute, so that it takes no part in
    # comparing, copying, dumping or pickling.
    __slots__ = ("_unread",)

    if not TYPE_CHECKING:

        @property
        def __dict__(self):
            return _all_fields(self)

        @__dict__.setter
        def __dict__(self, fields):
            _FIELDS.__set__(self, fields)

        def __getattr__(self, name):
            fields = _all_fields(self) if name in type(self).model_fields else {}
            return fields[name] if name in fields else super().__getattr__(name)


_FIELDS: Any = BaseModel.__dict__["__dict__"]
_UNREAD: Any = Unread.__dict__["_unread"]
_reading = Lock()


def leave_unread(model: Unread, field: str, read: Callable[[Any], Any]) -> None:
    """Drops the value of `field`. It is ``read(model)`` when somebody looks."""
    _UNREAD.__set__(model, (field, read))
    del _FIELDS.__get__(model)[field]


def is_unread(model: Unread) -> bool:
    """Whether nobody has looked yet."""
    try:
        _UNREAD.__get__(model)
    except AttributeError:
        return False
    return True


def _all_fields(model: Unread) -> dict[str, Any]:
    if is_unread(model):
        with _reading:
            _read(model)
    fields: dict[str, Any] = _FIELDS.__get__(model)
    return fields


def _read(model: Unread) -> None:
    if not is_unread(model):
        return
    field, read = _UNREAD.__get__(model)
    fields = {**_FIELDS.__get__(model), field: read(model)}
    in_order = {name: fields[name] for name in type(model).model_fields}
    _FIELDS.__set__(model, in_order)
    _UNREAD.__delete__(model)
