# SPDX-License-Identifier: Apache-2.0
"""What real callers do, re-created in small (P8 to P14 of the list of their patterns):
older generations, those who reach into the package, and neighbours in the process."""

import asyncio
import json
from collections import deque
from typing import Any

import nixl_connect as nc
import pydantic
import pytest
from nixl_connect import Connector, Descriptor, OperationStatus, RdmaMetadata
from sides import SECONDS, memory, sent

COMPLETE = OperationStatus.COMPLETE


class Request(pydantic.BaseModel):
    """P8: metadata is a field of the caller's own model."""

    name: str
    where: RdmaMetadata | None = None


def test_p8_decode_worker_is_written_to(
    connector: Connector, peer: Connector, arrays: Any
) -> None:
    """P8: memory is registered once, under the oldest name; every request makes a
    writable without await, and the encoder answers with a write."""
    target = arrays.zeros(100, dtype=arrays.float32)
    descriptor = Descriptor(target)
    descriptor.register_memory(connector)

    async def encode(text: str, value: int) -> None:
        request = Request.model_validate_json(text)
        assert request.where is not None
        result = arrays.arange(value, value + 100, dtype=arrays.float32)
        write = await peer.begin_write(Descriptor(result), request.where)
        with write:
            await write.wait_for_completion()

    async def decode() -> None:
        await connector.initialize()
        for value in range(5):
            with connector.create_writable(descriptor) as writable:
                where = writable.to_serialized()
                text = Request(name="r", where=where).model_dump_json()
                encoded = asyncio.create_task(encode(text, value))
                await writable.wait_for_completion()
            assert [float(each) for each in target[:2]] == [value, value + 1]
            await encoded
        assert descriptor.is_registered

    asyncio.run(asyncio.wait_for(decode(), SECONDS))


def test_p9_constructors_are_called_directly(
    connector: Connector, peer: Connector, arrays: Any
) -> None:
    """P9: on the Connection, and the last five reads are kept alive."""

    async def reuse() -> None:
        ours = await connector._create_connection()
        theirs = await peer._create_connection()
        kept: deque[nc.ReadOperation] = deque(maxlen=5)
        for number in range(12):
            sources = [
                arrays.arange(number, number + 10, dtype=arrays.float32),
                arrays.arange(number, number + 20, dtype=arrays.float32),
            ]
            descriptors = [Descriptor(each) for each in sources]
            readable = nc.ReadableOperation(ours, descriptors)
            targets = [arrays.zeros(size, dtype=arrays.float32) for size in (10, 20)]
            into = [Descriptor(each) for each in targets]
            read = nc.ReadOperation(theirs, sent(readable), into)
            await read.wait_for_completion()
            await readable.wait_for_completion()
            assert all(
                bool((got == source).all())
                for got, source in zip(targets, sources, strict=True)
            )
            kept.append(read)
        assert {each.status for each in kept} == {COMPLETE}
        assert len({each.remote.name for each in kept}) == 1

    asyncio.run(asyncio.wait_for(reuse(), SECONDS))


def test_p10_pipeline_runs_the_loop_for_each_step(
    connector: Connector, peer: Connector, arrays: Any
) -> None:
    """P10: many tensors in one flat buffer, and a loop that only runs in between."""
    parts = [arrays.arange(size, dtype=arrays.float32) for size in (3, 5, 7)]
    loop = asyncio.new_event_loop()
    for _ in range(3):
        flat = arrays.concatenate(parts)
        readable = loop.run_until_complete(connector.create_readable(Descriptor(flat)))
        target = arrays.zeros(15, dtype=arrays.float32)
        into = Descriptor(target)
        read = loop.run_until_complete(peer.begin_read(sent(readable), into))
        loop.run_until_complete(read.wait_for_completion())
        loop.run_until_complete(readable.wait_for_completion())
        assert bool((target == flat).all())
    loop.close()


def test_p11_unchanged_producer_has_several_readers(
    connector: Connector, arrays: Any
) -> None:
    """P11: who knows nothing of `readers` keeps the producer until all are done."""
    peers = [Connector() for _ in range(3)]

    async def consume(reader: Connector, metadata: RdmaMetadata) -> None:
        target = arrays.zeros(100, dtype=arrays.uint8)
        with await reader.begin_read(metadata, Descriptor(target)) as read:
            await read.wait_for_completion()
        assert bool((target == 7).all())

    async def produce() -> None:
        tensor = arrays.zeros(100, dtype=arrays.uint8)
        tensor[:] = 7
        with await connector.create_readable(Descriptor(tensor)) as readable:
            for each in peers:  # one after the other, and then all at once
                await consume(each, sent(readable))
                await readable.wait_for_completion()
            await asyncio.gather(*(consume(each, sent(readable)) for each in peers))
            assert readable.status is COMPLETE

    asyncio.run(asyncio.wait_for(produce(), SECONDS))
    for each in peers:
        each.close()


def test_p11_slots_of_a_pool_have_several_readers(
    connector: Connector, arrays: Any
) -> None:
    """P11: a slot is free again when all of its readers are done."""
    readers = 3
    slots = [Descriptor(arrays.zeros(100, dtype=arrays.uint8)) for _ in range(2)]
    for slot in slots:
        slot.register_with_connector(connector)

    async def consume(reader: Connector, metadata: RdmaMetadata, value: int) -> None:
        target = arrays.zeros(100, dtype=arrays.uint8)
        with await reader.begin_read(metadata, Descriptor(target)) as read:
            await read.wait_for_completion()
        assert bool((target == value).all())

    async def produce(peers: list[Connector]) -> None:
        for value in range(1, 6):
            slot = slots[value % 2]
            slot._data_ref[:] = value
            readable = await connector.create_readable(slot, readers=readers)
            metadata = sent(readable)
            *early, last = [consume(each, metadata, value) for each in peers]
            await asyncio.gather(*early)
            assert readable.status is not COMPLETE
            await asyncio.gather(last, readable.wait_for_completion())
            assert readable.status is COMPLETE

    peers = [Connector() for _ in range(readers)]
    asyncio.run(asyncio.wait_for(produce(peers), SECONDS))
    for each in peers:
        each.close()


def test_p12_workarounds_for_upstream_do_no_harm(
    connector: Connector, peer: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: Remote._release is patched to nothing, Connector and ActiveOperation are
    subclassed. (The latter is tested in test_active.py, too.)"""
    monkeypatch.setattr(nc.Remote, "_release", lambda self: None)

    class Tracing(Connector):
        def __init__(self, worker_id: str | None = None) -> None:
            super().__init__(worker_id)
            self.begun: list[nc.ReadOperation] = []

        async def begin_read(self, *given: Any, **named: Any) -> Any:  # type: ignore[override]
            self.begun.append(await super().begin_read(*given, **named))
            return self.begun[-1]

    class Counting(nc.ActiveOperation):
        waits = 0

        async def wait_for_completion(self) -> None:
            Counting.waits += 1
            await super().wait_for_completion()

    async def read_all(tracing: Tracing) -> None:
        for _ in range(3):
            readable = await connector.create_readable(memory())
            with await tracing.begin_read(sent(readable), memory()) as read:
                await read.wait_for_completion()
            another = await connector.create_readable(memory())
            metadata = sent(another)
            with Counting(
                nc.Remote(tracing, metadata.nixl_metadata),
                nc.OperationKind.READ,
                memory(),
                metadata.to_descriptors(),
                metadata.notification_key,
            ) as counted:
                await counted.wait_for_completion()
            await another.wait_for_completion()

    with Tracing() as tracing:
        asyncio.run(asyncio.wait_for(read_all(tracing), SECONDS))
        assert [each.status for each in tracing.begun] == [COMPLETE] * 3
        assert Counting.waits == 3


def test_p13_raw_agents_are_in_the_process(
    connector: Connector, peer: Connector
) -> None:
    """P13: with their own copy of UCX. (tests/interop has the whole of it.)"""
    api = pytest.importorskip("nixl._api")
    torch = pytest.importorskip("torch")
    agents = [
        api.nixl_agent(name, api.nixl_agent_config(backends=["UCX"]))
        for name in ("raw-source", "raw-target")
    ]
    tensors = [torch.full((100,), value, dtype=torch.uint8) for value in (7, 0)]
    for agent, tensor in zip(agents, tensors, strict=True):
        agent.register_memory([tensor])
    agents[1].add_remote_agent(agents[0].get_agent_metadata())
    local, remote = (agents[1].get_xfer_descs([each]) for each in reversed(tensors))
    handle = agents[1].initialize_xfer("READ", local, remote, "raw-source", b"done")
    state = agents[1].transfer(handle)
    readable = connector.create_readable(Descriptor(tensors[0]))
    read = peer.begin_read(sent(readable), memory(100))
    assert nc.wait_all([read, readable], SECONDS)
    while state == "PROC":
        state = agents[1].check_xfer_state(handle)
    assert state == "DONE" and bool((tensors[1] == 7).all())
    agents[1].release_xfer_handle(handle)


@pytest.mark.parametrize("hex_encode", [False, True])
def test_p14_metadata_travels_as_json(
    connector: Connector, peer: Connector, hex_encode: bool
) -> None:
    """P14: as an object inside of a larger message, as text in it, or by itself; in the
    forms of all generations."""
    descriptors = [memory(8), memory(16)]
    readable = connector.create_readable(descriptors, readers=1000)
    metadata = readable.metadata(hex_encode)
    inside = json.loads(json.dumps({"id": 1, "metadata": metadata.model_dump()}))
    as_text = json.loads(json.dumps({"metadata": metadata.model_dump_json()}))
    copies = [
        RdmaMetadata.model_validate(inside["metadata"]),
        RdmaMetadata.model_validate_json(as_text["metadata"]),
        RdmaMetadata(**inside["metadata"]),
        metadata.model_copy(),
        Request.model_validate(Request(name="r", where=metadata).model_dump()).where,
    ]
    for copy in copies:
        assert copy is not None and copy == metadata
        assert list(copy.model_dump()) == list(inside["metadata"])
        read = peer.begin_read(copy, [memory(8), memory(16)], timeout=SECONDS)
        assert read.wait(SECONDS)
