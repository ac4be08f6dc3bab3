# SPDX-License-Identifier: Apache-2.0
"""The copying side, as the exposing side sees it: a process that takes one line of JSON
and answers with some. Main thread."""

from __future__ import annotations

from ._other_process import OtherProcess, command_of

COMMAND = command_of("_copying_side")


class CopyingProcess(OtherProcess):
    """Its process."""

    def __init__(self) -> None:
        super().__init__("copying", COMMAND)
