# SPDX-License-Identifier: Apache-2.0
"""The copying side, as the exposing side sees it: a process that takes one line of JSON
and answers with some. Main thread."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from types import TracebackType
from typing import Any

from ._failure import Failure

# The Python, and the places of packages, of this process.
COMMAND = [
    sys.executable,
    "-c",
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from nixl_connect.cli._copying_side import run; sys.exit(run())",
    *sys.path,
]
_SECONDS_TO_END = 10


class CopyingProcess:
    """Runs while the `with` block does; is killed when that is left by an exception."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches this process only, which ends the other one.
            start_new_session=True,
        )

    @property
    def id(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: dict[str, Any]) -> None:
        """Sends a line. One to a process that has ended gets lost: receive() tells."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self) -> dict[str, Any]:
        """The next line. Failure if it has ended, or says that it failed."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise Failure(f"the copying process {self._end()} before it was done")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise Failure(f"the copying process failed: {message['error']}")
        return message

    def _end(self) -> str:
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "fell silent"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit status {code}"

    def __enter__(self) -> CopyingProcess:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.kill()
            self._process.communicate()
