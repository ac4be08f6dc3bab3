# SPDX-License-Identifier: Apache-2.0
"""``nixl-connect`` and ``python -m nixl_connect``, which are the same. `run` starts a
program that finds this package under Dynamo's name, and needs nothing else installed;
other commands are in cli/."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from typing import NoReturn

from ._dynamo import install_as_dynamo

_USAGE = """\
usage: nixl-connect run -m MODULE [ARGUMENT ...]
       nixl-connect run SCRIPT [ARGUMENT ...]
       nixl-connect demo [FILE]
       nixl-connect doctor [--calibrate]
       nixl-connect --version

run: runs a module or a script as python itself does, except that
`import dynamo.nixl_connect` gives nixl_connect, whether or not ai-dynamo is installed.
demo: moves a file into another process and back; `pip install 'nixl-connect[cli]'`.
doctor: tells what this machine has, which paths work on it and what would help; needs
the same.
"""
_HELP = ("-h", "--help")


def main() -> int | None:
    """The exit code, None for success. A program that is run may raise anything."""
    command, *arguments = sys.argv[1:] or [""]
    if not command:
        return _refuse_nothing()
    if command in _HELP:
        print(_USAGE, end="")
        return None
    if command == "run":
        return _run(arguments)
    from .cli import main as run_command

    return run_command()


def _run(arguments: list[str]) -> int | None:
    if not arguments:
        return _refuse_nothing()
    program, *rest = arguments
    if program in _HELP:
        print(_USAGE, end="")
        return None
    if program == "-m":
        if not rest:
            _refuse("-m needs the name of a module")
        _enter(os.getcwd(), rest)
        try:
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        except ImportError as error:
            if not _is_of_runpy(error):
                raise
            _refuse(str(error), 1)
        return None
    if program.startswith("-") or not os.path.exists(program):
        _refuse(f"there is no script {program!r}")
    _enter(os.path.dirname(os.path.realpath(program)), arguments)
    runpy.run_path(program, run_name="__main__")
    return None


def _enter(folder: str, arguments: list[str]) -> None:
    """What a program finds when it starts: its arguments, and on sys.path the folder it
    is started from, unless Python was told (-P, -I) to leave that out."""
    sys.argv[:] = arguments
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path[0] = folder
    install_as_dynamo()


def _is_of_runpy(error: ImportError) -> bool:
    """Whether runpy itself raised it, before any line of the program ran."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return all(frame.f_globals.get("__name__") == "runpy" for frame in frames[1:])


def _refuse_nothing() -> int:
    print(_USAGE, end="", file=sys.stderr)
    return 2


def _refuse(message: str, code: int = 2) -> NoReturn:
    print(f"nixl-connect run: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())
