# SPDX-License-Identifier: Apache-2.0
"""``python -m nixl_connect run``: what the program that it runs finds, compared with
what it finds when python itself runs it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nixl_connect
import pytest

PROGRAM = """\
import json, sys, os
import dynamo.nixl_connect
main = sys.modules["__main__"]
print(json.dumps({
    "argv": sys.argv,
    "path[0]": os.path.realpath(sys.path[0]),
    "name": __name__,
    "is main": main.__dict__ is globals(),
    "spec": getattr(__spec__, "name", None),
    "file": os.path.realpath(__file__),
    "package": __package__ or "",
    "module": dynamo.nixl_connect.Connector.__module__,
}))
"""
GENUINE = "class Connector: __module__ = 'genuine'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where processes run: a script, a package and its parts, a genuine module."""
    files = {
        "elsewhere/script.py": PROGRAM,
        "your/__init__.py": "",
        "your/worker.py": PROGRAM,
        "your/__main__.py": PROGRAM,
        "genuine/dynamo/nixl_connect/__init__.py": GENUINE,
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of Python that finds the genuine module."""
    paths = [str(folder / "genuine"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def found(folder: Path, *arguments: str) -> dict[str, object]:
    """What PROGRAM found."""
    process = run(folder, *arguments)
    assert (process.returncode, process.stderr) == (0, "")
    answer: dict[str, object] = json.loads(process.stdout)
    return answer


RUN = ("-m", "nixl_connect", "run")
PROGRAMS = {
    "module": ("-m", "your.worker"),
    "package": ("-m", "your"),
    "script": ("elsewhere/script.py",),
}


@pytest.mark.parametrize("arguments", [(), ("-h", "--", "-m", "x y"), ("run",)])
@pytest.mark.parametrize("program", PROGRAMS)
def test_program_finds_what_python_gives_it_and_ours(
    folder: Path, program: str, arguments: tuple[str, ...]
) -> None:
    asked = (*PROGRAMS[program], *arguments)
    expected = found(folder, *asked)
    assert (expected["module"], expected["name"]) == ("genuine", "__main__")
    assert found(folder, *RUN, *asked) == {
        **expected,
        "module": "nixl_connect._connector",
    }


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no -P before 3.11")
def test_safe_path_is_kept(folder: Path) -> None:
    code = "import sys; print(sys.path)"
    (folder / "elsewhere" / "script.py").write_text(code)
    printed = run(folder, "-P", *RUN, "elsewhere/script.py").stdout
    assert str(folder / "elsewhere") not in printed
    assert str(folder / "genuine") in printed


ENDS = {
    "falls off its end": ("", 0),
    "exits with a number": ("import sys; sys.exit(7)", 7),
    "exits with a text": ("import sys; sys.exit('why')", 1),
    "raises": ("raise KeyError('why')", 1),
    "is interrupted": ("raise KeyboardInterrupt", -2),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("how", ENDS)
def test_exit_code_is_that_of_the_program(folder: Path, how: str, program: str) -> None:
    code, expected = ENDS[how]
    for name in "elsewhere/script.py", "your/worker.py", "your/__main__.py":
        (folder / name).write_text(code)
    ended = run(folder, *RUN, *PROGRAMS[program])
    assert ended.returncode == expected
    assert ("why" in ended.stderr) == ("why" in code)


def test_spawned_child_of_the_program_finds_ours(folder: Path) -> None:
    (folder / "your" / "worker.py").write_text(
        "import multiprocessing\n"
        "from dynamo.nixl_connect import Connector\n"
        "def work(pipe): pipe.send(Connector.__module__)\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pipe, there = context.Pipe()\n"
        "    child = context.Process(target=work, args=(there,))\n"
        "    child.start()\n"
        "    print(pipe.recv())\n"
        "    child.join()\n"
    )
    assert run(folder, *RUN, "-m", "your.worker").stdout == "nixl_connect._connector\n"


@pytest.mark.parametrize("arguments", [("-h",), ("--help",), ("run", "-h")])
def test_help_tells_how(folder: Path, arguments: tuple[str, ...]) -> None:
    process = run(folder, "-m", "nixl_connect", *arguments)
    assert (process.returncode, process.stderr) == (0, "")
    for told in ("run -m MODULE", "demo", "--version"):
        assert f"nixl-connect {told}" in process.stdout


@pytest.mark.parametrize("arguments", [(), ("run",)])
def test_nothing_to_run_fails_and_tells_how(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    process = run(folder, "-m", "nixl_connect", *arguments)
    assert (process.returncode, process.stdout) == (2, "")
    for told in ("run -m MODULE", "demo [FILE]", "--version"):
        assert f"nixl-connect {told}" in process.stderr


@pytest.mark.parametrize("arguments", [("-m",), ("absent.py",), ("-x", "script.py")])
def test_what_cannot_be_run_is_refused(
    folder: Path, arguments: tuple[str, ...]
) -> None:
    process = run(folder, *RUN, *arguments)
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.startswith("nixl-connect run: ")


@pytest.mark.parametrize("name", ["absent", "absent.part", "your.absent", "elsewhere"])
def test_module_that_is_not_there_is_told_in_one_line(folder: Path, name: str) -> None:
    (folder / "elsewhere" / "__init__.py").touch()
    process = run(folder, *RUN, "-m", name)
    assert (process.returncode, process.stdout) == (1, "")
    assert re.fullmatch(rf"nixl-connect run: .*{name}.*\n", process.stderr)


FAILING = {
    "your.worker": ("your/worker.py", "import missing"),
    "your.part": ("your/__init__.py", "import missing"),
    "your": ("your/__main__.py", "import runpy; runpy.run_module('missing')"),
}


@pytest.mark.parametrize("name", FAILING)
def test_failed_import_of_the_program_has_its_traceback(
    folder: Path, name: str
) -> None:
    file, code = FAILING[name]
    (folder / file).write_text(code)
    process = run(folder, *RUN, "-m", name)
    assert process.returncode == 1
    assert process.stderr.startswith("Traceback")
    assert file in process.stderr and "missing" in process.stderr.splitlines()[-1]


def test_run_needs_no_package_of_the_command_line(folder: Path) -> None:
    for name in "typer", "rich":
        (folder / f"{name}.py").write_text("raise ImportError('there is none')")
    answer = found(folder, *RUN, "-m", "your.worker")
    assert answer["module"] == "nixl_connect._connector"


def test_version_needs_no_package_of_the_command_line(folder: Path) -> None:
    (folder / "typer.py").write_text("raise ImportError('none', name='typer')")
    process = run(folder, "-m", "nixl_connect", "--version")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == f"nixl-connect {nixl_connect.__version__}\n"
