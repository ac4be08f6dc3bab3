# SPDX-License-Identifier: Apache-2.0
"""The distribution nixl-connect-dynamo: its wheel, unpacked as pip does, without and
beside genuine dynamo.nixl_connect."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import nixl_connect
import pytest

SHIM = Path(__file__).parents[2] / "python" / "dynamo_shim"
INSIDE = "dynamo/nixl_connect/__init__.py"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=SHIM,
        capture_output=True,
        timeout=60,
        check=True,
    )
    (built,) = folder.iterdir()
    return built


def names(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


def imported(site: Path, code: str) -> str:
    """What `code` prints where `site` is one of Python's site-packages."""
    process = subprocess.run(
        [sys.executable, "-c", f"import site; site.addsitedir({str(site)!r})\n{code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def unpack(wheel: Path, site: Path) -> None:
    with ZipFile(wheel) as archive:
        archive.extractall(site)


def put_genuine(site: Path) -> Path:
    genuine = site / INSIDE
    genuine.parent.mkdir(parents=True)
    genuine.write_text("__all__ = ['genuine']\n")
    (site / "dynamo" / "health.py").write_text("")
    return genuine


WHERE = "import dynamo.nixl_connect as found; print(found.__file__)"


def test_wheel_has_no_file_where_ai_dynamo_has_its_own(wheel: Path) -> None:
    assert not [name for name in names(wheel) if name.startswith("dynamo/")]
    assert sorted(names(wheel)) == [
        "nixl_connect_dynamo.pth",
        f"nixl_connect_dynamo/{INSIDE}",
        "nixl_connect_dynamo/dynamo/nixl_connect/py.typed",
    ]


def test_name_is_ours_without_ai_dynamo(wheel: Path, tmp_path: Path) -> None:
    unpack(wheel, tmp_path)
    code = """if True:
        import dynamo.nixl_connect as found, nixl_connect
        from dynamo.nixl_connect import *
        assert Connector is nixl_connect.Connector
        assert found.logger.name == "dynamo.nixl_connect"
        assert found.SerializedRequest is nixl_connect.RdmaMetadata
        assert found.TimedOut is nixl_connect.TimedOut
        nixl_connect.install_as_dynamo()
        import dynamo.nixl_connect
        assert dynamo.nixl_connect is found
        """
    assert imported(tmp_path, f"{WHERE}\n{code}") == (
        f"{tmp_path / 'nixl_connect_dynamo' / INSIDE}\n"
    )


@pytest.mark.parametrize("is_first", [True, False])
def test_name_is_genuine_beside_ai_dynamo(
    wheel: Path, tmp_path: Path, is_first: bool
) -> None:
    if is_first:
        unpack(wheel, tmp_path)
    genuine = put_genuine(tmp_path)
    if not is_first:
        unpack(wheel, tmp_path)
    assert genuine.read_text() == "__all__ = ['genuine']\n"
    assert imported(tmp_path, f"import dynamo.health; {WHERE}") == f"{genuine}\n"


def test_name_is_ours_beside_ai_dynamo_once_asked_for(
    wheel: Path, tmp_path: Path
) -> None:
    unpack(wheel, tmp_path)
    put_genuine(tmp_path)
    code = "import nixl_connect; nixl_connect.install_as_dynamo(); import dynamo.health"
    printed = imported(tmp_path, f"{code}; {WHERE}")
    assert Path(printed.strip()).is_relative_to(Path(nixl_connect.__file__).parent)


def test_both_files_of_that_name_differ_in_their_first_lines_only() -> None:
    package = Path(nixl_connect.__file__).parent
    ours = (package / "_as_dynamo" / INSIDE).read_text().splitlines()
    shims = (SHIM / "nixl_connect_dynamo" / INSIDE).read_text().splitlines()
    assert ours[2:] == shims[2:]
    assert ours[0].startswith("#") and ours[1].startswith('"""')


def test_version_is_that_of_the_package() -> None:
    project = (SHIM / "pyproject.toml").read_text()
    assert re.findall(r'^version = "(.+)"$', project, re.M) == [
        nixl_connect.__version__
    ]
