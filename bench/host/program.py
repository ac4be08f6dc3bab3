# SPDX-License-Identifier: Apache-2.0
"""A second process that is spoken to in lines of JSON, the other end of
tools/peer_process.h. A context manager; nothing of it is left afterwards."""

from __future__ import annotations

import json
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from pair import Failed

# Far more than any answer takes: reaching it is a failure.
LIMIT_S = 300


class Program:
    def __init__(self, *command: str, limit_s: float = LIMIT_S):
        self._name = " ".join(Path(each).name for each in command)
        self._limit_s = limit_s
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Its answer. Raises Failed if that is an error, or if there is none."""
        assert self._process.stdin and self._process.stdout
        limit = threading.Timer(self._limit_s, self._process.kill)
        limit.start()
        try:
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            limit.cancel()
        if not line:
            raise Failed(f"{self._name} ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(f"{self._name}: {answer['error']}")
        return answer

    def __enter__(self) -> Program:
        return self

    def finish(self) -> None:
        """Closes its input, which ends it, and does not wait for that."""
        assert self._process.stdin
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def __exit__(self, *_: object) -> None:
        """finish(), and waits for the end."""
        assert self._process.stdout
        self.finish()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
