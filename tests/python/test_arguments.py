# SPDX-License-Identifier: Apache-2.0
"""Numbers, options and lists of the wrong kind: told in the package's own words, by the
call that gets them, before it does anything."""

import math
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from nixl_connect import Connector, Descriptor, RdmaMetadata, as_completed, wait_all
from sides import SECONDS, memory, sent

TAKES_SECONDS: dict[str, Callable[[Connector, RdmaMetadata, Any], object]] = {
    "Connector": lambda _connector, _metadata, value: Connector(timeout=value),
    "create_readable": lambda connector, _metadata, value: connector.create_readable(
        memory(), timeout=value
    ),
    "begin_read": lambda connector, metadata, value: connector.begin_read(
        metadata, memory(), timeout=value
    ),
    "wait_all": lambda _connector, _metadata, value: wait_all([], value),
    "as_completed": lambda _connector, _metadata, value: as_completed([], value),
}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("5", TypeError),
        (True, TypeError),
        ([1], TypeError),
        (math.nan, ValueError),
        (-0.1, ValueError),
    ],
)
@pytest.mark.parametrize("call", TAKES_SECONDS)
def test_timeout_is_a_number_of_seconds(
    peer: Connector, call: str, value: Any, error: type[Exception]
) -> None:
    metadata, fresh = sent(peer.create_readable(memory())), Connector()
    with pytest.raises(error, match=r"^timeout is .*seconds"):
        TAKES_SECONDS[call](fresh, metadata, value)
    assert fresh._connection is None
    with pytest.raises(error, match=r"^timeout is .*seconds"):
        peer.create_readable(memory()).wait(value)


def test_no_time_is_a_deadline_that_has_passed(peer: Connector) -> None:
    readable = peer.create_readable(memory(), timeout=0)
    with pytest.raises(TimeoutError):
        readable.wait(SECONDS)
    assert not peer.create_readable(memory()).wait(0)


@pytest.mark.parametrize(
    ("readers", "error"),
    [
        (1.5, TypeError),
        (True, TypeError),
        ("x", TypeError),
        (0, ValueError),
        (2**40, ValueError),
    ],
)
def test_readers_are_a_whole_number(readers: Any, error: type[Exception]) -> None:
    fresh = Connector()
    for create in (fresh.create_readable, fresh.create_writable):
        with pytest.raises(error, match=r"^readers is "):
            create(memory(), readers=readers)
    assert fresh._connection is None


@pytest.mark.parametrize(
    "given", [array("b"), (memory(),), (4096, 8), [array("b")], [memory(), b"1"]]
)
def test_memory_without_descriptor_is_told_how_to_get_one(given: Any) -> None:
    with pytest.raises(TypeError, match=r"Descriptor.*; wrap memory: Descriptor\("):
        Connector().create_readable(given)


@pytest.mark.parametrize(
    ("page_bytes", "error"),
    [(1.5, TypeError), (None, TypeError), (-1, ValueError), (0, ValueError)],
)
def test_page_bytes_are_a_whole_number(
    peer: Connector, page_bytes: Any, error: type[Exception]
) -> None:
    metadata = sent(peer.create_readable(memory()))
    with pytest.raises(error, match=r"^page_bytes is "):
        Descriptor.pages(memory(), page_bytes, [0])
    with pytest.raises(error, match=r"^page_bytes is "):
        metadata.pages(page_bytes, [0])


@pytest.mark.parametrize(
    ("indices", "error"),
    [([0.5], TypeError), (None, TypeError), ({1}, TypeError), ([2**70], IndexError)],
)
def test_indices_are_whole_numbers(indices: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^indices are |beyond 64 bits"):
        Descriptor.pages(memory(), 4, indices)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("network", "off", TypeError),
        ("network", 0, TypeError),
        ("net_devices", ["eth0"], TypeError),
        ("ucx_directory", 5, TypeError),
        ("cuda_driver", 5, TypeError),
        ("spin", "1", TypeError),
        ("spin", 1.5, ValueError),
        ("drain_timeout", math.inf, ValueError),
        ("copy_threads", 1.5, TypeError),
        ("copy_threads", 0, ValueError),
        ("copy_threads", 2**40, ValueError),
        ("advise_huge_pages", "off", TypeError),
        ("allow_ptrace", 1, TypeError),
        ("wait_for_streams", 1, TypeError),
        ("forbid", "host.cma", TypeError),
        ("forbid", [5], TypeError),
    ],
)
def test_option_of_a_connector_is_checked_when_it_is_made(
    option: str, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"^{option} is "):
        Connector(**{option: value})


@pytest.mark.parametrize("take", [wait_all, as_completed])
def test_only_operations_are_waited_for(
    peer: Connector, take: Callable[[Any], object]
) -> None:
    readable = peer.create_readable(memory())
    for given, text in (
        (readable, "brackets"),
        (5, "not 5"),
        ([readable, "x"], "^'x' is among"),
    ):
        with pytest.raises(TypeError, match=text):
            take(given)


def test_callback_can_be_called(peer: Connector) -> None:
    with pytest.raises(TypeError, match="5 cannot"):
        peer.create_readable(memory()).add_done_callback(5)  # type: ignore[arg-type]


def test_metadata_of_nothing_is_told_as_such() -> None:
    with pytest.raises(RuntimeError, match="has no operation_kind"):
        Connector().begin_read(RdmaMetadata.model_validate_json("{}"), memory())


@pytest.mark.parametrize(
    ("given", "how"),
    [
        ("{}", r"str; .* RdmaMetadata\.model_validate_json\(text\)"),
        (b"{}", r"bytes; .* RdmaMetadata\.model_validate_json\(text\)"),
        ({}, r"dict; .*model_validate\(.*, or .*\.model_validate_json\(text\)"),
        (5, "int$"),
    ],
)
def test_what_is_no_metadata_is_told_how_to_make_some(
    peer: Connector, given: Any, how: str
) -> None:
    for begin in (
        lambda: peer.begin_read(given, memory()),
        lambda: peer.begin_write(memory(), given),
        lambda: peer.explain(given, memory()),
        lambda: peer.begin_view(given),
    ):
        with pytest.raises(
            TypeError, match=f"^remote_metadata is RdmaMetadata, not {how}"
        ):
            begin()
