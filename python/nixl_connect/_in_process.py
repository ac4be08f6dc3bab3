# SPDX-License-Identifier: Apache-2.0
"""What means something in its own process only. Base of descriptors and of everything
that can be closed."""

from __future__ import annotations

from typing import NoReturn


class InProcess:
    """Refused by pickle, and so by the queues and pools of ``multiprocessing``."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a {type(self).__name__} stays in its process; send the metadata() of a "
            "readable or a writable instead"
        )
