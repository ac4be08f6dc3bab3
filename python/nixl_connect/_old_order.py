# SPDX-License-Identifier: Apache-2.0
"""The constructor of the first generation: Connector(namespace, runtime, worker_id)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

S = TypeVar("S")
P = ParamSpec("P")


def or_in_old_order(
    init: Callable[Concatenate[S, P], None],
) -> Callable[Concatenate[S, P], None]:
    """`init`, which takes a worker_id and keywords, made to take all three by place as
    well. A single argument without a name is the worker_id, as it is today."""

    @wraps(init)
    def with_either(self: S, *places: Any, **named: Any) -> None:
        if len(places) > 1 or (places and named.keys() & {"runtime", "worker_id"}):
            named = _by_name(*places, **named)
            places = ()
        init(self, *places, **named)  # pyright: ignore[reportCallIssue]

    return cast(Callable[Concatenate[S, P], None], with_either)


def _by_name(
    namespace: Any = None, runtime: Any = None, worker_id: Any = None, **others: Any
) -> dict[str, Any]:
    names = {"namespace": namespace, "runtime": runtime, "worker_id": worker_id}
    return {**names, **others}
