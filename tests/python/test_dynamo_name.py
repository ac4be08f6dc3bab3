# SPDX-License-Identifier: Apache-2.0
"""This package under the name dynamo.nixl_connect: beside a `dynamo` of every kind that
another distribution may bring, each made in a folder and used by a new process."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

GENUINE = "print('genuine was loaded')\nclass Connector: pass\n"

# The files of such a `dynamo`.
KINDS = {
    "absent": {},
    "namespace": {"llm/__init__.py": "name = 'llm'", "health.py": "name = 'health'"},
    "namespace with genuine": {
        "llm/__init__.py": "name = 'llm'",
        "health.py": "name = 'health'",
        "nixl_connect/__init__.py": GENUINE,
    },
    "package with genuine": {
        "__init__.py": "",
        "llm/__init__.py": "name = 'llm'",
        "health.py": "name = 'health'",
        "nixl_connect/__init__.py": GENUINE,
    },
}
IMPORTS = {
    "from": "from dynamo.nixl_connect import Connector, Descriptor",
    "as": "import dynamo.nixl_connect as connect; Connector = connect.Connector",
    "whole": "import dynamo.nixl_connect; Connector = dynamo.nixl_connect.Connector",
    "attribute": "from dynamo import nixl_connect as c; Connector = c.Connector",
    "all": "from dynamo.nixl_connect import *",
}
IS_OURS = "assert Connector is nixl_connect.Connector, Connector"


def make(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / "dynamo" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def run(folder: Path, code: str, *options: str) -> str:
    """What a process prints that finds `folder` first on its path."""
    paths = [str(folder), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    process = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout + process.stderr


@pytest.mark.parametrize("how", IMPORTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_import_gives_ours(tmp_path: Path, kind: str, how: str) -> None:
    code = f"""
        import nixl_connect
        nixl_connect.install_as_dynamo()
        nixl_connect.install_as_dynamo()
        {IMPORTS[how]}
        {IS_OURS}
        """
    assert run(make(tmp_path, KINDS[kind]), code) == ""


@pytest.mark.parametrize("before", ["", "import dynamo.health"])
@pytest.mark.parametrize("kind", list(KINDS)[1:])
def test_other_modules_stay_what_they_are(
    tmp_path: Path, kind: str, before: str
) -> None:
    code = f"""
        import nixl_connect
        {before}
        nixl_connect.install_as_dynamo()
        import dynamo.health
        from dynamo.llm import name
        assert (name, dynamo.health.name) == ("llm", "health")
        {IMPORTS["from"]}
        {IS_OURS}
        """
    assert run(make(tmp_path, KINDS[kind]), code) == ""


def test_folders_that_join_the_path_later_are_found(tmp_path: Path) -> None:
    later = make(tmp_path / "later", KINDS["namespace with genuine"])
    code = f"""
        import nixl_connect, sys
        nixl_connect.install_as_dynamo()
        sys.path.insert(0, {str(later)!r})
        import dynamo.health
        {IMPORTS["from"]}
        {IS_OURS}
        """
    assert run(tmp_path, code) == ""


def test_name_without_installing_is_genuine(tmp_path: Path) -> None:
    code = "import nixl_connect, dynamo.nixl_connect"
    folder = make(tmp_path, KINDS["namespace with genuine"])
    assert run(folder, code) == "genuine was loaded\n"


def test_genuine_that_is_loaded_already_is_an_error(tmp_path: Path) -> None:
    code = """
        import nixl_connect, dynamo.nixl_connect as genuine
        try: nixl_connect.install_as_dynamo()
        except RuntimeError as error: print(error)
        import dynamo.nixl_connect
        assert dynamo.nixl_connect is genuine
        """
    folder = make(tmp_path, KINDS["namespace with genuine"])
    printed = run(folder, code)
    assert str(folder / "dynamo" / "nixl_connect" / "__init__.py") in printed
    assert "python -m nixl_connect run" in printed


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_inherit_the_name(tmp_path: Path, method: str) -> None:
    (tmp_path / "worker.py").write_text(
        "def named(pipe):\n"
        "    import dynamo.nixl_connect, nixl_connect\n"
        "    ours = dynamo.nixl_connect.Connector is nixl_connect.Connector\n"
        "    pipe.send((ours, dynamo.nixl_connect.__file__))\n"
    )
    code = f"""
        import multiprocessing, nixl_connect, worker
        nixl_connect.install_as_dynamo()
        context = multiprocessing.get_context({method!r})
        pipe, there = context.Pipe()
        child = context.Process(target=worker.named, args=(there,))
        child.start()
        print(pipe.recv()[0])
        child.join()
        """
    folder = make(tmp_path, KINDS["namespace with genuine"])
    assert run(folder, code) == "True\n"


def test_folder_of_the_script_stays_first_on_the_path(tmp_path: Path) -> None:
    genuine = make(tmp_path / "genuine", KINDS["namespace with genuine"])
    code = f"""
        import nixl_connect, sys
        sys.path[:0] = ["first", {str(genuine)!r}]
        nixl_connect.install_as_dynamo()
        print(sys.path[0], sys.path[2] == {str(genuine)!r})
        """
    assert run(tmp_path, code) == "first True\n"


def test_module_has_what_ours_has(tmp_path: Path) -> None:
    """Asked for by name; it is no more than the classes that `import *` gives."""
    code = """
        import nixl_connect
        nixl_connect.install_as_dynamo()
        import dynamo.nixl_connect as module
        for name in {*nixl_connect.__all__, "SerializedRequest"} - {"logger"}:
            assert getattr(module, name) is getattr(nixl_connect, name), name
        from dynamo.nixl_connect import TimedOut, wait_all
        for asked in (module, nixl_connect):
            try: asked.absent
            except AttributeError as error: print(error)
        """
    assert run(tmp_path, code).splitlines() == [
        "module 'dynamo.nixl_connect' has no attribute 'absent'",
        "module 'nixl_connect' has no attribute 'absent'",
    ]


def test_records_go_by_the_logger_of_that_name(tmp_path: Path) -> None:
    code = """
        import logging, nixl_connect
        logging.getLogger("dynamo.nixl_connect").setLevel(logging.DEBUG)
        assert not nixl_connect.logger.isEnabledFor(logging.DEBUG)
        nixl_connect.install_as_dynamo()
        import dynamo.nixl_connect
        assert dynamo.nixl_connect.logger.name == "dynamo.nixl_connect"
        assert nixl_connect.logger.isEnabledFor(logging.DEBUG)
        dynamo.nixl_connect.logger.addHandler(logging.StreamHandler())
        with nixl_connect.Connector().create_readable(
            nixl_connect.Descriptor(bytearray(10))
        ): pass
        """
    assert "exposed ReadableOperation(" in run(tmp_path, code)
