# SPDX-License-Identifier: Apache-2.0
"""Tensors of real GPUs: as descriptors, and moved between and within GPUs, also from
another process. For a machine with torch and this package, in this folder:
  python -B -m unittest -v test_torch
Without a GPU all is skipped; with one, what needs two."""

import asyncio
import os
import random
import subprocess
import sys
import unittest
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import nixl_connect as nc
from nixl_connect import Connector, Descriptor, Device, RdmaMetadata

try:
    import torch
except ImportError:
    torch: Any = None  # type: ignore[no-redef]

SHAPE = (4, 64, 2, 16, 128)  # layers, blocks, heads, tokens, numbers
SECONDS = 60
GPUS = torch.cuda.device_count() if torch is not None else 0

SELECTIONS: dict[str, Callable[[Any], Any]] = {
    "all": lambda cache: cache,
    "layers": lambda cache: cache[1:3],
    "blocks": lambda cache: cache[:, 5:20],
    "every third block": lambda cache: cache[:, ::3],
    "one head": lambda cache: cache[:, :, 1],
    "some tokens": lambda cache: cache[..., 3:7, :],
    "tokens first": lambda cache: cache[:1].permute(3, 0, 1, 2, 4),
    "odd numbers of bytes": lambda cache: cache.view(torch.uint8)[:, :9, :, :, 3:100],
}


def cache_of(device: str, filled: bool = False) -> Any:
    if not filled:
        return torch.zeros(SHAPE, dtype=torch.bfloat16, device=device)
    numbers = torch.Generator(device="cpu").manual_seed(1)
    return torch.randn(SHAPE, generator=numbers).to(torch.bfloat16).to(device)


def synchronize() -> None:
    for number in range(GPUS):
        torch.cuda.synchronize(number)


class DLPackOnly:
    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    def __dlpack__(self, **arguments: Any) -> Any:
        return self.tensor.__dlpack__(**arguments)

    def __dlpack_device__(self) -> Any:
        return self.tensor.__dlpack_device__()


@unittest.skipIf(GPUS == 0, "torch sees no GPU")
class Tensors(unittest.TestCase):
    routes = ((0, 0), (0, 1), (1, 0)) if GPUS > 1 else ((0, 0),)

    @classmethod
    def setUpClass(cls) -> None:
        cls.here, cls.there = Connector(), Connector()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.here.close()
        cls.there.close()

    def read(self, source: Any, target: Any, **options: Any) -> nc.ReadOperation:
        synchronize()
        readable = self.here.create_readable(Descriptor(source))
        read = self.there.begin_read(sent(readable), Descriptor(target), **options)
        self.assertTrue(nc.wait_all([read, readable], SECONDS))
        read.result()
        return read

    def write(self, source: Any, target: Any) -> None:
        synchronize()
        writable = self.here.create_writable(Descriptor(target))
        write = self.there.begin_write(Descriptor(source), sent(writable))
        self.assertTrue(nc.wait_all([write, writable], SECONDS))
        write.result()

    def test_descriptors_are_made_of_every_form(self) -> None:
        device = f"cuda:{GPUS - 1}"
        tensor = torch.zeros(64, dtype=torch.uint8, device=device)
        interface = SimpleNamespace(
            __cuda_array_interface__=tensor.__cuda_array_interface__
        )
        text = f"ptr={tensor.data_ptr():#x}, size=64, device={device}"
        for data in (
            tensor,
            (tensor, device),
            (interface, device),
            (tensor.data_ptr(), 64, Device(device)),
            (tensor.data_ptr(), 64, device, tensor),
        ):
            self.assertEqual(str(Descriptor(data)), text)
        with torch.cuda.device(device):  # which alone torch exports
            self.assertEqual(str(Descriptor(DLPackOnly(tensor))), text)

    def test_selections_move_into_and_out_of_contiguous_memory(self) -> None:
        for name, select in SELECTIONS.items():
            for ours, theirs in self.routes:
                with self.subTest(name, gpus=(ours, theirs)):
                    source = select(cache_of(f"cuda:{theirs}", filled=True))
                    packed = torch.zeros(
                        source.shape, dtype=source.dtype, device=f"cuda:{ours}"
                    )
                    read = self.read(source, packed)
                    self.assertEqual(read.path, "cuda.peer")
                    self.assertTrue(torch.equal(packed.cpu(), source.cpu()))
                    whole = cache_of(f"cuda:{theirs}")
                    self.write(packed, select(whole))
                    self.assertTrue(torch.equal(select(whole).cpu(), packed.cpu()))
                    select(whole).zero_()
                    self.assertEqual(whole.count_nonzero().item(), 0)

    def test_selections_move_into_others(self) -> None:
        first = SELECTIONS["every third block"]
        for ours, theirs in self.routes:
            source = first(cache_of(f"cuda:{theirs}", filled=True))
            target = cache_of(f"cuda:{ours}")[:, 10:32]
            self.assertEqual(source.shape, target.shape)
            self.read(source, target)
            self.assertTrue(torch.equal(source.cpu(), target.cpu()))

    def test_pages_move_by_number(self) -> None:
        for ours, theirs in self.routes:
            source = cache_of(f"cuda:{theirs}", filled=True)
            target = cache_of(f"cuda:{ours}")
            pages = SHAPE[0] * SHAPE[1]
            page = source.nbytes // pages
            from_, to = (random.Random(n).sample(range(pages), 100) for n in (1, 2))
            synchronize()
            readable = self.here.create_readable(Descriptor(source))
            read = self.there.begin_read(
                sent(readable).pages(page, torch.tensor(from_)),
                Descriptor.pages(target, page, to),
            )
            self.assertTrue(nc.wait_all([read, readable], SECONDS))
            read.result()
            expected = torch.zeros(pages, page // 2, dtype=torch.bfloat16)
            expected[to] = source.cpu().reshape(pages, -1)[from_]
            self.assertTrue(torch.equal(target.cpu().reshape(pages, -1), expected))
            with self.assertRaises(TypeError):
                Descriptor.pages(target, page, torch.tensor(to, device=f"cuda:{ours}"))

    def test_expanded_tensor_is_a_source_but_no_target(self) -> None:
        row = torch.arange(64, device="cuda:0", dtype=torch.uint8)
        target = torch.zeros(5, 64, device="cuda:0", dtype=torch.uint8)
        self.read(row.expand(5, 64), target)
        self.assertTrue(torch.equal(target, row.expand(5, 64)))
        with self.assertRaisesRegex(ValueError, "only a source may repeat"):
            self.here.create_writable(Descriptor(row.expand(5, 64)))

    def test_limits_change_nothing_but_the_rate(self) -> None:
        select = SELECTIONS["one head"]
        for ours, theirs in self.routes:
            source = select(cache_of(f"cuda:{theirs}", filled=True))
            for options in ({"sm": False}, {"max_blocks": 1}, {"max_blocks": 1024}):
                target = select(cache_of(f"cuda:{ours}"))
                self.read(source, target, **options)
                self.assertTrue(torch.equal(source.cpu(), target.cpu()), options)

    def test_memory_of_another_process_is_read_and_written(self) -> None:
        for ours, theirs in self.routes:
            process = subprocess.Popen(
                [sys.executable, "-B", __file__, "expose", f"cuda:{theirs}"],
                stdout=subprocess.PIPE,
                stdin=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            with process:
                assert process.stdout is not None
                metadata = RdmaMetadata.model_validate_json(process.stdout.readline())
                expected = SELECTIONS["every third block"](cache_of("cpu", True))
                packed = torch.zeros(
                    expected.shape, dtype=expected.dtype, device=f"cuda:{ours}"
                )
                synchronize()
                with self.there.begin_read(metadata, Descriptor(packed)) as read:
                    self.assertTrue(read.wait(SECONDS))
                    self.assertEqual(read.path, "cuda.peer")
                self.assertTrue(torch.equal(packed.cpu(), expected))
                metadata = RdmaMetadata.model_validate_json(process.stdout.readline())
                with self.there.begin_write(Descriptor(packed), metadata) as write:
                    self.assertTrue(write.wait(SECONDS))
                self.assertEqual(process.stdout.readline(), "right\n")
            self.assertEqual(process.returncode, 0)


def sent(operation: nc.PassiveOperation) -> RdmaMetadata:
    """Its metadata after the journey to a peer."""
    return RdmaMetadata.model_validate_json(operation.metadata().model_dump_json())


async def expose(device: str) -> None:
    """A selection to be read, and the same of another cache to be written."""
    select = SELECTIONS["every third block"]
    source, target = cache_of(device, filled=True), cache_of(device)
    torch.cuda.synchronize(device)
    async with Connector() as connector:
        readable = connector.create_readable(Descriptor(select(source)))
        print(readable.metadata().model_dump_json(), flush=True)
        await readable.wait_for_completion()
        writable = connector.create_writable(Descriptor(select(target)))
        print(writable.metadata().model_dump_json(), flush=True)
        await writable.wait_for_completion()
    right = torch.equal(select(target), select(source))
    print("right" if right else "wrong", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["expose"]:
        asyncio.run(expose(sys.argv[2]))
    else:
        unittest.main()
