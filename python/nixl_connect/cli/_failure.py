# SPDX-License-Identifier: Apache-2.0
"""What ends the demo. A value."""

from __future__ import annotations


class Failure(Exception):
    """Its text is for the user, who gets no traceback."""
