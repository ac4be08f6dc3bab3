# SPDX-License-Identifier: Apache-2.0
"""What `with` and `async with` mean for everything that can be closed."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from ._in_process import InProcess

if TYPE_CHECKING:
    from typing_extensions import Self


class Closing(InProcess):
    """Leaving ``with`` is close()."""

    __slots__ = ()

    def close(self) -> None:
        """Ends it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class AsyncClosing(Closing):
    """Leaving ``async with`` is aclose()."""

    __slots__ = ()

    async def aclose(self) -> None:
        """Ends it, without holding up the event loop."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()
