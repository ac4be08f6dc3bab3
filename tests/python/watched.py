# SPDX-License-Identifier: Apache-2.0
"""Memory whose end tests watch for."""

import time
import weakref
from typing import Any

from sides import SECONDS


class Owner(bytearray):
    """A bytearray that weak references may watch."""


def is_gone(reference: "weakref.ref[Any]") -> bool:
    """Soon. The library's thread leaves references to the main thread, which drops them
    when it next takes the GIL: so this gives it up now and then."""
    end = time.monotonic() + SECONDS
    while reference() is not None and time.monotonic() < end:
        time.sleep(0)
    return reference() is None
