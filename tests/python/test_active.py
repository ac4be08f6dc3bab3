# SPDX-License-Identifier: Apache-2.0
"""ActiveOperation with its parts given one by one, as subclasses of others do; and
which descriptors of two sides go together."""

import asyncio
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import OperationKind, OperationStatus
from sides import SECONDS, memory, sent


class Other(nc.ActiveOperation):
    """A subclass of others: waits as they did."""

    async def wait_for_completion(self) -> None:
        await self._wait_for_completion_(min_poll_ms=1)


def other(peer: nc.Connector, readable: nc.PassiveOperation, **changes: Any) -> Other:
    metadata = sent(readable)
    arguments: dict[str, Any] = {
        "remote": nc.Remote(peer, metadata.nixl_metadata),
        "operation_kind": OperationKind.READ,
        "local_descriptors": memory(),
        "remote_descriptors": metadata.to_descriptors(),
        "notification_key": metadata.notification_key,
    }
    return Other(**{**arguments, **changes})


def test_subclass_of_others_works(connector: nc.Connector, peer: nc.Connector) -> None:
    readable = connector.create_readable(memory())
    operation = other(peer, readable)
    asyncio.run(operation.wait_for_completion())
    assert operation._status is OperationStatus.COMPLETE
    assert operation._remote is operation.remote
    assert operation._notification_key == readable._notification_key
    assert repr(operation).startswith("Other(operation_kind=READ, ")


@pytest.mark.parametrize(
    ("parameter", "given", "error"),
    [
        ("remote", None, TypeError),
        ("remote", "b64:abc", TypeError),
        ("operation_kind", 1, TypeError),
        ("operation_kind", OperationKind.UNSPECIFIED, ValueError),
        ("local_descriptors", None, TypeError),
        ("local_descriptors", [memory(), 5], TypeError),
        ("local_descriptors", [], ValueError),
        ("local_descriptors", memory(16), ValueError),
        ("remote_descriptors", None, TypeError),
        ("remote_descriptors", [1], TypeError),
        ("remote_descriptors", [], ValueError),
        ("remote_descriptors", [memory(), memory()], ValueError),
        ("notification_key", None, TypeError),
        ("notification_key", "", ValueError),
    ],
)
def test_active_operation_refuses(
    connector: nc.Connector,
    peer: nc.Connector,
    parameter: str,
    given: Any,
    error: type[Exception],
) -> None:
    readable = connector.create_readable(memory())
    with pytest.raises(error):
        other(peer, readable, **{parameter: given})


@pytest.mark.parametrize(
    ("theirs", "ours", "fits"),
    [
        ([8], [8], True),
        ([8], 8, True),
        (8, [8], True),
        ([8, 16], [8, 16], True),
        ([8, 16], [16, 8], False),
        ([8, 16], [8], False),
        ([8, 16], 24, True),
        ([8, 16], 25, False),
        (24, [8, 16], False),
        (8, 16, False),
        ([8, 8], [8, 8, 8], False),
    ],
)
def test_descriptors_must_match(
    connector: nc.Connector, peer: nc.Connector, theirs: Any, ours: Any, fits: bool
) -> None:
    def described(sizes: Any) -> Any:
        if isinstance(sizes, int):
            return memory(sizes)
        return [memory(each) for each in sizes]

    readable = connector.create_readable(described(theirs))
    if fits:
        assert peer.begin_read(sent(readable), described(ours)).wait(SECONDS)
        return
    with pytest.raises(ValueError):
        peer.begin_read(sent(readable), described(ours))


def test_kinds_of_device_may_differ_between_the_sides() -> None:
    """That is: nothing objects before the transfer, for which there must be a GPU."""
    named = nc.SerializedDescriptor(device="cuda:0", ptr=0x1000, size=8)
    remote = nc._native.Remote.of("b64:abc", "key", OperationKind.READ, [named])
    nc._native.check_matched(memory()._memory, True, remote)
