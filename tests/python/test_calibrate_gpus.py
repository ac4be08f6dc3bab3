# SPDX-License-Identifier: Apache-2.0
"""`nixl-connect doctor --calibrate` where there are GPUs, by the stand-in for CUDA's
driver. Transfers are tiny and few, so nothing is said of what comes out."""

import json
from pathlib import Path
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor
from nixl_connect.cli import _rounds
from nixl_connect.cli._costs import NEVER, Sizes
from sides import sent
from stand_in import StandIn

pytest.importorskip("typer")
_calibration: Any = pytest.importorskip("nixl_connect.cli._calibration")

FIGURES = {"start_ns", "range_ns", "gbps_one_thread", "gbps_most"}
TINY = Sizes(
    small=64,
    pages=16,
    large=1 << 16,
    large_of_gpus=1 << 16,
    smallest_streamed=1 << 12,
    largest_streamed=1 << 12,
    smallest_of_engines=1 << 12,
    largest_of_engines=1 << 13,
    seconds=0,
)


@pytest.fixture(autouse=True)
def with_gpus(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIXL_CONNECT_CUDA_DRIVER", stand_in.file)


def calibrated(file: Path) -> dict[str, Any]:
    """What it writes."""
    _calibration.calibrate(file, False, TINY)
    return dict(json.loads(file.read_text()))


def with_kernel(monkeypatch: pytest.MonkeyPatch, runs: bool) -> None:
    """As if the GPUs ran the page kernel, or not, whatever this build has."""
    found = _calibration.gpus()
    for gpu in found["gpus"]:
        gpu["runs_kernel"] = runs
    monkeypatch.setattr(_calibration, "gpus", lambda: found)


def rows_of(printed: str, path: str, remark: str = "") -> int:
    lines = printed.splitlines()
    return sum(line.startswith(path + " ") and remark in line for line in lines)


def test_paths_of_gpus_are_measured(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_kernel(monkeypatch, True)
    costs = calibrated(tmp_path / "costs.json")
    assert list(costs["paths"])[-2:] == ["cuda.peer", "cuda.staged"]
    for figures in (*costs["paths"].values(), costs["slots"]):
        assert set(figures) == FIGURES
        assert all(figure > 0 for figure in figures.values())
    assert costs["engine_range_ns"] > 0
    assert costs["engine_bytes"] in (1 << 12, 1 << 13, NEVER)
    printed, _ = capsys.readouterr()
    assert rows_of(printed, "cuda.peer") == 4
    assert rows_of(printed, "cuda.peer", "copy engines") == 1
    assert rows_of(printed, "cuda.staged") == 7
    assert rows_of(printed, "cuda.staged", "plain memory") == 4
    assert "\nbetween GPUs" in printed
    assert "was not measured" not in printed


def test_connectors_predict_by_what_is_measured(
    tmp_path: Path, stand_in: StandIn
) -> None:
    file = tmp_path / "costs.json"
    costs = calibrated(file)
    has_kernel = _calibration.gpus()["gpus"][0]["runs_kernel"]
    with Connector(costs_file=file) as here, Connector() as there:
        for exposed, path, found in (
            (stand_in.memory(64), "cuda.peer", costs["paths"]["cuda.peer"]),
            (nc.Connector.allocate(64), "cuda.staged", costs["paths"]["cuda.staged"]),
            (bytearray(64), "cuda.staged", costs["slots"]),
        ):
            readable = there.create_readable(Descriptor(exposed))
            plan = here.explain(sent(readable), Descriptor(stand_in.memory(64, 1)))
            [estimate] = [each for each in plan.paths if each.path == path]
            range_ns = found.get("range_ns", 0)
            if not has_kernel:
                range_ns = max(range_ns, costs["engine_range_ns"])
            moving = 64 / found["gbps_one_thread"] + range_ns
            predicted = (found["start_ns"] + moving) / 1e9
            assert estimate.seconds == pytest.approx(predicted, abs=2e-9)


def test_without_a_kernel_ranges_are_those_of_copy_engines(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_kernel(monkeypatch, False)
    costs = calibrated(tmp_path / "costs.json")
    for path in ("cuda.peer", "cuda.staged"):
        assert set(costs["paths"][path]) == FIGURES - {"range_ns"}
    assert set(costs["slots"]) == FIGURES
    assert costs["engine_range_ns"] > 0
    assert "engine_bytes" not in costs
    printed, _ = capsys.readouterr()
    assert rows_of(printed, "cuda.peer", "copy engines") == 0


def test_memory_of_gpus_that_cannot_be_read_keeps_usual_figures(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def read(self: Any) -> float:
        if self.path == "cuda.peer":
            raise nc.Disconnected("the peer is gone")
        return float(seconds(self))

    seconds = _rounds.Work.seconds
    monkeypatch.setattr(_rounds.Work, "seconds", read)
    costs = calibrated(tmp_path / "costs.json")
    assert "cuda.peer" not in costs["paths"]
    assert "cuda.staged" in costs["paths"]
    printed, _ = capsys.readouterr()
    assert "\ncuda.peer was not measured: the peer is gone\n" in printed


def test_gpus_that_fail_keep_usual_figures_and_the_host_is_measured(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _calibration.gpus()
    found["gpus"] = [{**found["gpus"][0], "number": 7}]
    monkeypatch.setattr(_calibration, "gpus", lambda: found)
    costs = calibrated(tmp_path / "costs.json")
    assert list(costs["paths"]) == ["local", "host.map", "host.cma", "ucx"]
    assert not {"slots", "engine_bytes", "engine_range_ns"} & set(costs)
    printed, _ = capsys.readouterr()
    for path in ("cuda.peer", "cuda.staged"):
        assert f"{path} was not measured: CUDA's cuDeviceGet() failed: " in printed
