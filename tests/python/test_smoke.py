# SPDX-License-Identifier: Apache-2.0
"""Two processes, asyncio: the first thing to run after installing the package."""

import asyncio
import importlib.util
import multiprocessing
from multiprocessing.connection import Connection as Pipe
from typing import Any

import nixl_connect as nc
import pytest

SIZE = 100_000
SECONDS = 60


def make(kind: str, pattern: bytes) -> Any:
    """An array of that kind with those bytes."""
    if kind == "bytearray":
        return bytearray(pattern)
    if kind == "numpy":
        numpy = pytest.importorskip("numpy")
        return numpy.frombuffer(pattern, dtype=numpy.uint8).copy()
    torch = pytest.importorskip("torch")
    return torch.frombuffer(bytearray(pattern), dtype=torch.uint8)


def bytes_of(array: Any) -> bytes:
    """A copy of the bytes of what make() made."""
    numpy = getattr(array, "numpy", None)
    return bytes(array if numpy is None else numpy())


def pattern(seed: int) -> bytes:
    return bytes((seed + i * 7) % 251 for i in range(SIZE))


async def expose(pipe: Pipe, kind: str) -> None:
    """One readable, one writable; tells in the end what was written."""
    source, target = make(kind, pattern(1)), make(kind, bytes(SIZE))
    async with nc.Connector() as connector:
        readable = await connector.create_readable(nc.Descriptor(source))
        writable = await connector.create_writable(nc.Descriptor(target))
        with readable, writable:
            pipe.send(readable.metadata().model_dump_json())
            pipe.send(writable.metadata().model_dump_json())
            await readable.wait_for_completion()
            await writable.wait_for_completion()
            statuses = [readable.status, writable.status]
    pipe.send((statuses, bytes_of(target)))


def run_exposing(pipe: Pipe, kind: str) -> None:
    asyncio.run(expose(pipe, kind))


@pytest.mark.parametrize("kind", ["bytearray", "numpy", "torch"])
def test_other_process_reads_and_writes(kind: str) -> None:
    if kind != "bytearray" and importlib.util.find_spec(kind) is None:
        pytest.skip(f"{kind} is not installed")
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=run_exposing, args=(theirs, kind))
    child.start()
    theirs.close()

    async def transfer() -> bytes:
        readable = nc.RdmaMetadata.model_validate_json(ours.recv())
        writable = nc.RdmaMetadata.model_validate_json(ours.recv())
        target, source = make(kind, bytes(SIZE)), make(kind, pattern(2))
        async with nc.Connector() as connector:
            read = await connector.begin_read(
                readable, nc.Descriptor(target), timeout=SECONDS
            )
            write = await connector.begin_write(
                nc.Descriptor(source), writable, timeout=SECONDS
            )
            await asyncio.gather(
                read.wait_for_completion(), write.wait_for_completion()
            )
            assert read.status is nc.OperationStatus.COMPLETE
            assert write.status is nc.OperationStatus.COMPLETE
            assert read.bytes_transferred == SIZE
            assert [each.size for each in read.results()] == [SIZE]
        return bytes_of(target)

    assert asyncio.run(transfer()) == pattern(1)
    assert ours.poll(SECONDS)
    statuses, written = ours.recv()
    assert statuses == [nc.OperationStatus.COMPLETE] * 2
    assert written == pattern(2)
    child.join(SECONDS)
    assert child.exitcode == 0
