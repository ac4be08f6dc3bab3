# SPDX-License-Identifier: Apache-2.0
"""The commands of `nixl-connect` but `run`: ../__main__.py, which has that, comes here.
Runs on the main thread.

  _app.py              what can be typed
  _exposing_side.py    the demo's process that owns the memory
  _copying_side.py     the one that reads and writes it
  _doctor.py           what this machine has, and which paths work on it
  _calibration.py      what they cost, measured and kept
"""

from __future__ import annotations

import sys

from .._native import version

__all__ = ["main"]


def main() -> int | None:
    """The exit code, None for success. SystemExit for what typer ends by itself."""
    if sys.argv[1:2] == ["--version"]:
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

    app(prog_name="nixl-connect")
    return None
