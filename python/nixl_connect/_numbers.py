# SPDX-License-Identifier: Apache-2.0
"""Numbers as users give them: seconds and counts. Pure functions; what is wrong is told
before it has any effect."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import SupportsIndex, cast


def check_seconds(
    value: object, name: str = "timeout", highest: float = math.inf
) -> float | None:
    """`value` if it is None or a number from 0 to `highest`. TypeError, ValueError."""
    if value is None:
        return None
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name} is a number of seconds or None, not {value!r}")
    seconds = float(value)
    if not 0 <= seconds <= highest:  # nor is NaN
        end = "on" if highest == math.inf else f"to {highest:g}"
        raise ValueError(f"{name} is {value}; it is a number of seconds from 0 {end}")
    return seconds


def nanoseconds(timeout: object) -> int | None:
    """A timeout as the extension module takes it: a century at most. TypeError,
    ValueError."""
    seconds = check_seconds(timeout)
    return None if seconds is None else int(min(seconds, 3e9) * 1e9)


def check_count(value: object, name: str, highest: int) -> int:
    """`value` if it is a whole number from 1 to `highest`. TypeError, ValueError."""
    counted = None if isinstance(value, bool) else value
    try:
        count = operator.index(cast(SupportsIndex, counted))
    except TypeError:
        raise TypeError(f"{name} is an int, not {value!r}") from None
    if not 1 <= count <= highest:
        raise ValueError(f"{name} is {count}; it is a number from 1 to {highest}")
    return count
