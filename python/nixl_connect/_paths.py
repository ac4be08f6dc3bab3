# SPDX-License-Identifier: Apache-2.0
"""Which paths may be taken, and what of a GPU, as a Connector and an operation are told
it. A value; any thread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import cast

from ._errors import InvalidArgument
from ._numbers import check_count

_KNOWN = (
    "local",
    "host.map",
    "host.cma",
    "cuda.peer",
    "cuda.staged",
    "ucx",
    "host",
)

NativeRules = tuple[
    list[str] | None,
    str | None,
    list[str] | None,
    float | None,
    bool | None,
    int | None,
]


@dataclass(frozen=True)
class PathRules:
    """Of the options `paths`, `require`, `forbid`, `min_gbps`, `sm` and `max_blocks`
    those that were given; None says nothing. TypeError; InvalidArgument, a ValueError,
    for names that are no path, and ValueError for a number that is out of range."""

    paths: Sequence[str] | None = None
    require: str | None = None
    forbid: Sequence[str] | None = None
    min_gbps: float | None = None
    sm: bool | None = None
    max_blocks: int | None = None

    def __post_init__(self) -> None:
        _check_names("paths", self.paths)
        if not isinstance(self.require, (str, type(None))):
            raise TypeError(f"require is the name of a path, not {self.require!r}")
        if self.require:
            _check_known("require", self.require)
        _check_names("forbid", self.forbid)
        _check_rate(self.min_gbps)
        if not isinstance(self.sm, (bool, type(None))):
            raise TypeError(
                f"sm is True or False, not {self.sm!r}; max_blocks is the number of "
                "multiprocessors"
            )
        if self.max_blocks is not None:
            _check_blocks(self.max_blocks)

    def native(self) -> NativeRules:
        """As the extension module takes them."""
        return (
            _listed(self.paths),
            self.require,
            _listed(self.forbid),
            None if self.min_gbps is None else float(self.min_gbps),
            self.sm,
            None if self.max_blocks is None else int(self.max_blocks),
        )


def rules_of(
    paths: Sequence[str] | None,
    require: str | None,
    forbid: Sequence[str] | None,
    min_gbps: float | None,
    sm: bool | None,
    max_blocks: int | None,
) -> NativeRules | None:
    """The same, of an operation. None if nothing is said, as mostly."""
    if (
        paths is None
        and require is None
        and forbid is None
        and min_gbps is None
        and sm is None
        and max_blocks is None
    ):
        return None
    return PathRules(paths, require, forbid, min_gbps, sm, max_blocks).native()


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _check_names(option: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, Sequence) and not isinstance(value, str):
        names = cast("Sequence[object]", value)
        if all(isinstance(each, str) for each in names):
            for each in names:
                _check_known(option, each)
            return
    raise TypeError(f"{option} is a list of paths, not {value!r}")


def _check_known(option: str, name: object) -> None:
    if name not in _KNOWN:
        raise InvalidArgument(
            f'{option} names the path "{name}"; the paths are local, host.map, '
            "host.cma, cuda.peer, cuda.staged and ucx, and host stands for all but ucx"
        )


def _check_blocks(value: object) -> None:
    try:
        check_count(value, "max_blocks", 1024)
    except ValueError as error:
        raise ValueError(
            f"{error}; sm=False keeps copies off all multiprocessors"
        ) from None


def _check_rate(value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"min_gbps is a number of GB a second, not {value!r}")
    if not 0 <= float(value) < math.inf:  # nor is NaN
        raise ValueError(f"min_gbps is {value}; it is a number of GB a second from 0")
