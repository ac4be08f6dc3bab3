# SPDX-License-Identifier: Apache-2.0
"""A view that is opened by awaiting it or by ``async with``: what Connector.view()
gives. Any event loop; for one of the two, once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import Any

from ._in_process import InProcess
from ._view import View


class OpeningView(InProcess, Coroutine[Any, Any, View]):
    """A coroutine, as far as asyncio can tell, that gives the open View. Nothing is
    begun before its first step, so it may also be dropped. Leaving ``async with``
    closes the view, and waits until its peer can be told."""

    __slots__ = ("_begin", "_steps", "_view")

    _view: View

    def __init__(self, begin: Callable[[], View]) -> None:
        self._begin = begin
        self._steps: Coroutine[Any, Any, View] | None = None

    def __await__(self) -> Generator[Any, Any, View]:
        return self._opening().__await__()

    async def __aenter__(self) -> View:
        self._view = await self
        return self._view

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self._view.aclose()

    def send(self, value: None) -> Any:
        """For asyncio."""
        return self._opening().send(value)

    def throw(
        self, kind: Any, value: Any = None, traceback: TracebackType | None = None
    ) -> Any:
        """For asyncio: the task was cancelled."""
        return self._opening().throw(kind if value is None else value)

    def close(self) -> None:
        """For asyncio: it goes no further."""
        if self._steps is not None:
            self._steps.close()

    def _opening(self) -> Coroutine[Any, Any, View]:
        # Made at the first step: one that is never taken would be warned of.
        if self._steps is None:
            self._steps = self._open()
        return self._steps

    async def _open(self) -> View:
        view = self._begin()
        await view.wait_for_completion()
        return view
