# SPDX-License-Identifier: Apache-2.0
"""`nixl-connect doctor`: what it prints, and what it measures and keeps. Transfers are
tiny and few here, so nothing is said of what comes out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector
from nixl_connect.cli import _rounds
from nixl_connect.cli._costs import (
    NEVER,
    PathTimes,
    Sizes,
    engine_bytes,
    replacing,
    streaming_bytes,
    usual_file,
)
from nixl_connect.cli._failure import Failure
from nixl_connect.cli._neighbour import Memory, Neighbour
from sides import SECONDS, memory, run_alone, sent

pytest.importorskip("typer")
_trials: Any = pytest.importorskip("nixl_connect.cli._trials")
_calibration: Any = pytest.importorskip("nixl_connect.cli._calibration")

PATHS = {"local", "host.map", "host.cma", "ucx"}
TINY = Sizes(
    small=64,
    pages=16,
    large=1 << 16,
    smallest_streamed=1 << 12,
    largest_streamed=1 << 13,
    seconds=0,
)
SIZE_OF_TRIALS = 1 << 20
COMMAND = "import sys; from nixl_connect.__main__ import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def without_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine has."""
    monkeypatch.setenv("NIXL_CONNECT_CUDA_DRIVER", "/dev/null")


def doctor(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = subprocess.run(
        [sys.executable, "-c", COMMAND, "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        check=False,
        env={**os.environ, **environment},
    )
    return process.returncode, process.stdout, process.stderr


def test_doctor_tells_what_there_is_and_which_paths_work() -> None:
    code, printed, complaints = doctor()
    assert (code, complaints) == (0, "")
    for line in (
        rf"nixl-connect +{re.escape(nc.__version__)} *",
        rf"cores +{len(os.sched_getaffinity(0))} *",
        r"Yama's ptrace_scope +(not there|\d, .*\w) *",
        r"costs of the paths +usual figures *",
        r"ucx \d+\.\d+\.\d+ from /.*",
        r"1048576 bytes in 1 range: host\.cma",
        r"1048576 bytes in 1 range: host\.map",
        r"  host\.map +\d.* GB/s  taken",
        r" +to use it: expose memory of .*empty\(\)\)",
        r"  done, in [\d.,]+ us",
    ):
        assert re.search(f"^{line}$", printed, re.M), line


def test_doctor_tells_the_same_as_json() -> None:
    code, printed, complaints = doctor("--json", NIXL_CONNECT_FORBID="host.cma")
    assert (code, complaints) == (0, "")
    told = json.loads(printed)
    assert told["version"] == nc.__version__
    assert told["environment"]["NIXL_CONNECT_FORBID"] == "host.cma"
    assert told["costs_file"] is None
    assert told["ucx"].startswith("ucx ")
    plans = told["plans"]
    taken = {kind: plan["path"] for kind, plan in plans.items()}
    assert taken == {"ordinary": "ucx", "empty()": "host.map"}
    for plan in plans.values():
        assert {each["path"] for each in plan["paths"]} == PATHS
        [forbidden] = [each for each in plan["paths"] if each["path"] == "host.cma"]
        assert forbidden["obstacle"] == "the options forbid it"
    for read in told["reads"].values():
        assert (read["seconds"] > 0, read["failure"]) == (True, "")
    assert set(told["reads"]) == set(plans)


def test_doctor_tells_of_reads_that_fail() -> None:
    code, printed, complaints = doctor("--json", NIXL_CONNECT_REQUIRE="host.map")
    assert (code, complaints) == (0, "")
    reads = json.loads(printed)["reads"]
    assert reads["empty()"]["failure"] == ""
    assert reads["ordinary"]["seconds"] is None
    assert "no path may be taken" in reads["ordinary"]["failure"]


def test_bytes_that_are_not_those_that_were_sent_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = b"\2" * SIZE_OF_TRIALS
    monkeypatch.setattr(_trials._HostTarget, "content", lambda _: wrong)
    with Connector() as connector:
        trials = _trials.trials_of_host(connector)
    for trial in trials:
        assert "  failed: other bytes have come" in str(trial)


def test_doctor_names_the_costs_in_use(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text("{}")
    code, printed, _ = doctor(NIXL_CONNECT_COSTS=str(file))
    assert code == 0
    assert re.search(rf"^costs of the paths +{re.escape(str(file))} *$", printed, re.M)
    file.write_text("5")
    code, _, complaints = doctor(NIXL_CONNECT_COSTS=str(file))
    assert code == 1
    assert complaints.startswith(f"nixl-connect: {file}: the costs of the paths: not a")
    assert "nixl-connect doctor --calibrate" in complaints


def test_output_is_for_calibrating() -> None:
    code, printed, complaints = doctor("--output", "file")
    assert (code, printed) == (2, "")
    assert "--output goes with --calibrate" in complaints


def test_exposing_process_tells_why_it_fails() -> None:
    with (
        pytest.raises(Failure, match=r'exposing process failed: require .*"tcp"'),
        Neighbour({"require": "tcp"}, [Memory(1)]) as neighbour,
    ):
        neighbour.metadata()


def check_costs(file: Path) -> dict[str, Any]:
    """The content of a file that must be what a Connector predicts by."""
    costs = json.loads(file.read_text())
    with Connector(costs_file=file) as here, Connector() as there:
        readable = there.create_readable(memory(64))
        for each in here.explain(sent(readable), memory(64)).paths:
            if each.is_usable:
                found = costs["paths"][each.path]
                moving = 64 / found["gbps_one_thread"] + found["range_ns"]
                predicted = (found["start_ns"] + moving) / 1e9
                assert each.seconds == pytest.approx(predicted, abs=2e-9)
    assert list(costs["paths"]) == ["local", "host.map", "host.cma", "ucx"]
    for found in costs["paths"].values():
        assert set(found) == {"start_ns", "range_ns", "gbps_one_thread", "gbps_most"}
        assert all(figure > 0 for figure in found.values())
    assert costs["streaming_bytes"] in (1 << 12, 1 << 13, NEVER)
    assert (costs["version"], costs["cores"]) == (
        nc.__version__,
        len(os.sched_getaffinity(0)),
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", costs["made"])
    return dict(costs)


def test_calibrating_writes_what_connectors_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NIXL_CONNECT_FORBID", "host")  # which does not matter to it
    file = tmp_path / "deep" / "folder" / "costs.json"
    _calibration.calibrate(file, False, TINY)
    monkeypatch.delenv("NIXL_CONNECT_FORBID")
    check_costs(file)
    assert os.listdir(file.parent) == ["costs.json"]
    printed, complaints = capsys.readouterr()
    assert complaints == ""
    for path in PATHS:
        rows = re.findall(
            rf"^{re.escape(path)} .* [\d.,]+ us +[\d.,]+ us +\d+% +\d+\.\d\d *$",
            printed,
            re.M,
        )
        assert len(rows) == 4, path
    assert f"written to {file}; NIXL_CONNECT_COSTS={file} has" in printed


def test_calibrating_shows_what_was_predicted_by_the_file_it_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"paths": {"ucx": {"start_ns": 5e9}}}))
    _calibration.calibrate(file, False, TINY)
    printed, _ = capsys.readouterr()
    assert len(re.findall(r"^ucx .* 5,000,\d{3}\.\d us ", printed, re.M)) == 4
    assert len(re.findall(r"^local .* 5,000,\d{3}\.\d us ", printed, re.M)) == 0
    check_costs(file)


def test_calibrating_prints_json(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "costs.json"
    file.write_text("no costs at all")
    monkeypatch.setenv("NIXL_CONNECT_COSTS", str(file))
    _calibration.calibrate(None, True, TINY)
    monkeypatch.setenv("NIXL_CONNECT_COSTS", "")
    told = json.loads(capsys.readouterr().out)
    assert told.pop("file") == str(file)
    transfers = told.pop("transfers")
    assert {each["path"] for each in transfers} == PATHS
    assert all(each["seconds"] > 0 <= each["spread"] for each in transfers)
    assert told == check_costs(file)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file/costs.json", "File exists (file)"),
        ("folder", "it is a directory"),
        ("/proc/none/costs.json", "No such file or directory (/proc/none)"),
    ],
)
def test_file_that_cannot_be_written_is_told_before_anything_is_measured(
    tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    reason = reason.replace("(file)", f"({tmp_path / 'file'})")
    file = tmp_path / place
    code, printed, complaints = doctor("--calibrate", "--output", str(file))
    assert (code, printed) == (1, "")
    assert complaints == f"nixl-connect: cannot write {file}: {reason}\n"


def test_file_is_as_before_if_measuring_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert len(os.listdir(tmp_path)) == 2
        raise nc.Disconnected("the peer is gone")

    file = tmp_path / "costs.json"
    file.write_text("{}")
    monkeypatch.setattr(_calibration, "measure", fail)
    with pytest.raises(nc.Disconnected):
        _calibration.calibrate(file, False, TINY)
    assert os.listdir(tmp_path) == ["costs.json"]
    assert file.read_text() == "{}"


def test_file_is_replaced_at_once(tmp_path: Path) -> None:
    file, link = tmp_path / "costs.json", tmp_path / "link.json"
    file.write_text("old")
    link.symlink_to(file)
    with replacing(link) as stream:
        stream.write("new")
        stream.flush()
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert link.is_symlink()


def test_usual_file_is_the_one_that_connectors_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = json.dumps({"paths": {"local": {"start_ns": 1e9}}})
    program = """
    import os
    del os.environ["NIXL_CONNECT_COSTS"]
    import nixl_connect as nc
    with nc.Connector() as connector:
        readable = connector.create_readable(nc.Descriptor(bytearray(8)))
        plan = connector.explain(readable.metadata(), nc.Descriptor(bytearray(8)))
        print(plan.path)
    """
    for number, name in enumerate(("XDG_CONFIG_HOME", "HOME")):
        environment = {"XDG_CONFIG_HOME": "", name: str(tmp_path / str(number))}
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        assert run_alone(program) == "local"
        usual_file().parent.mkdir(parents=True)
        usual_file().write_text(slow)
        assert run_alone(program) == "host.cma"
    monkeypatch.delenv("HOME")
    with pytest.raises(Failure, match="--output"):
        usual_file()
    monkeypatch.setenv("NIXL_CONNECT_COSTS", "/here")
    assert usual_file() == Path("/here")


def test_costs_are_those_by_which_the_times_would_have_been_predicted() -> None:
    sizes = Sizes(small=4096, pages=4096)
    start, each, gbps, most, size = 2500, 1500, 6.0, 40.0, 1 << 16
    times = PathTimes(
        small=(start + each + 4096 / gbps) / 1e9,
        pages=(start + 4096 * (each + 4096 / gbps)) / 1e9,
        large_one_thread=(start + each + size / gbps) / 1e9,
        large=(start + each + 4096 / gbps + (size - 4096) / most) / 1e9,
        large_bytes=size,
    )
    costs = times.costs(sizes)
    assert costs == {
        "start_ns": start,
        "range_ns": each,
        "gbps_one_thread": pytest.approx(gbps),
        "gbps_most": pytest.approx(most),
    }


def test_costs_are_above_zero_whatever_was_measured() -> None:
    times = PathTimes(
        small=1, pages=0.5, large_one_thread=1e-9, large=1, large_bytes=1 << 26
    )
    costs = times.costs(Sizes())
    assert costs["range_ns"] == 1
    assert costs["gbps_most"] == costs["gbps_one_thread"] > 0
    assert all(each > 0 for each in costs.values())


@pytest.mark.parametrize(
    ("streamed", "expected"),
    [
        ({1: 2, 2: 2, 4: 2}, NEVER),
        ({1: 0.9, 2: 0.9, 4: 0.9}, 1),
        ({1: 1, 2: 0.9, 4: 0.9}, 2),
        ({1: 0.9, 2: 0.97, 4: 0.9}, 4),
        ({1: 0.9, 2: 0.9, 4: 0.97}, NEVER),
    ],
)
def test_copies_go_around_the_caches_where_that_is_faster_for_all_larger_ones(
    streamed: dict[int, float], expected: int
) -> None:
    assert streaming_bytes(dict.fromkeys(streamed, 1.0), streamed) == expected


@pytest.mark.parametrize(
    ("engines", "expected"),
    [
        ({1: 9, 2: 1.3, 4: 1.3}, NEVER),
        ({1: 9, 2: 1.3, 4: 1.2}, 4),
        ({1: 1.2, 2: 1.3, 4: 0.9}, 4),
        ({1: 1.2, 2: 1.2, 4: 1.2}, 1),
    ],
)
def test_copy_engines_take_over_where_they_come_to_four_fifths_for_all_larger_ranges(
    engines: dict[int, float], expected: int
) -> None:
    assert engine_bytes(dict.fromkeys(engines, 1.0), engines) == expected


def test_timings_are_medians_with_how_far_the_quartiles_are_apart() -> None:
    class Work:
        def __init__(self, *times: float) -> None:
            self._times = iter([100.0, *times])  # the first one does not count

        def seconds(self) -> float:
            return next(self._times)

    works: Any = [Work(2, 2, 2), Work(8, 2, 4)]
    steady, noisy = _rounds.timings_of(works, 0)
    assert (steady.seconds, steady.spread) == (2, 0)
    assert (noisy.seconds, noisy.spread) == (4, 0.75)
