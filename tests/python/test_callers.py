# SPDX-License-Identifier: Apache-2.0
"""What real callers do, re-created in small (P1 to P7 of the list of their patterns).
Where they hold tensors, the same is tried with numpy's arrays, which are always
there."""

import asyncio
import concurrent.futures
import json
import pickle
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from types import ModuleType
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, OperationStatus, RdmaMetadata
from sides import SECONDS, run_alone, sent

COMPLETE, CANCELLED = OperationStatus.COMPLETE, OperationStatus.CANCELLED


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, SECONDS))


def are_equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and bool((one == other).all())


async def receive(connector: Connector, request: str, arrays: ModuleType) -> Any:
    """What a receiver does with the sender's JSON, and without a pool."""
    body = json.loads(request)
    tensor = arrays.empty(tuple(body["shape"]), dtype=getattr(arrays, body["dtype"]))
    metadata = RdmaMetadata.model_validate(body["metadata"])
    read = await connector.begin_read(metadata, Descriptor(tensor))
    with read:
        await read.wait_for_completion()
    assert read.status is COMPLETE
    return tensor


def test_p1_sender_awaits_its_embeddings_later(
    connector: Connector, peer: Connector, arrays: ModuleType
) -> None:
    """P1: the coroutines of the waits are made at once, keep the operations alive, and
    are awaited one after the other. The same tensor goes out again and again."""
    cached = [
        arrays.arange(1000 * k, 1000 * k + 1000, dtype=arrays.float32).reshape(50, 20)
        for k in range(4)
    ]
    waits: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()

    async def send(tensor: Any) -> str:
        readable = await connector.create_readable(Descriptor(tensor))
        waits.put_nowait(readable.wait_for_completion())
        metadata = readable.metadata().model_dump()
        shape = list(tensor.shape)
        return json.dumps({"metadata": metadata, "shape": shape, "dtype": "float32"})

    async def serve() -> None:
        requests = [await send(tensor) for tensor in cached * 3]
        received = await asyncio.gather(
            *[receive(peer, request, arrays) for request in requests]
        )
        for got, tensor in zip(received, cached * 3, strict=True):
            assert are_equal(got, tensor)
        while not waits.empty():
            await waits.get_nowait()

    run(serve())


def test_p2_receiver_fills_a_pool(
    connector: Connector, peer: Connector, arrays: ModuleType
) -> None:
    """P2: a constructor without a loop opens the Connection in a loop of a thread of
    its own. Buffers are registered once, and each request sets their size."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        opened = pool.submit(asyncio.run, peer._create_connection())
        connection = opened.result(SECONDS)
    assert isinstance(connection, nc.Connection)
    assert asyncio.run(peer._create_connection()) is connection
    free = []
    for _ in range(3):
        lent = Descriptor(arrays.zeros(4000, dtype=arrays.int8))
        lent.register_with_connector(connection)
        free.append(lent)
    whole = free[0].size

    async def serve(length: int) -> None:
        tensor = arrays.arange(length, dtype=arrays.float32).reshape(2, -1)
        readable = await connector.create_readable(Descriptor(tensor))
        lent = free.pop()
        lent._data_size = tensor.nbytes
        view = lent._data_ref[: tensor.nbytes].view(arrays.float32)
        with await peer.begin_read(sent(readable), lent) as read:
            await read.wait_for_completion()
        assert are_equal(view.reshape(tensor.shape), tensor)
        lent._data_size = whole
        free.append(lent)
        await readable.wait_for_completion()

    async def serve_all() -> None:
        for length in (2, 1000, 500):
            await asyncio.gather(*[serve(length) for _ in range(3)])

    run(serve_all())
    assert all(each.is_registered and each.size == whole for each in free)


def test_p3_media_are_read_without_an_operation(
    connector: Connector, peer: Connector, arrays: ModuleType
) -> None:
    """P3: metadata is built by hand, with a key that nobody knows. Several read the
    same, and nobody hears of it."""
    image = arrays.arange(3 * 8 * 8, dtype=arrays.uint8).reshape(3, 8, 8)
    exposed = connector.create_readable(Descriptor(image), readers=1_000_000)
    frontend = {
        "nixl_metadata": exposed.metadata().nixl_metadata,
        "nixl_descriptor": {
            "addr": exposed.metadata().descriptors[0].ptr,
            "size": image.nbytes,
            "mem_type": "Dram",
            "device_id": 0,
        },
        "shape": [3, 8, 8],
    }

    async def load() -> Any:
        await peer.initialize()
        item: Any = frontend["nixl_descriptor"]
        metadata = RdmaMetadata(
            descriptors=[
                nc.SerializedDescriptor(
                    device="cpu", ptr=item["addr"], size=item["size"]
                )
            ],
            nixl_metadata=frontend["nixl_metadata"],
            notification_key=f"media-{time.monotonic_ns()}",
            operation_kind=int(nc.OperationKind.READ),
        )
        target = arrays.empty(tuple(frontend["shape"]), dtype=arrays.uint8)
        read = await peer.begin_read(metadata, Descriptor(target))
        await read.wait_for_completion()
        return target

    async def load_all() -> None:
        for image_read in await asyncio.gather(*[load() for _ in range(8)]):
            assert are_equal(image_read, image)

    run(load_all())
    assert exposed.status is not COMPLETE


def test_p4_keyword_arguments_are_pickled(
    connector: Connector, peer: Connector, arrays: ModuleType
) -> None:
    """P4: operations are kept, awaited all at once, and left by a direct __exit__. The
    receiver has a pool for small ones, and reads several at once."""
    kwargs = [{"name": "x" * size, "size": size} for size in (10, 1000, 100_000)]
    limit = 50_000
    pool = [Descriptor(arrays.zeros(limit, dtype=arrays.uint8)) for _ in range(2)]

    async def send() -> list[nc.ReadableOperation]:
        kept = []
        for each in kwargs:
            raw = bytearray(pickle.dumps(each))
            tensor = arrays.frombuffer(raw, dtype=arrays.uint8)
            kept.append(await connector.create_readable(Descriptor(tensor)))
        return kept

    async def read_one(metadata: RdmaMetadata) -> Any:
        size = sum(each.size for each in metadata.descriptors)
        lent = pool.pop() if size <= limit else None
        target = lent or Descriptor(arrays.empty(size, dtype=arrays.uint8))
        target._data_size = size
        with await peer.begin_read(metadata, target) as read:
            await read.wait_for_completion()
        got = pickle.loads(bytes(target._data_ref[:size].tolist()))
        if lent is not None:
            pool.append(lent)
        return got

    async def serve() -> None:
        kept = await send()
        received = await asyncio.gather(*[read_one(sent(each)) for each in kept])
        assert received == kwargs
        waits = [each.wait_for_completion() for each in kept]
        await asyncio.wait_for(asyncio.gather(*waits), 60)
        for each in kept:
            each.__exit__(None, None, None)
            assert each.status is COMPLETE

    run(serve())


class LoopThread:
    """P5: synchronous code over an event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        asked = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return asked.result(SECONDS)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()


class Store:
    """P5: what was put waits to be got, at most for a while; a new one under the same
    key takes the place of the old one."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self.pending: dict[str, tuple[asyncio.Task[None], Any, float]] = {}

    async def put(self, key: str, tensors: list[Any], seconds: float) -> str:
        descriptors = [Descriptor(each) for each in tensors]
        given = descriptors[0] if len(descriptors) == 1 else descriptors
        readable = await self._connector.create_readable(given)
        self.drop(key)
        wait = asyncio.create_task(readable.wait_for_completion())
        self.pending[key] = wait, readable, time.monotonic() + seconds
        return readable.metadata().model_dump_json()

    def drop(self, key: str) -> None:
        wait, *_ = self.pending.pop(key, (None,))
        if wait is not None:
            wait.cancel()

    async def sweep(self) -> None:
        for key, (wait, _, end) in list(self.pending.items()):
            if wait.done() or time.monotonic() > end:
                self.drop(key)


@pytest.fixture
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.stop()


def test_p5_store_puts_and_gets_in_a_thread(
    connector: Connector,
    peer: Connector,
    arrays: ModuleType,
    loop_thread: LoopThread,
) -> None:
    """P5: whatever goes wrong, get gives None."""
    store = Store(connector)

    async def get(text: str, count: int) -> list[Any] | None:
        targets = [arrays.zeros(100, dtype=arrays.uint8) for _ in range(count)]
        descriptors = [Descriptor(each) for each in targets]
        given = descriptors[0] if count == 1 else descriptors
        metadata = RdmaMetadata.model_validate_json(text)
        try:
            with await peer.begin_read(metadata, given) as read:
                await read.wait_for_completion()
        except Exception:
            return None
        return targets

    async def until_gone(text: str, count: int) -> bool:
        """What is dropped is out of reach soon, and without the collector."""
        while await get(text, count) is not None:
            await asyncio.sleep(0)
        return True

    def tensors(count: int, value: int) -> list[Any]:
        return [
            arrays.arange(value, value + 100, dtype=arrays.uint8) for _ in range(count)
        ]

    for count in (1, 3):
        first = loop_thread.call(store.put("key", tensors(count, 1), SECONDS))
        second = loop_thread.call(store.put("key", tensors(count, 2), SECONDS))
        got = loop_thread.call(get(second, count))
        assert all(map(are_equal, got, tensors(count, 2)))
        assert loop_thread.call(get(second, count + 1)) is None
        assert loop_thread.call(until_gone(first, count))
    late = loop_thread.call(store.put("late", tensors(1, 3), -1))
    loop_thread.call(store.sweep())
    assert "late" not in store.pending
    assert loop_thread.call(until_gone(late, 1))


def test_p6_generator_yields_the_metadata(
    connector: Connector, peer: Connector, arrays: ModuleType
) -> None:
    """P6: the exposing side waits in an async generator, between two of its items; who
    stops asking for items cancels."""
    tensor = arrays.arange(100, dtype=arrays.float32)
    made: list[nc.ReadableOperation] = []

    async def encode() -> AsyncIterator[str]:
        with await connector.create_readable(Descriptor(tensor)) as readable:
            made.append(readable)
            yield readable.metadata().model_dump_json()
            await readable.wait_for_completion()
        yield "read"

    async def prefill() -> None:
        items = encode()
        metadata = RdmaMetadata.model_validate_json(await anext(items))
        target = arrays.zeros(100, dtype=arrays.float32)
        read = await peer.begin_read(metadata, Descriptor(target))
        with read:
            await read.wait_for_completion()
        assert await anext(items) == "read"
        assert are_equal(target, tensor)
        abandoned = encode()
        await anext(abandoned)
        await abandoned.aclose()  # type: ignore[attr-defined]

    run(prefill())
    assert [each.status for each in made] == [COMPLETE, CANCELLED]


def test_p7_probe_tells_early_that_nothing_will_work() -> None:
    """P7: a Connector is made and its Connection asked for, to see whether it can."""
    printed = run_alone(
        """
        import asyncio, nixl_connect as nc
        async def main():
            connector = nc.Connector()
            try: await connector._create_connection()
            except ImportError as error: print(isinstance(error.__cause__, nc.Error))
        asyncio.run(main())
        """,
        NIXL_CONNECT_UCX_DIRECTORY="/nowhere",
    )
    assert printed == "True"
