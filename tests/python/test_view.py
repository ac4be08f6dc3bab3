# SPDX-License-Identifier: Apache-2.0
"""Views: a peer's memory where it is, for reading only, while the peer waits."""

import asyncio
import gc

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, OperationStatus
from sides import SECONDS, memory, sent


def test_shows_the_memory_itself_and_not_a_copy(
    connector: Connector, peer: Connector
) -> None:
    async def main() -> None:
        numpy = pytest.importorskip("numpy")
        source = nc.empty((3, 1000), "float32")
        source[:] = 2
        readable = connector.create_readable(Descriptor(source), readers=1)
        async with peer.view(sent(readable)) as view:
            array = view.array("float32", (3, 1000))
            assert (array == 2).all()
            source[1, 5] = 9
            assert array[1, 5] == 9
            assert not array.flags.writeable
            assert view.status is OperationStatus.COMPLETE
            assert not readable.done()
            assert numpy.shares_memory(array, view.array())
        await readable.wait_for_completion()

    asyncio.run(asyncio.wait_for(main(), SECONDS))


def test_its_owner_waits_until_it_is_closed(
    connector: Connector, peer: Connector
) -> None:
    async def main() -> None:
        readable = connector.create_readable(Descriptor(Connector.allocate(4096)))
        view = await peer.view(sent(readable))
        assert not view.is_revoked
        readable.cancel()
        ending = asyncio.ensure_future(readable.aclose())
        done, _ = await asyncio.wait([ending], timeout=0.5)
        assert not done
        assert view.is_revoked
        view.close()
        view.close()
        await asyncio.wait_for(ending, SECONDS)

    asyncio.run(asyncio.wait_for(main(), SECONDS))


def test_is_open_as_long_as_an_array_of_it_is_held(
    connector: Connector, peer: Connector
) -> None:
    async def main() -> None:
        source = Connector.allocate(4096)
        source[:3] = b"abc"
        readable = connector.create_readable(Descriptor(source), readers=1)
        kept = (await peer.view(sent(readable))).memory()
        gc.collect()
        assert bytes(kept[:4]) == b"abc\0"
        assert kept.readonly
        assert not readable.done()
        del kept
        gc.collect()
        await asyncio.wait_for(readable.wait_for_completion(), SECONDS)

    asyncio.run(asyncio.wait_for(main(), SECONDS))


def test_has_a_memory_for_each_descriptor(
    connector: Connector, peer: Connector
) -> None:
    source = Connector.allocate(300)
    source[:] = bytes(range(256)) + bytes(44)
    parts = [
        Descriptor(source[:10]),
        Descriptor(source[20:20]),
        Descriptor(source[90:]),
    ]
    readable = connector.create_readable(parts)
    with peer.begin_view(sent(readable)) as view:
        assert view.wait(SECONDS)
        assert len(view) == 3
        assert bytes(view.memory()) == bytes(range(10))
        assert bytes(view.memory(1)) == b""
        assert bytes(view.memory(-1)) == bytes(source[90:])
        for index in (3, -4):
            with pytest.raises(IndexError, match="3 descriptors,"):
                view.memory(index)
        with pytest.raises(ValueError, match="size"):
            view.array("float32", index=0)


def test_ordinary_memory_has_none_and_can_still_be_read(
    connector: Connector, peer: Connector
) -> None:
    readable = connector.create_readable(memory())
    view = peer.begin_view(sent(readable))
    with pytest.raises(nc.Unsupported, match="allocate"):
        view.wait(SECONDS)
    with pytest.raises(nc.InvalidArgument, match=r"the view failed: .*allocate"):
        view.memory()
    assert view and view.is_closed
    assert view.explain().paths == ()
    read = peer.begin_read(sent(readable), memory())
    assert read.wait(SECONDS)


def test_writables_have_none(connector: Connector, peer: Connector) -> None:
    writable = connector.create_writable(Descriptor(Connector.allocate(8)))
    with pytest.raises(nc.InvalidArgument, match="WRITE"):
        peer.begin_view(sent(writable))
    with pytest.raises(TypeError):
        peer.begin_view(b"no metadata")  # type: ignore[arg-type]


def test_goes_with_its_connector(connector: Connector) -> None:
    source = Connector.allocate(8)
    readable = connector.create_readable(Descriptor(source), readers=1)
    with Connector() as viewer:
        view = viewer.begin_view(sent(readable))
        assert view.wait(SECONDS)
        kept = view.memory()
    assert readable.wait(SECONDS)
    assert len(bytes(kept)) == 8


def test_shows_nothing_once_it_is_closed(connector: Connector, peer: Connector) -> None:
    source = Connector.allocate(8)
    source[:] = b"12345678"
    readable = connector.create_readable(Descriptor(source))
    for end in (nc.View.close, nc.View.cancel):
        view = peer.begin_view(sent(readable))
        assert view.wait(SECONDS)
        assert not view.is_closed
        plan = view.explain()
        assert (plan.path, plan.bytes, plan.ranges) == ("host.map", 8, 0)
        assert str(plan) == "8 bytes in 0 ranges: host.map"
        kept = view.memory()
        with pytest.raises(IndexError, match="1 descriptor,"):
            view.memory(1)
        end(view)
        assert view and view.is_closed
        for use in (view.memory, view.array, lambda v=view: len(v)):
            with pytest.raises(nc.InvalidArgument, match="view is closed"):
                use()
        assert view.status is OperationStatus.COMPLETE
        assert len(bytes(kept)) == 8


def test_revocation_can_be_awaited(connector: Connector, peer: Connector) -> None:
    async def main() -> None:
        readable = connector.create_readable(Descriptor(Connector.allocate(4096)))
        async with peer.view(sent(readable)) as view:
            waits = [
                asyncio.ensure_future(view.wait_for_revocation()) for _ in range(2)
            ]
            done, _ = await asyncio.wait(waits, timeout=0.05)
            assert not done
            readable.cancel()
            await asyncio.gather(*waits)
            assert view.is_revoked
            await view.wait_for_revocation()

        other = connector.create_readable(Descriptor(Connector.allocate(4096)))
        async with peer.view(sent(other)) as view:
            wait = asyncio.ensure_future(view.wait_for_revocation())
            await asyncio.sleep(0)
            view.cancel()
            await wait

    asyncio.run(asyncio.wait_for(main(), SECONDS))


@pytest.mark.filterwarnings("error")
def test_is_opened_by_await_or_by_async_with(
    connector: Connector, peer: Connector
) -> None:
    async def main() -> None:
        readable = connector.create_readable(Descriptor(Connector.allocate(8)))
        metadata = sent(readable)
        async with peer.view(metadata) as view:
            assert len(view) == 1
        assert view.is_closed
        async with await peer.view(metadata) as view:
            assert len(view) == 1
        for wrap in (asyncio.ensure_future, asyncio.create_task, asyncio.gather):
            opened = await wrap(peer.view(metadata))  # type: ignore[operator]
            for each in opened if isinstance(opened, list) else [opened]:
                each.close()
        peer.view(metadata)  # begins nothing
        with pytest.raises(TypeError):
            async with peer.view(b"no metadata"):  # type: ignore[arg-type]
                pass
        gc.collect()

    asyncio.run(asyncio.wait_for(main(), SECONDS))
