# SPDX-License-Identifier: Apache-2.0
"""Which path an operation takes, why, and what steers it. What the planner itself
decides is tested with the library."""

import dataclasses
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nixl_connect as nc
import pytest
from lines import deliver_all
from nixl_connect import Connector, Descriptor, PathEstimate, Plan, RdmaMetadata
from sides import SECONDS, memory, run_alone, sent

PATHS = {"local", "host.map", "host.cma", "ucx"}

_EXPOSING = """
import sys
import nixl_connect as nc
connector = nc.Connector()
memories = [bytearray(range(200)), nc.Connector.allocate(200)]
memories[1][:] = memories[0]
exposed = [connector.create_readable(nc.Descriptor(each)) for each in memories]
exposed += [connector.create_writable(nc.Descriptor(bytearray(200)))]
for each in exposed:
    print(each.metadata().model_dump_json(), flush=True)
sys.stdin.read()
"""


@contextmanager
def neighbour() -> Iterator[tuple[RdmaMetadata, RdmaMetadata, RdmaMetadata]]:
    """Metadata of another process: memory, memory that can be mapped, a writable; of
    200 bytes each."""
    with subprocess.Popen(
        [sys.executable, "-c", _EXPOSING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            lines = [process.stdout.readline() for _ in range(3)]
            ordinary, mapped, writable = map(RdmaMetadata.model_validate_json, lines)
            yield ordinary, mapped, writable
        finally:
            process.stdin.close()
            process.wait(SECONDS)


@pytest.fixture(scope="module")
def other() -> Iterator[tuple[RdmaMetadata, RdmaMetadata, RdmaMetadata]]:
    with neighbour() as made:
        yield made


@pytest.fixture(scope="module")
def peer() -> Iterator[Connector]:
    """May take all paths."""
    with Connector() as made:
        yield made


@pytest.fixture
def metadata(connector: Connector) -> Iterator[RdmaMetadata]:
    """Of eight readable bytes of this process."""
    with connector.create_readable(memory()) as readable:
        yield sent(readable)


def estimate(plan: Plan, path: str) -> PathEstimate:
    [found] = [each for each in plan.paths if each.path == path]
    return found


def test_within_a_process_the_path_is_local(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(Descriptor(b"12345678"))
    target = bytearray(8)
    read = peer.begin_read(sent(readable), Descriptor(target))
    assert read.wait(SECONDS)
    plan = read.explain()
    assert (target, read.path, plan.path) == (b"12345678", "local", "local")
    assert (plan.bytes, plan.ranges) == (8, 1)
    assert {each.path for each in plan.paths} == PATHS
    assert plan.paths[0].path == "local"
    for each in plan.paths:
        assert each.is_usable is (each.obstacle == "")
        if each.is_usable:
            assert each.seconds and each.gbps
        else:
            assert (each.seconds, each.gbps) == (None, None)
    assert "empty()" in estimate(plan, "host.map").remedy


def test_between_processes_the_memory_decides(peer: Connector, other: Any) -> None:
    for metadata, path in zip(other, ("host.cma", "host.map", "host.cma"), strict=True):
        plan = peer.explain(metadata, memory(200))
        assert plan.path == path
        assert estimate(plan, "local").obstacle == "the peer is another process"
        slower, faster = estimate(plan, "ucx").seconds, estimate(plan, path).seconds
        assert slower and faster and slower > faster


def test_explaining_moves_nothing(connector: Connector, peer: Connector) -> None:
    readable = connector.create_readable(Descriptor(b"12345678"), readers=1)
    target = bytearray(8)
    plan = peer.explain(sent(readable), Descriptor(target))
    assert plan.path == "local"
    assert target == bytes(8)
    assert readable.status is nc.OperationStatus.INITIALIZED


def test_explaining_takes_pages_and_lists(connector: Connector) -> None:
    with Connector() as fresh:
        readable = connector.create_readable(Descriptor(bytearray(40)))
        pages = sent(readable).pages(4, [0, 2, 7])
        plan = fresh.explain(pages, Descriptor.pages(memory(40), 4, [9, 0, 1]))
        assert (plan.path, plan.bytes, plan.ranges) == ("local", 12, 3)
        both = connector.create_writable([memory(4), memory(8)])
        plan = fresh.explain(sent(both), [memory(4), memory(8)])
        assert (plan.path, plan.bytes, plan.ranges) == ("local", 12, 2)


def test_explaining_refuses_what_beginning_refuses(
    peer: Connector, metadata: RdmaMetadata
) -> None:
    for given, local, error in (
        (metadata, memory(9), ValueError),
        (metadata, b"12345678", TypeError),
        (metadata, [], ValueError),
        (metadata, Descriptor(b"12345678"), ValueError),
        (b"metadata", memory(), TypeError),
        (RdmaMetadata.model_validate_json("{}"), memory(), nc.InvalidArgument),
    ):
        with pytest.raises(error):
            peer.explain(given, local)  # type: ignore[arg-type]


def test_explaining_needs_an_open_connector(metadata: RdmaMetadata) -> None:
    closed = Connector()
    closed.close()
    with pytest.raises(nc.InvalidArgument, match="closed"):
        closed.explain(metadata, memory())


def test_exposing_side_hears_of_the_path(connector: Connector, peer: Connector) -> None:
    readable = connector.create_readable(memory(), readers=1)
    assert readable.explain() == Plan("", 8, 1, ())
    read = peer.begin_read(sent(readable), memory(), forbid=["local"])
    assert read.wait(SECONDS) and readable.wait(SECONDS)
    assert readable.explain() == Plan("host.cma", 8, 1, ())


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"paths": ["host.map", "ucx", "local"]}, "ucx"),
    ({"paths": []}, "local"),
    ({"paths": ("host",)}, "local"),
    ({"require": "host.cma"}, "host.cma"),
    ({"require": "host"}, "local"),
    ({"require": ""}, "local"),
    ({"paths": ["cuda.peer", "host.cma"]}, "host.cma"),
    ({"paths": ["cuda.staged", "host.cma"]}, "host.cma"),
    ({"forbid": ["cuda.peer", "cuda.staged"]}, "local"),
    ({"forbid": ["local"]}, "host.cma"),
    ({"forbid": ["host"]}, "ucx"),
    ({"min_gbps": 5}, "local"),
    ({"paths": ["ucx", "local"], "min_gbps": 5}, "local"),
]


@pytest.mark.parametrize(("options", "path"), OPTIONS)
def test_options_steer(connector: Connector, options: Any, path: str) -> None:
    """Those of an operation and those of a Connector in the same way."""
    source, target = memory(1000), memory(1000)
    readable = connector.create_readable(source)
    writable = connector.create_writable(target, readers=2)
    with Connector() as plain, Connector(**options) as steered:
        for here, named in ((plain, options), (steered, {})):
            read = here.begin_read(sent(readable), memory(1000), **named)
            write = here.begin_write(memory(1000), sent(writable), **named)
            assert here.explain(sent(readable), memory(1000), **named).path == path
            for each in (read, write):
                assert each.wait(SECONDS)
                assert each.path.startswith(path)
                assert each.explain().path == path


def test_constructors_take_the_same_options(
    connector: Connector, peer: Connector, metadata: RdmaMetadata
) -> None:
    read = nc.ReadOperation(peer, metadata, memory(), require="host.cma")
    writable = connector.create_writable(memory())
    write = nc.WriteOperation(peer, memory(), sent(writable), require="host.cma")
    for each in (read, write):
        assert each.wait(SECONDS)
        assert each.path == "host.cma"


def test_operation_overrules_its_connector_but_not_what_that_forbids(
    metadata: RdmaMetadata,
) -> None:
    with Connector(require="ucx", forbid=["host.cma"]) as here:
        assert here.explain(metadata, memory()).path == "ucx"
        assert here.explain(metadata, memory(), require="local").path == "local"
        plan = here.explain(metadata, memory(), require="host.cma", forbid=["ucx"])
        assert plan.path == ""
        assert estimate(plan, "host.cma").obstacle == "the options forbid it"


def test_operation_can_switch_off_what_its_connector_asks_for(
    metadata: RdmaMetadata,
) -> None:
    for asked, off in (
        ({"require": "ucx"}, {"require": ""}),
        ({"paths": ["ucx"]}, {"paths": []}),
        ({"min_gbps": 1e6}, {"min_gbps": 0}),
    ):
        with Connector(**asked) as here:  # type: ignore[arg-type]
            assert here.explain(metadata, memory()).path != "local"
            plan = here.explain(metadata, memory(), **off)  # type: ignore[arg-type]
            assert plan.path == "local"


def test_path_that_is_too_slow_says_by_how_much(
    peer: Connector, metadata: RdmaMetadata
) -> None:
    plan = peer.explain(metadata, memory(), min_gbps=1e6)
    slow = estimate(plan, "local")
    assert slow.gbps and "it would move " in slow.obstacle
    assert slow.obstacle.endswith("GB/s, the options ask for 1e+06")


def test_explaining_a_dead_peer_names_it(peer: Connector) -> None:
    with neighbour() as (metadata, _, _):
        pass
    for _ in range(2):
        with pytest.raises(nc.Disconnected, match="connecting to peer "):
            peer.explain(metadata, memory(200))


def test_operation_that_may_take_no_path_says_why(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(memory(), readers=1)
    target = bytearray(8)
    read = peer.begin_read(sent(readable), Descriptor(target), require="host.map")
    with pytest.raises(nc.Unsupported, match="no path may be taken") as raised:
        read.wait(SECONDS)
    text = str(raised.value)
    assert "host.map: the peer's memory cannot be mapped (expose memory of" in text
    assert "ucx: the options require another one (change `require`)" in text
    assert read.explain().path == ""
    assert readable.status is nc.OperationStatus.INITIALIZED


def test_path_for_other_memory_is_told_to_those_who_ask_for_it(
    peer: Connector, metadata: RdmaMetadata
) -> None:
    for path in ("cuda.peer", "cuda.staged"):
        plan = peer.explain(metadata, memory(), require=path)
        assert plan.path == ""
        assert estimate(plan, path).obstacle == "the memory is the host's"


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("paths", "ucx", TypeError),
        ("paths", [5], TypeError),
        ("paths", {"ucx"}, TypeError),
        ("require", ["ucx"], TypeError),
        ("require", 5, TypeError),
        ("forbid", "ucx", TypeError),
        ("forbid", [None], TypeError),
        ("min_gbps", "5", TypeError),
        ("min_gbps", True, TypeError),
        ("min_gbps", -1, ValueError),
        ("min_gbps", float("nan"), ValueError),
        ("min_gbps", float("inf"), ValueError),
        ("sm", 1, TypeError),
        ("sm", "off", TypeError),
        ("max_blocks", True, TypeError),
        ("max_blocks", 1.5, TypeError),
        ("max_blocks", 0, ValueError),
        ("max_blocks", 1025, ValueError),
    ],
)
def test_options_are_checked_before_anything_begins(
    connector: Connector, option: str, value: Any, error: type[Exception]
) -> None:
    readable = sent(connector.create_readable(memory()))
    writable = sent(connector.create_writable(memory()))
    fresh = Connector()
    for call in (
        lambda: Connector(**{option: value}),
        lambda: fresh.begin_read(readable, memory(), **{option: value}),
        lambda: fresh.begin_write(memory(), writable, **{option: value}),
        lambda: fresh.explain(readable, memory(), **{option: value}),
    ):
        with pytest.raises(error, match=f"^{option} is "):
            call()
    assert fresh._connection is None


@pytest.mark.parametrize(
    "options", [{"paths": ["tcp"]}, {"require": "tcp"}, {"forbid": ["tcp"]}]
)
def test_name_that_is_no_path_is_refused(
    peer: Connector, metadata: RdmaMetadata, options: Any
) -> None:
    [option] = options
    match = f'{option} names the path "tcp"; the paths are local, host.map'
    for call in (
        lambda: peer.begin_read(metadata, memory(), **options),
        lambda: peer.explain(metadata, memory(), **options),
        lambda: Connector(**options),
    ):
        with pytest.raises(nc.InvalidArgument, match=match):
            call()


def test_costs_of_the_machine_decide(metadata: RdmaMetadata, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    file.write_text(json.dumps({"paths": {"local": {"start_ns": 1e9}}}))
    for given in (file, str(file)):
        with Connector(costs_file=given) as here:
            plan = here.explain(metadata, memory())
            assert plan.path == "host.cma"
            assert estimate(plan, "local").seconds >= 1
    environment = {"NIXL_CONNECT_COSTS": str(file)}
    assert run_alone(_PATH_OF_ITS_OWN.format(""), **environment) == "host.cma"
    assert run_alone(_PATH_OF_ITS_OWN.format("costs_file=''"), **environment) == "local"


_PATH_OF_ITS_OWN = """
import nixl_connect as nc
with nc.Connector({}) as connector:
    readable = connector.create_readable(nc.Descriptor(bytearray(8)))
    plan = connector.explain(readable.metadata(), nc.Descriptor(bytearray(8)))
    print(plan.path)
"""


def test_costs_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"^costs_file is the name of a file"):
        Connector(costs_file=5)  # type: ignore[arg-type]
    with pytest.raises(nc.InvalidArgument, match=r"none.*doctor --calibrate"):
        Connector(costs_file=tmp_path / "none").create_readable(memory())


def test_plan_is_a_value(peer: Connector, metadata: RdmaMetadata) -> None:
    plan = peer.explain(metadata, memory())
    assert plan == peer.explain(metadata, memory())
    assert plan == dataclasses.replace(plan)
    assert hash(plan) == hash(dataclasses.replace(plan))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.path = "ucx"  # type: ignore[misc]


def test_plan_travels_as_json(peer: Connector, metadata: RdmaMetadata) -> None:
    plan = peer.explain(metadata, memory())
    plain = plan.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    paths = tuple(PathEstimate(**each) for each in plain.pop("paths"))
    assert Plan(paths=paths, **plain) == plan


def test_text_of_a_plan_has_a_line_for_each_path() -> None:
    plan = Plan(
        "ucx",
        1 << 20,
        2,
        (
            PathEstimate("ucx", 0.000_25, 4.5, "", ""),
            PathEstimate("host.map", None, None, "it is closed", "open it"),
        ),
    )
    assert str(plan).splitlines() == [
        "1048576 bytes in 2 ranges: ucx",
        "  ucx           250.0 us      4.5 GB/s  taken",
        "  host.map  not used: it is closed",
        "            to use it: open it",
    ]


def test_path_is_logged_when_an_operation_begins(
    peer: Connector, metadata: RdmaMetadata, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "nixl_connect"):
        assert peer.begin_read(metadata, memory()).wait(SECONDS)
        deliver_all(peer)
    [line] = [each for each in caplog.messages if each.startswith("reading 8 bytes")]
    assert ": local (" in line
    assert "; host.map: the peer's memory cannot be mapped" in line


def test_slow_path_of_a_host_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        neighbour() as (ordinary, mapped, _),
        caplog.at_level(logging.INFO, "nixl_connect"),
        Connector(forbid=["host.cma"]) as here,
    ):
        for metadata, options, path in (
            (mapped, {}, "host.map"),
            (ordinary, {"require": "ucx"}, "ucx"),
            (ordinary, {}, "ucx"),
            (ordinary, {}, "ucx"),
        ):
            assert here.explain(metadata, memory(200), **options).path == path
            read = here.begin_read(metadata, memory(200), **options)
            assert read.wait(SECONDS)
            assert read.path.startswith(path)
            deliver_all(here)
            told = [each for each in caplog.messages if "goes by ucx" in each]
            assert len(told) == (path == "ucx" and not options)
    assert told[0].startswith(f"peer {read.remote.name} is on this host, but goes by")
    assert "host.map: the peer's memory cannot be mapped (expose" in told[0]
    assert "host.cma: the options forbid it (leave it out" in told[0]
    assert "local" not in told[0]
