# SPDX-License-Identifier: Apache-2.0
"""The package's logger, and the level of the C++ library's own log, which follows it.
Records of single operations are at DEBUG, and are not even made unless somebody
listens. All records hold texts only: handlers may keep them, and would keep operations
and their memory with what else they held. Any thread."""

from __future__ import annotations

import logging
import os

from . import _native

logger: logging.Logger = logging.getLogger("nixl_connect")

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
"""What the library's levels are called here; its last one lets nothing through."""

OFF = len(LEVELS)
_NAMES = ("debug", "info", "warning", "error", "off")

_was_debugging = False


def is_debugging() -> bool:
    """Whether a record at DEBUG would be kept. Asked for every operation: the moment
    to notice, for nothing, that the level was changed."""
    is_kept = logger.isEnabledFor(logging.DEBUG)
    if is_kept is not _was_debugging:
        follow_logger()
    return is_kept


def does_environment_decide() -> bool:
    """Whether the library's level is that of NIXL_CONNECT_LOG, not of the logger."""
    return bool(os.environ.get("NIXL_CONNECT_LOG"))


def library_level() -> int | None:
    """The library's level that is due. None: what NIXL_CONNECT_LOG says is no level,
    which the library will refuse."""
    named = os.environ.get("NIXL_CONNECT_LOG")
    if named:
        return _NAMES.index(named) if named in _NAMES else None
    enabled = (each for each in range(OFF) if logger.isEnabledFor(LEVELS[each]))
    return next(enabled, OFF)


def follow_logger() -> None:
    """Gives the library the level that is due, once its lines come here."""
    global _was_debugging
    from ._callbacks import hear_library

    _was_debugging = logger.isEnabledFor(logging.DEBUG)
    level = library_level()
    if level is None:
        return
    if level != OFF:
        hear_library()
    _native.set_log_level(level)
