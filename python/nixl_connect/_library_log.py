# SPDX-License-Identifier: Apache-2.0
"""The lines of the C++ library's log become records of the package's logger, on the
package's thread: the library's own must neither take the GIL nor wait for handlers."""

from __future__ import annotations

import logging
import traceback

from . import _native
from ._log import LEVELS, does_environment_decide, logger

_MOST_LINES = 1000
_PLAIN = logging.Formatter("[%(asctime)s] [%(name)s] [%(levelname)s] %(message)s")


class LibraryLog:
    """From open() to close() the library's lines wait here for deliver(); before and
    after that, and in a forked child, they go to standard error."""

    def __init__(self, queue: _native.CompletionQueue, token: int) -> None:
        self._lines = _native.LogLines(queue, token, _MOST_LINES)
        self._is_open = False

    def open(self) -> None:
        if not self._is_open:
            self._lines.open()
        self._is_open = True

    def close(self) -> None:
        """Delivers what has come until now."""
        self._lines.close()
        self.deliver()

    def deliver(self) -> None:
        """Makes records of the lines that wait. Handlers' failures end here."""
        lines, lost = self._lines.take()
        for level, created, text in lines:
            _log(LEVELS[level], text, created)
        if lost:
            text = f"{lost} lines of the library's log were lost: they came too fast"
            _log(logging.WARNING, text)


def _log(level: int, text: str, created: float | None = None) -> None:
    try:
        record = _record(level, text, created)
        if not does_environment_decide():
            if logger.isEnabledFor(level):
                logger.handle(record)
        elif logger.hasHandlers():
            logger.handle(record)
        else:  # whoever has set the variable wants to see them
            shown = logging.StreamHandler()
            shown.setFormatter(_PLAIN)
            shown.handle(record)
    except Exception:
        if logging.raiseExceptions:
            traceback.print_exc()


def _record(level: int, text: str, created: float | None) -> logging.LogRecord:
    place = "nixl_connect/_native"
    record = logger.makeRecord(logger.name, level, place, 0, text, (), None)
    if created is not None:
        record.relativeCreated += (created - record.created) * 1000
        record.created = created
        record.msecs = created % 1 * 1000 // 1
    return record
