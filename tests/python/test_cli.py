# SPDX-License-Identifier: Apache-2.0
"""What a user sees of `nixl-connect demo`: output, exit codes, and ends. Other copying
sides than the real one, which fail at a known place, take its part where said."""

import hashlib
import importlib.util
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

for _package in ("typer", "rich"):
    if importlib.util.find_spec(_package) is None:
        pytest.skip(f"{_package} is not installed", allow_module_level=True)

SECONDS = 60
COMMAND = "import sys; from nixl_connect.__main__ import main; sys.exit(main())"
# The same with a copying side of the test's making. A process that a shell has started
# in the background ignores SIGINT otherwise.
WITH_OTHER_COPYING_SIDE = """
import signal, sys
from nixl_connect.__main__ import main
from nixl_connect.cli import _copying_process
signal.signal(signal.SIGINT, signal.default_int_handler)
_copying_process.COMMAND = [sys.executable, "-c", sys.argv.pop(), *sys.path]
sys.exit(main())
"""
# What such a one begins with: the real one, of which a part is replaced.
COPYING_SIDE = """
import os, signal, sys
sys.path[:] = sys.argv[1:]
import nixl_connect as nc
from nixl_connect.cli import _copying_side as side
class Connector(nc.Connector):
    def begin_write(self, local, remote):
        {body}
side.Connector = Connector
sys.exit(side.run())
"""


def start(*arguments: str, code: str = COMMAND, **options: object) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], **(pipes | options)
    )


def run(*arguments: str, **options: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = start(*arguments, **options)
    try:
        printed, complaints = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    return process.returncode, printed, complaints


def run_with(body: str) -> tuple[int, str, str]:
    """A demo of 100 bytes with a copying side that does that instead of writing."""
    copying = COPYING_SIDE.format(body=body)
    return run("demo", "--size", "100", copying, code=WITH_OTHER_COPYING_SIDE)


def digests(printed: str) -> dict[str, str]:
    return dict(re.findall(r"^SHA-256 of the (\w+) +([0-9a-f]{64})$", printed, re.M))


@pytest.mark.parametrize("size", [0, 1, 3 * 2**20 + 1])
def test_demo_moves_file(size: int, tmp_path: Path) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    file = tmp_path / "[bold]name"
    file.write_bytes(content)
    code, printed, complaints = run("demo", str(file))
    assert (code, complaints) == (0, "")
    assert printed.startswith(f"moving {file}, ")
    digest = hashlib.sha256(content).hexdigest()
    assert digests(printed) == {"source": digest, "result": digest}
    for direction in ("read", "write"):
        assert re.search(rf"^{direction} +100 %  ", printed, re.M)
        row = rf"^{direction} +{size} +\d+\.\d{{3}} ms +\d+\.\d\d +\w+[:.].*\w *$"
        assert re.search(row, printed, re.M)


def test_demo_moves_random_bytes() -> None:
    code, printed, _ = run("demo", "--size", "64KiB")
    assert code == 0
    assert "moving random bytes, 64.0 KiB\n" in printed
    assert re.search(r"^read +65536 ", printed, re.M)
    found = digests(printed)
    assert found["source"] == found["result"]


def test_demo_paints_bars_on_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    process = start("demo", "--size", "64KiB", stdout=theirs, env=environment)
    os.close(theirs)
    painted = b""
    try:
        while part := os.read(ours, 65536):
            painted += part
    except OSError:  # what Linux says when nobody has the other end any more
        pass
    os.close(ours)
    assert process.wait(SECONDS) == 0
    text = painted.decode()
    bar = r"read +\x1b\[[0-9;]*m━+\x1b\[0m +100 % 64\.0 KiB of 64\.0 KiB"
    assert re.search(bar, text)


def test_demo_prints_a_line_for_each_tenth_that_is_told() -> None:
    code, printed, _ = run_with(
        "side._PROGRESS_INTERVAL = 60\n"  # it tells nothing by itself
        "        for told in (0, 5, 9, 10, 47, 99): "
        "side._tell({'direction': 'write', 'bytes': told})\n"
        "        return super().begin_write(local, remote)"
    )
    assert code == 0
    shown = re.findall(r"^write +(\d+) %  (\d+) B of 100 B", printed, re.M)
    assert shown == [(str(each),) * 2 for each in (0, 10, 47, 99, 100)]


def test_demo_refuses_what_is_no_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, reason in {
        tmp_path / "none": "No such file or directory",
        tmp_path: "it is a directory, a file is needed",
        fifo: "it is not a regular file",
    }.items():
        code, printed, complaints = run("demo", str(path))
        assert (code, printed) == (1, "")
        assert complaints == f"nixl-connect: cannot move {path}: {reason}\n"


@pytest.mark.parametrize(
    "arguments", ["--size 3x", "--size -1", "--size 3 file", "two files"]
)
def test_demo_refuses_wrong_arguments(arguments: str) -> None:
    code, printed, complaints = run("demo", *arguments.split())
    assert (code, printed) == (2, "")
    assert "Usage: nixl-connect demo" in complaints
    assert "Traceback" not in complaints


def test_demo_refuses_more_than_there_is_memory() -> None:
    for size in ("1000000TiB", "10000000000000TiB"):
        code, _, complaints = run("demo", "--size", size)
        assert code == 1
        assert complaints == "nixl-connect: there is not enough memory for that\n"


def test_demo_says_how_to_get_ucx(tmp_path: Path) -> None:
    environment = os.environ | {"NIXL_CONNECT_UCX_DIRECTORY": str(tmp_path)}
    code, _, complaints = run("demo", "--size", "1", env=environment)
    assert code == 1
    assert re.fullmatch(
        rf"nixl-connect: no usable UCX .*{re.escape(str(tmp_path))}: has no libucp.*"
        r"pip install 'nixl-connect\[cu13\]'\n",
        complaints,
    )


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_command_says_how_to_get_what_is_missing(package: str) -> None:
    code, _, complaints = run(
        "demo", code=f"import sys; sys.modules[{package!r}] = None; {COMMAND}"
    )
    assert code == 2
    assert complaints == (
        f"nixl-connect: there is no {package}: pip install 'nixl-connect[cli]'\n"
    )


def test_demo_fails_if_the_result_differs() -> None:
    code, printed, complaints = run_with(
        "return super().begin_write(nc.Descriptor(bytes(100)), remote)"
    )
    assert code == 1
    assert complaints == "nixl-connect: the result differs from the source\n"
    found = digests(printed)
    assert found["result"] == hashlib.sha256(bytes(100)).hexdigest() != found["source"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL before"),
        ("os._exit(3)", "ended with exit status 3 before"),
        ("raise ValueError('one\\ntwo')", "failed: one two"),
        ("raise ValueError", "failed: ValueError"),
    ],
)
def test_demo_fails_if_the_copying_process_does(body: str, why: str) -> None:
    code, printed, complaints = run_with(body)
    assert code == 1
    assert complaints.startswith(f"nixl-connect: the copying process {why}")
    assert complaints.count("\n") == 1
    assert "SHA-256" not in printed


def test_demo_fails_if_the_copying_process_never_starts() -> None:
    code, _, complaints = run(
        "demo", "--size", "1", "raise SystemExit(5)", code=WITH_OTHER_COPYING_SIDE
    )
    assert code == 1
    assert "ended with exit status 5 before it was done" in complaints


def test_interrupt_ends_both_processes() -> None:
    tell = "side._tell({'direction': 'write', 'bytes': 0}); signal.pause()"
    copying = COPYING_SIDE.format(body=tell)
    process = start("demo", "--size", "4", copying, code=WITH_OTHER_COPYING_SIDE)
    assert process.stdout is not None and process.stderr is not None
    copier = None
    for line in process.stdout:
        if found := re.search(r"copying process (\d+)", line):
            copier = int(found[1])
        if re.match(r"write +0 %", line):
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 130
    assert process.stderr.read() == "nixl-connect: interrupted\n"
    assert copier is not None
    with pytest.raises(ProcessLookupError):
        os.kill(copier, 0)


@pytest.mark.parametrize("order", [b"", b"{}\n"])
def test_copying_process_ends_when_the_exposing_one_is_gone(order: bytes) -> None:
    from nixl_connect.cli._copying_process import COMMAND as copying

    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        copying, stdin=subprocess.PIPE, stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    _, complaints = process.communicate(order, timeout=SECONDS)
    assert (process.returncode, complaints) == (1, b"")
