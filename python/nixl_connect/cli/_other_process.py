# SPDX-License-Identifier: Apache-2.0
"""A second process of this package, as the first one sees it: takes lines of JSON and
answers with some. Main thread."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._failure import Failure

if TYPE_CHECKING:
    from typing_extensions import Self

_SECONDS_TO_END = 10


def command_of(module: str) -> list[str]:
    """What starts run() of that module of cli/, with the Python, and the places of
    packages, of this process."""
    return [
        sys.executable,
        "-c",
        "import sys; sys.path[:] = sys.argv[1:]; "
        f"from nixl_connect.cli.{module} import run; sys.exit(run())",
        *sys.path,
    ]


class OtherProcess:
    """Runs while the `with` block does, after which it is to end by itself, as it gets
    no more lines; is killed when that is left by an exception. `name` is for
    failures."""

    def __init__(self, name: str, command: list[str]) -> None:
        self._name = name
        self._process = subprocess.Popen(
            command,
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
            raise Failure(f"the {self._name} process {self._end()} before it was done")
        message: dict[str, Any] = json.loads(line)
        if "error" in message:
            raise Failure(f"the {self._name} process failed: {message['error']}")
        return message

    def _end(self) -> str:
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return "fell silent"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit status {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                self._say_no_more()
                self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.kill()
            self._process.communicate()

    def _say_no_more(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdin = None
