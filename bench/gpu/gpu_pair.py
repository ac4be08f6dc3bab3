# SPDX-License-Identifier: Apache-2.0
"""The processes of the contestants. Those of a part live as long as it does, since to
start a process with CUDA, torch or NIXL in it takes longer than to measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from layout import Work
from pair import Failed
from program import Program

Place = dict[str, Any]  # What a process takes to find its memory: gpu=, or place=


class Pair:
    """A measuring process, and an exposing one unless `there` is none."""

    def __init__(self, there: list[str] | None, here: list[str], limit_s: float):
        self._there = Program(*there, limit_s=limit_s) if there else None
        self._here = Program(*here, limit_s=limit_s)
        self._exposed: Any = None
        self._metadata: Any = None

    def expose(
        self, work: Work, where: Place, fresh: bool = False, **arguments: Any
    ) -> None:
        """What is exposed already stays, unless it is to be `fresh`."""
        wanted = (work, where, arguments)
        if self._there is None or (wanted == self._exposed and not fresh):
            return
        answer = self._there.ask("expose", work=work.as_dict(), **where, **arguments)
        self._metadata, self._exposed = answer["metadata"], wanted

    def ask(self, do: str, work: Work, where: Place, **arguments: Any) -> Any:
        """What the measuring process answers, by the metadata of what is exposed."""
        if self._there is not None:
            arguments["metadata"] = self._metadata
        answer = self._here.ask(do, work=work.as_dict(), **where, **arguments)
        if arguments.get("check") and work.kind == "WRITE" and self._there is not None:
            self._there.ask("check")
        return answer

    def finish(self) -> None:
        """Lets both end, and does not wait for it."""
        for program in self._programs():
            program.finish()

    def close(self) -> None:
        self.finish()
        for program in self._programs():
            program.__exit__()

    def _programs(self) -> list[Program]:
        return [each for each in (self._here, self._there) if each is not None]


class Pairs:
    """By name; each starts when it is first used. A context manager."""

    def __init__(self, limit_s: float):
        self._limit_s = limit_s
        self._pairs: dict[str, Pair] = {}

    def use(
        self,
        name: str,
        there: list[str] | None,
        here: list[str],
        action: Callable[[Pair], Any],
    ) -> Any:
        """What the action returns. After one that fails the next has new processes."""
        if name not in self._pairs:
            self._pairs[name] = Pair(there, here, self._limit_s)
        try:
            return action(self._pairs[name])
        except Failed:
            self._pairs.pop(name).close()
            raise

    def __enter__(self) -> Pairs:
        return self

    def __exit__(self, *_: object) -> None:
        for pair in self._pairs.values():
            pair.finish()
        for pair in self._pairs.values():
            pair.close()
