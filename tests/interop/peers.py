# SPDX-License-Identifier: Apache-2.0
"""The processes that the tests pair: our Connector and genuine NIXL agents, each a
child that obeys the commands listed in connector_peer.cc. Every answer has a limit."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

# Far more than any step takes, the loading of torch from a cold disk included: reaching
# it is a failure, never part of a passing run.
LIMIT_S = 120.0
WAIT_MS = 100_000

_HERE = Path(__file__).parent


class Refused(Exception):
    """The peer answered a command with an error of this kind."""

    def __init__(self, kind: str, text: str):
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text


class Peer:
    """A child process. Commands are answered in order, one at a time."""

    def __init__(self, *program: str):
        environment = {**os.environ, "UCX_LOG_FILE": "stderr"}  # stdout is for answers
        self._process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        self._unread = b""

    def ask(self, do: str, **arguments) -> dict:
        """The answer to a command. Raises Refused if it is an error."""
        line = json.dumps({"do": do, **arguments})
        answer = json.loads(self.ask_raw(line))
        if "error" in answer:
            raise Refused(answer["error_kind"], answer["error"])
        return answer

    def ask_raw(self, line: str) -> str:
        """The same for any line of text."""
        self._process.stdin.write(line.encode() + b"\n")
        deadline = time.monotonic() + LIMIT_S
        while b"\n" not in self._unread:
            self._read_more(line, deadline - time.monotonic())
        answer, _, self._unread = self._unread.partition(b"\n")
        return answer.decode()

    def stop(self) -> None:
        """Freezes the process: it answers nobody, yet its connections stay."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def kill(self) -> None:
        """Ends the process at once, without any goodbye."""
        self._process.kill()
        self._process.wait(LIMIT_S)
        self._close_pipes()

    def close(self) -> None:
        """Ends the process in an orderly way, which must succeed."""
        if self._process.returncode is not None:
            return
        self._process.stdin.close()
        try:
            status = self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._close_pipes()
        assert status == 0, f"{self._process.args} ended with {status}"

    def _read_more(self, line: str, limit_s: float) -> None:
        stdout = self._process.stdout
        if not select.select([stdout], [], [], max(limit_s, 0))[0]:
            self.kill()
            raise TimeoutError(f"no answer within {LIMIT_S} s to {line[:300]}")
        read = os.read(stdout.fileno(), 1 << 20)
        if not read:
            status = self._process.wait(LIMIT_S)
            self._close_pipes()
            raise ConnectionError(f"the peer ended with {status} on {line[:300]}")
        self._unread += read

    def _close_pipes(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()


class ConnectorPeer(Peer):
    """Our library."""

    def __init__(self, worker_id: str | None = None):
        super().__init__(os.environ["NIXL_CONNECT_INTEROP_PEER"])
        named = {} if worker_id is None else {"worker_id": worker_id}
        self.name = self.ask("open", **named)["name"]


class NixlPeer(Peer):
    """A genuine NIXL agent."""

    def __init__(self, name: str):
        super().__init__(sys.executable, str(_HERE / "nixl_agent.py"))
        self.name = self.ask("open", name=name)["name"]
