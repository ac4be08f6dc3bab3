# SPDX-License-Identifier: Apache-2.0
"""Between memory of a GPU and of the host, by the stand-in for CUDA's driver."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor
from sides import SECONDS, sent
from stand_in import StandIn

numpy = pytest.importorskip("numpy")

# Reads what it is told of as every second page of 1,000 bytes, adds 1 to each byte and
# writes that to the same place.
WITHOUT_CUDA = """
import sys
import nixl_connect as nc

connector = nc.Connector(cuda_driver="/nowhere/libcuda.so.1")
readable, writable = map(nc.RdmaMetadata.model_validate_json, sys.stdin)
numbers = range(0, 60, 2)
pages = nc.Descriptor.pages(memory := nc.empty(60 * 1000), 1000, numbers)
read = connector.begin_read(readable.pages(1000, numbers), pages)
read.wait(20)
memory += 1
write = connector.begin_write(pages, writable.pages(1000, numbers))
write.wait(20)
print(read.path, write.path, read.explain().path)
"""
SIZE = 60 * 1000
CONTENT = numpy.random.default_rng(2).integers(0, 256, SIZE, numpy.uint8)


@pytest.fixture(scope="module")
def sides(stand_in: StandIn) -> Iterator[tuple[Connector, Connector]]:
    """The exposing side, and the initiating one."""
    with (
        Connector(cuda_driver=stand_in.file) as here,
        Connector(cuda_driver=stand_in.file) as there,
    ):
        yield here, there


def test_bytes_go_both_ways_whichever_side_begins(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    of_gpu, of_host = stand_in.memory(SIZE, 1), nc.empty(SIZE)
    back = stand_in.memory(SIZE)
    of_host[:] = CONTENT
    readable = here.create_readable(Descriptor(of_host))
    read = there.begin_read(sent(readable), Descriptor(of_gpu))
    assert nc.wait_all([read, readable], SECONDS)
    assert read.result() is not None
    assert read.path == "cuda.staged"
    assert of_gpu.read() == CONTENT.tobytes()
    of_host[:] = 0
    writable = here.create_writable(Descriptor(of_host))
    write = there.begin_write(Descriptor(of_gpu), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    assert write.path == "cuda.staged"
    assert of_host.tobytes() == CONTENT.tobytes()
    writable = here.create_writable(Descriptor(back))
    write = there.begin_write(Descriptor(of_host), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    assert write.path == "cuda.staged"
    assert back.read() == CONTENT.tobytes()


def test_pages_go_into_a_cache_on_a_gpu(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    cache, of_host = stand_in.memory(SIZE), nc.empty(SIZE)
    of_host[:] = CONTENT
    readable = here.create_readable(Descriptor(of_host))
    numbers = list(range(0, 60, 2))
    read = there.begin_read(
        sent(readable).pages(1000, numbers),
        Descriptor.pages(cache, 1000, numbers[::-1]),
    )
    assert nc.wait_all([read, readable], SECONDS)
    expected = numpy.zeros((60, 1000), numpy.uint8)
    expected[numbers[::-1]] = CONTENT.reshape(60, 1000)[numbers]
    assert cache.read() == expected.tobytes()


def test_other_memory_of_the_host_goes_through_slots(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    of_gpu, plain = stand_in.memory(SIZE), CONTENT.copy()
    readable = here.create_readable(Descriptor(plain))
    metadata: Any = sent(readable)
    assert there.explain(metadata, Descriptor(of_gpu)).path == "cuda.staged"
    read = there.begin_read(metadata, Descriptor(of_gpu))
    assert nc.wait_all([read, readable], SECONDS)
    assert of_gpu.read() == CONTENT.tobytes()
    back = numpy.zeros_like(CONTENT)
    writable = here.create_writable(Descriptor(back))
    write = there.begin_write(Descriptor(of_gpu), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    assert (back == CONTENT).all()


def test_a_process_without_cuda_is_served(stand_in: StandIn) -> None:
    of_gpu = stand_in.memory(SIZE)
    of_gpu.write(CONTENT.tobytes())
    with Connector(cuda_driver=stand_in.file) as here:
        readable = here.create_readable(Descriptor(of_gpu))
        writable = here.create_writable(Descriptor(of_gpu))
        told = [sent(each).model_dump_json() for each in (readable, writable)]
        served = subprocess.run(
            [sys.executable, "-c", WITHOUT_CUDA],
            input="\n".join(told),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        assert nc.wait_all([readable, writable], SECONDS)
    assert served.stdout.split() == ["cuda.staged"] * 3
    expected = CONTENT.reshape(60, 1000).copy()
    expected[::2] += 1
    assert of_gpu.read() == expected.tobytes()
