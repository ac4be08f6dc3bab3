# SPDX-License-Identifier: Apache-2.0
"""What makes an operation awaitable. `create_*` and `begin_*` return the operation
itself; with `await` in front, or given to create_task() or gather(), it comes out as it
went in, without suspending. So callers that await them, callers of the time when they
were plain functions, and `with` on either, all work. For type checkers each class that
is made also derives from Coroutine, with itself as the result."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._closing import Closing

if TYPE_CHECKING:
    from typing_extensions import Self


class Awaitable(Closing):
    """A coroutine, as far as asyncio can tell, that returns itself at its first
    step."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, Any, Self]:
        return self
        yield  # makes it a generator

    def send(self, value: None) -> Any:
        """For asyncio: the only step there is."""
        raise StopIteration(self)

    def throw(
        self, kind: Any, value: Any = None, traceback: TracebackType | None = None
    ) -> Any:
        """For asyncio: the task was cancelled before its first step, so nobody will get
        the operation."""
        self.close()
        try:
            raise kind if value is None else value
        finally:
            del kind, value  # what is raised would hold itself, and the operation
