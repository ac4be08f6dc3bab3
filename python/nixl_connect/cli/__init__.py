# SPDX-License-Identifier: Apache-2.0
"""The command `nixl-connect`; ``python -m nixl_connect`` comes here, too. Runs on the
main thread.

  _app.py              what can be typed
  _exposing_side.py    the demo's process that owns the memory
  _copying_side.py     the one that reads and writes it
"""

from __future__ import annotations

import sys

from .._native import version

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int | None:
    """The exit code, None for success. `arguments` are those of the process unless
    given. SystemExit for what typer ends by itself."""
    if arguments is None:
        arguments = sys.argv[1:]
    if arguments[:1] == ["run"]:
        # Not through typer: the program that is run has its exceptions to itself.
        from ..__main__ import main as run_program

        return run_program()
    if arguments[:1] == ["--version"]:
        # Bug reports shall have it, whatever is installed.
        print(f"nixl-connect {version}")
        return None
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        print(
            f"nixl-connect: there is no {error.name}: pip install 'nixl-connect[cli]'",
            file=sys.stderr,
        )
        return 2
    from ._app import app

    app(arguments, prog_name="nixl-connect")
    return None
