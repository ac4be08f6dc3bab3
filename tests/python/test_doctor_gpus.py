# SPDX-License-Identifier: Apache-2.0
"""What `nixl-connect doctor` tells of GPUs."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import _native
from sides import SECONDS
from stand_in import StandIn

pytest.importorskip("typer")
_doctor: Any = pytest.importorskip("nixl_connect.cli._doctor")
_gpus: Any = pytest.importorskip("nixl_connect.cli._gpus")

COMMAND = "import sys; from nixl_connect.__main__ import main; sys.exit(main())"


def doctor(*arguments: str, driver: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", COMMAND, "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
        env={**os.environ, "NIXL_CONNECT_CUDA_DRIVER": driver},
    )
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def test_doctor_tells_why_there_is_no_driver() -> None:
    printed = doctor(driver="/there/is/none")
    assert re.search("^CUDA driver +none, /there/is/none: cannot open", printed, re.M)
    assert re.search("^page kernel +(for compute|none, this)", printed, re.M)
    assert "cuda:0" not in printed
    told = json.loads(doctor("--json", driver="libm.so.6"))["gpus"]
    assert told["why_no_driver"].startswith("no CUDA driver: libm.so.6 is older than")
    assert (told["gpus"], told["notes"]) == ([], [])


def test_doctor_tells_of_each_gpu(stand_in: StandIn) -> None:
    printed = doctor(driver=stand_in.file)
    for line in (
        rf"CUDA driver +{re.escape(stand_in.file)}, CUDA 12\.0",
        r"cuda:1 +Stand-in 1, GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1, "
        r"0000:02:00\.0, compute capability 9\.0, 132 multiprocessors",
        r" +reaches the memory of cuda:0; exports mapped memory by file descriptors; "
        r"its events can be waited for by other processes",
    ):
        assert re.search(f"^{line} *$", printed, re.M), line
    told = json.loads(doctor("--json", driver=stand_in.file))["gpus"]
    assert (told["driver_file"], told["driver_version"]) == (stand_in.file, 12000)
    assert [each["reaches"] for each in told["gpus"]] == [[1], [0]]
    assert told["kernel_for"] == _native.report_gpus("")["kernel_for"]
    assert bool(told["kernel_for"]) != bool(told["why_no_kernel"])
    assert {each["runs_kernel"] for each in told["gpus"]} == {bool(told["kernel_for"])}


PATHS_OF_TRIALS = {
    "ordinary": "host.cma",
    "empty()": "host.map",
    "cuda:0 into cuda:1": "cuda.peer",
    "ordinary into cuda:1": "cuda.staged",
    "empty() into cuda:1": "cuda.staged",
    "cuda:0 into the host": "cuda.staged",
}


def test_doctor_moves_memory_of_gpus(stand_in: StandIn) -> None:
    told = json.loads(doctor("--json", driver=stand_in.file))
    taken = {name: plan["path"] for name, plan in told["plans"].items()}
    assert taken == PATHS_OF_TRIALS
    assert {each["failure"] for each in told["reads"].values()} == {""}
    assert told["gpus"]["why_not_tried"] == ""
    assert "so that NIXL agents cannot reach it: UCX " in told["ucx"]


def test_doctor_tells_why_memory_of_gpus_cannot_be_tried(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIXL_CONNECT_CUDA_DRIVER", stand_in.file)
    gpus = found()["gpus"]
    gpus[0]["number"] = gpus[1]["number"] = 7
    trials: list[Any] = []
    with nc.Connector() as connector:
        why = _doctor._try_gpus(connector, gpus, trials)
    assert why.startswith("CUDA's cuDeviceGet() failed: ")
    assert trials == []


def found(**changes: Any) -> dict[str, Any]:
    """Two GPUs that reach each other, and a page kernel that runs on them."""
    gpu = {
        "name": "One",
        "uuid": "GPU-1",
        "pci_id": "0",
        "compute_capability": 90,
        "multiprocessors": 132,
        "exports_files": False,
        "has_event_handles": False,
        "runs_kernel": True,
    }
    gpus = [{**gpu, "number": n, "reaches": [1 - n]} for n in (0, 1)]
    report = {
        "driver_file": "file",
        "driver_version": 13020,
        "why_no_driver": "",
        "gpus": gpus,
        "kernel_for": [80, 90, 100],
        "why_no_kernel": "",
    }
    return {**report, **changes}


def test_nothing_is_noted_where_all_is_well() -> None:
    assert _gpus._notes(found()) == []
    lines = _gpus.lines_of({**found(), "notes": ["note"]})
    assert lines[0] == ("CUDA driver", "file, CUDA 13.2")
    assert lines[2][1] == (
        "reaches the memory of cuda:1; does not export mapped memory; other processes "
        "cannot wait for its events"
    )
    assert lines[-2:] == [
        ("page kernel", "for compute capabilities 8.0, 9.0, 10.0 and newer ones"),
        ("", "note"),
    ]


def test_missing_kernel_is_noted_if_there_is_a_gpu() -> None:
    without = found(kernel_for=[], why_no_kernel="built without nvcc")
    [note] = _gpus._notes(without)
    assert "3 us a page" in note
    assert "NIXL_CONNECT_CUDA_KERNELS=ON" in note
    lines = dict(_gpus.lines_of({**without, "notes": []}))
    assert lines["page kernel"] == "none, built without nvcc"
    assert _gpus._notes({**without, "gpus": []}) == []


def test_gpu_that_the_kernel_does_not_run_on_is_noted() -> None:
    report = found()
    report["gpus"][1]["runs_kernel"] = False
    [note] = _gpus._notes(report)
    assert note.startswith("the page kernel does not run on cuda:1")


def test_gpus_that_do_not_reach_each_other_are_noted() -> None:
    report = found()
    report["gpus"][0]["reaches"] = []
    [note] = _gpus._notes(report)
    assert note.startswith("cuda:0 does not reach all GPUs")


def test_hidden_gpus_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    report = found()
    del report["gpus"][1]
    report["gpus"][0]["reaches"] = []
    assert _gpus._notes(report) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert len(_gpus._notes(report)) == 1
