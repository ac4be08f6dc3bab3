# SPDX-License-Identifier: Apache-2.0
"""The package's logger. Records of single operations are at DEBUG, and are not even
made unless somebody listens."""

from __future__ import annotations

import logging

__all__ = ["is_debugging", "logger"]

logger: logging.Logger = logging.getLogger("nixl_connect")


def is_debugging() -> bool:
    """Whether a record at DEBUG would be kept."""
    return logger.isEnabledFor(logging.DEBUG)
