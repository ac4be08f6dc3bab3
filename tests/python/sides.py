# SPDX-License-Identifier: Apache-2.0
"""What tests of two sides share: small memory, metadata as it travels, kinds of event
loops, and processes of their own."""

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from nixl_connect import Descriptor, PassiveOperation, RdmaMetadata

SECONDS = 30
"""How long a test waits for what comes at once."""

HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None
LOOPS = ["asyncio", *(["uvloop"] if HAS_UVLOOP else [])]
"""The modules whose event loops people use, as far as they are installed."""

_SILENT = """
import sys
import nixl_connect as nc
connector = nc.Connector()
readable = connector.create_readable(nc.Descriptor(bytearray(8)))
writable = connector.create_writable(nc.Descriptor(bytearray(8)))
print(readable.metadata().model_dump_json())
print(writable.metadata().model_dump_json(), flush=True)
sys.stdin.read()
"""


def memory(size: int = 8) -> Descriptor:
    return Descriptor(bytearray(size))


def ranges_of(descriptor: Descriptor) -> list[tuple[int, int]]:
    """Address and size of each piece of it."""
    return descriptor._memory.ranges()


def sent(operation: PassiveOperation) -> RdmaMetadata:
    """Its metadata after the journey to a peer."""
    return RdmaMetadata.model_validate_json(operation.metadata().model_dump_json())


def run_alone(*code: str, **environment: str) -> str:
    """What a process of its own that runs `code`, in parts, prints to either stream. It
    must end by itself, with 0."""
    whole = "\n".join(map(textwrap.dedent, code))
    process = subprocess.run(
        [sys.executable, "-W", "default", "-c", whole],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    assert process.returncode == 0, process.stderr
    # Python 3.12 warns of every fork() of a process with threads.
    lines = (process.stdout + process.stderr).splitlines()
    return "\n".join(
        line for line in lines if "fork()" not in line and "os.fork" not in line
    )


class SilentPeer:
    """A process that exposes 8 bytes of each kind and then stands still: whoever wants
    them waits."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._process = process
        self.readable = RdmaMetadata.model_validate_json(process.stdout.readline())
        self.writable = RdmaMetadata.model_validate_json(process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)

    def die(self) -> None:
        self._process.kill()


@contextmanager
def silent_peer() -> Iterator[SilentPeer]:
    with subprocess.Popen(
        [sys.executable, "-c", _SILENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield SilentPeer(process)
        finally:
            process.kill()
