# SPDX-License-Identifier: Apache-2.0
"""Why an operation goes the way it goes: each path there is, how long it would take by
it, and what stands against it. Values; any thread."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from . import _native

if TYPE_CHECKING:
    from collections.abc import Iterable

    PlainEstimate = tuple[str, float | None, float | None, str, str]


@dataclass(frozen=True)
class PathEstimate:
    """What a path would do for the work of a Plan."""

    path: str
    """``local``: within this process; ``host.map``: memory of empty(), like() and
    allocate(), which this process maps; ``host.cma``: system calls into the other
    process; ``cuda.peer``: between GPUs of one host, within this process too;
    ``cuda.staged``: the same between a GPU and the host; ``ucx``."""

    seconds: float | None
    """How long it would take, predicted from what this machine can do, or from usual
    figures (``nixl-connect doctor --calibrate`` measures). None if it could not carry
    the bytes, whatever the options say."""

    gbps: float | None
    """The predicted rate in GB (1e9 bytes) a second, without what every transfer costs
    however small it is, so more than the bytes by `seconds`. None as above; 0 where
    there are no bytes."""

    obstacle: str
    """Why it cannot be used; empty if it can."""

    remedy: str
    """What would change that, if anything would."""

    @property
    def is_usable(self) -> bool:
        """Whether it could carry the bytes."""
        return not self.obstacle


@dataclass(frozen=True)
class Plan:
    """The path of an operation and why it is that one. ``str()`` has a line for the
    work and one or two for each path, for people.

    >>> print(connector.explain(metadata, Descriptor(target)))
    """

    path: str
    """The one taken. Empty: none may be, or the operation has not got so far; on the
    exposing side, the peer has not told yet."""

    bytes: int
    ranges: int

    paths: tuple[PathEstimate, ...]
    """The one taken, then the others that could be, in the order of preference, then
    the rest. Those for another kind of memory (``cuda.peer`` for the host's) are left
    out, unless `paths` or `require` names them. Empty on the exposing side."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        plain = asdict(self)
        plain["paths"] = list(plain["paths"])
        return plain

    def __str__(self) -> str:
        paths = [
            (each.path, each.seconds, each.gbps, each.obstacle, each.remedy)
            for each in self.paths
        ]
        return _native.plan_text((self.path, self.bytes, self.ranges, paths))


def plan_of(
    plain: tuple[str, int, int, Iterable[PlainEstimate]],
) -> Plan:
    """What the extension module tells."""
    path, size, ranges, paths = plain
    return Plan(path, size, ranges, tuple(PathEstimate(*each) for each in paths))
