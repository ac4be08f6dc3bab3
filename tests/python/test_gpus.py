# SPDX-License-Identifier: Apache-2.0
"""Memory of GPUs: as descriptors, and moved between and within GPUs, by the stand-in
for CUDA's driver."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nixl_connect as nc
import pytest
from nixl_connect import Connector, Descriptor, Device, RdmaMetadata
from sides import SECONDS, ranges_of, sent
from stand_in import DLPackArray, GpuMemory, StandIn

numpy = pytest.importorskip("numpy")

SHAPE = (3, 40, 2, 16)  # layers, blocks, heads, bytes
SIZE = 3 * 40 * 2 * 16
SHADOW = numpy.zeros(SHAPE, numpy.uint8)
CONTENT = numpy.random.default_rng(1).integers(0, 256, SIZE, numpy.uint8)

SELECTIONS = {
    "all": SHADOW,
    "blocks": SHADOW[:2, 10:20],
    "every other block": SHADOW[1:, ::4],
    "one head": SHADOW[:1, :, 1],
    "heads first": SHADOW[:1].transpose(2, 1, 0, 3)[:, :20],
}


@pytest.fixture(scope="module")
def sides(stand_in: StandIn) -> Iterator[tuple[Connector, Connector]]:
    """The exposing side, and the initiating one."""
    with (
        Connector(cuda_driver=stand_in.file) as here,
        Connector(cuda_driver=stand_in.file) as there,
    ):
        yield here, there


def test_metadata_takes_less_than_a_kilobyte(stand_in: StandIn) -> None:
    """Of UCX's network devices, of which there may be many, one."""
    with Connector(cuda_driver=stand_in.file, network=False) as connector:
        for memory in (bytearray(SIZE), nc.empty(SIZE), stand_in.memory(SIZE)):
            readable = connector.create_readable(Descriptor(memory), stream=False)
            assert len(readable.metadata().model_dump_json()) < 850


def filled(stand_in: StandIn, device: int) -> GpuMemory:
    memory = stand_in.memory(SIZE, device)
    memory.write(CONTENT.tobytes())
    return memory


def part_of(memory: GpuMemory, part: Any) -> Any:
    return memory.like(SHADOW, part)


def bytes_of(content: bytes, part: Any) -> list[int]:
    """Those of a selection in `content`, which is that of a whole memory."""
    whole = numpy.frombuffer(content, numpy.uint8)
    offset = part.ctypes.data - SHADOW.ctypes.data
    found = numpy.lib.stride_tricks.as_strided(whole[offset:], part.shape, part.strides)
    return list(found.ravel())


def test_descriptors_are_made_of_every_form(stand_in: StandIn) -> None:
    memory = stand_in.memory(64, 1)
    rows = [(memory.ptr + 16 * row, 8) for row in range(4)]
    strided = {**memory.__cuda_array_interface__, "shape": (4, 8), "strides": (16, 1)}
    for whole in (
        memory,
        (memory.ptr, 64, Device("cuda:1")),
        (memory.ptr, 64, "cuda:1", memory),
        DLPackArray(memory, (64,), (1,)),
        (DLPackArray(memory, (64,), (1,)), "cuda:1"),
    ):
        descriptor = Descriptor(whole)
        assert str(descriptor) == f"ptr={memory.ptr:#x}, size=64, device=cuda:1"
        assert not descriptor.is_read_only
    for part in (
        (SimpleNamespace(__cuda_array_interface__=strided), "cuda:1"),
        DLPackArray(memory, (4, 8), (16, 1)),
    ):
        assert ranges_of(Descriptor(part)) == rows
        assert Descriptor(part).device == Device("cuda:1")


def test_array_that_speaks_dlpack_too_tells_its_device(stand_in: StandIn) -> None:
    memory = stand_in.memory(64, 1)
    both = DLPackArray(memory, (64,), (1,))
    both.__cuda_array_interface__ = memory.__cuda_array_interface__  # type: ignore[attr-defined]
    assert Descriptor(both).device == Device("cuda:1")


@pytest.mark.parametrize(("from_gpu", "to_gpu"), [(0, 0), (0, 1), (1, 0)])
@pytest.mark.parametrize("which", SELECTIONS)
def test_selection_is_moved_to_and_from_contiguous_memory(
    stand_in: StandIn,
    sides: tuple[Connector, Connector],
    which: str,
    from_gpu: int,
    to_gpu: int,
) -> None:
    here, there = sides
    part = SELECTIONS[which]
    source, packed = filled(stand_in, from_gpu), stand_in.memory(part.size, to_gpu)
    readable = here.create_readable(Descriptor(part_of(source, part)))
    read = there.begin_read(sent(readable), Descriptor(packed))
    assert nc.wait_all([read, readable], SECONDS)
    read.result()
    assert read.path == "cuda.peer"
    assert list(packed.read()) == bytes_of(source.read(), part)
    target = stand_in.memory(SIZE, from_gpu)
    writable = here.create_writable(Descriptor(part_of(target, part)))
    write = there.begin_write(Descriptor(packed), sent(writable))
    assert nc.wait_all([write, writable], SECONDS)
    write.result()
    assert bytes_of(target.read(), part) == list(packed.read())
    assert sum(target.read()) == sum(packed.read()), "nothing else is written"


def test_blocks_of_a_cache_are_moved_by_number(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    source, target = filled(stand_in, 0), stand_in.memory(SIZE, 1)
    block = 2 * 16
    readable = here.create_readable(Descriptor(source), readers=2)
    metadata = sent(readable)
    mine, theirs = [5, 0, 7], [119, 3, 60]
    read = there.begin_read(
        metadata.pages(block, theirs), Descriptor.pages(target, block, mine)
    )
    assert read.wait(SECONDS)
    expected = numpy.zeros((120, block), numpy.uint8)
    expected[mine] = CONTENT.reshape(120, block)[theirs]
    assert target.read() == expected.tobytes()
    layer = Descriptor(part_of(target, SHADOW[:, 8]))
    second = there.begin_read(
        metadata.pages(block, [1, 2]), Descriptor.pages(layer, block, [2, 0])
    )
    assert nc.wait_all([second, readable], SECONDS)
    expected.reshape(SHAPE)[[2, 0], 8] = CONTENT.reshape(120, 2, 16)[[1, 2]]
    assert target.read() == expected.tobytes()


def test_target_that_overlaps_itself_is_refused(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, _ = sides
    memory = stand_in.memory(16)
    row = numpy.zeros(16, numpy.uint8)
    twice = memory.like(row, numpy.broadcast_to(row, (2, 16)))
    with pytest.raises(ValueError, match=r"overlap; .* only a source may repeat"):
        here.create_writable(Descriptor(twice))
    readable = here.create_readable(Descriptor(twice))
    assert [each.size for each in readable.metadata().descriptors] == [16, 16]


def test_memory_of_another_gpu_than_was_said_is_refused_with_its_name(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, _ = sides
    memory = stand_in.memory(16, 1)
    with pytest.raises(nc.InvalidArgument, match=r"is on cuda:1.*\"cuda:1\""):
        here.create_readable(Descriptor((memory.ptr, 16, "cuda:0")))


# A process that exposes memory of the first GPU: a selection of it, and all of it.
EXPOSER = """
import sys
sys.path.insert(0, sys.argv[1])
import nixl_connect as nc
from pathlib import Path
from stand_in import StandIn
from test_gpus import SELECTIONS, filled, part_of
driver = StandIn(Path(sys.argv[2]))
memory = filled(driver, 0)
with nc.Connector(cuda_driver=driver.file) as connector:
    selected = nc.Descriptor(part_of(memory, SELECTIONS["every other block"]))
    for each in (selected, nc.Descriptor(memory)):
        readable = connector.create_readable(each)
        print(readable.metadata().model_dump_json(), flush=True)
        assert readable.wait(30)
"""


def test_memory_of_another_process_is_read(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    _, there = sides
    part = SELECTIONS["every other block"]
    folder = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", EXPOSER, folder, stand_in.file],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        packed = stand_in.memory(part.size, 1)
        metadata = RdmaMetadata.model_validate_json(process.stdout.readline())
        read = there.begin_read(metadata, Descriptor(packed))
        assert read.wait(SECONDS)
        assert read.path == "cuda.peer"
        assert list(packed.read()) == bytes_of(CONTENT.tobytes(), part)
        metadata = RdmaMetadata.model_validate_json(process.stdout.readline())
        read = there.begin_read(metadata.pages(64, [9, 3]), Descriptor(packed)[:128])
        assert read.wait(SECONDS)
        pages = CONTENT.reshape(-1, 64)
        assert packed.read()[:128] == pages[[9, 3]].tobytes()
        assert process.wait(SECONDS) == 0


def blocks_of(stand_in: StandIn, connector: Connector, **options: Any) -> int:
    """How many multiprocessors a read of 60 pages takes; 0: none."""
    source, target = filled(stand_in, 0), stand_in.memory(SIZE)
    before = stand_in.calls("cuLaunchKernel")
    readable = connector.create_readable(Descriptor(source))
    every_other = list(range(0, 120, 2))
    with connector.begin_read(
        sent(readable).pages(32, every_other),
        Descriptor.pages(target, 32, every_other),
        **options,
    ) as read:
        assert read.wait(SECONDS)
        read.result()
    launches = stand_in.calls("cuLaunchKernel") - before
    return stand_in.blocks() if launches else 0


def test_copies_take_of_the_gpu_what_the_options_say(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, _ = sides
    assert blocks_of(stand_in, here, sm=False) == 0
    assert blocks_of(stand_in, here, sm=False, max_blocks=2) == 0
    with Connector(cuda_driver=stand_in.file, sm=False) as without:
        assert blocks_of(stand_in, without) == 0
        if not nc._native.report_gpus(stand_in.file)["kernel_for"]:
            pytest.skip("this package was built without nvcc")
        assert blocks_of(stand_in, without, sm=True, max_blocks=2) == 2
    assert blocks_of(stand_in, here) > 2
    assert blocks_of(stand_in, here, max_blocks=1) == 1
    with Connector(cuda_driver=stand_in.file, max_blocks=1) as modest:
        assert blocks_of(stand_in, modest) == 1
        assert blocks_of(stand_in, modest, max_blocks=2) == 2


def test_prediction_knows_that_copy_engines_take_long_for_pages(
    stand_in: StandIn, sides: tuple[Connector, Connector]
) -> None:
    here, there = sides
    source, target = filled(stand_in, 0), stand_in.memory(SIZE)
    readable = here.create_readable(Descriptor(source))
    pages = sent(readable).pages(32, range(0, 120, 2))
    local = Descriptor.pages(target, 32, range(0, 120, 2))

    def seconds(**options: Any) -> float:
        plan = there.explain(pages, local, **options)
        [found] = [each.seconds for each in plan.paths if each.path == "cuda.peer"]
        assert found is not None
        return found

    assert seconds(sm=False) > 60 * 3e-6 > seconds()
