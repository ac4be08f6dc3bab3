# SPDX-License-Identifier: Apache-2.0
"""One read of thousands of scattered pages, everything included: Descriptors, readable,
metadata, side channel, parsing, the read, and the release at both ends. The callers'
own tensors or index arrays exist beforehand. No two pages are adjacent at either end.

    descriptors  a Descriptor a page at both ends, as upstream's users must
    pages        Descriptor.pages at both ends, so that the metadata names every page
    mapped       the same, where the exposed memory is of nixl_connect.empty()
    indices      one Descriptor over all memory, whose metadata the reader's own page
                 numbers choose from: metadata.pages
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from session import Session, memory, now_us

PAGE_BYTES = 4096

Indices = npt.NDArray[np.int64]


class Arena:
    """Twice as many pages as are moved: every other one, in shuffled order."""

    def __init__(self, pages: int, seed: int, empty: Callable[..., Any] | None = None):
        size = 2 * pages * PAGE_BYTES
        if empty is None:
            self.tensor, self.bytes = memory(size)
        else:
            self.tensor = empty(size, torch.uint8)
            self.bytes = self.tensor.numpy()
        self.words = self.bytes.view(np.uint64).reshape(2 * pages, -1)
        self.indices: Indices = 2 * np.random.default_rng(seed).permutation(pages)
        self.tensors = [
            self.tensor[index * PAGE_BYTES : (index + 1) * PAGE_BYTES]
            for index in self.indices.tolist()
        ]


def of_tensors(session: Session, arena: Arena) -> Any:
    return [session.nixl.Descriptor(each) for each in arena.tensors]


def of_indices(session: Session, arena: Arena) -> Any:
    return session.nixl.Descriptor.pages(arena.tensor, PAGE_BYTES, arena.indices)


def of_all(session: Session, arena: Arena) -> Any:
    return session.nixl.Descriptor(arena.tensor)


# How each way makes the exposed and the local descriptors.
WAYS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "descriptors": (of_tensors, of_tensors),
    "pages": (of_indices, of_indices),
    "mapped": (of_indices, of_indices),
    "indices": (of_all, of_indices),
}


async def initiate(
    session: Session, way: str, pages: int, count: int
) -> dict[str, list[float]]:
    """Microseconds of each stage; `whole` is from the request to the release."""
    arena = Arena(pages, seed=1)
    there = Arena(pages, seed=2).indices
    await session.channel.send(way=way, pages=pages, count=count)
    stages: dict[str, list[float]] = {}
    for number in range(count):
        arena.words[:] = 0
        await session.channel.receive()
        marks = {"whole": now_us()}
        await session.channel.send(number=number)
        text = await session.channel.receive_text()
        marks["exposed"] = now_us()
        metadata = session.nixl.RdmaMetadata.model_validate_json(text)
        if way == "indices":
            metadata = metadata.pages(PAGE_BYTES, there)
        marks["parsed"] = now_us()
        local = WAYS[way][1](session, arena)
        marks["described"] = now_us()
        operation = await session.connector.begin_read(metadata, local)
        marks["begun"] = now_us()
        await operation.wait_for_completion()
        marks["awaited"] = now_us()
        operation.__exit__(None, None, None)
        del operation, local
        marks["released"] = now_us()
        theirs = (await session.channel.receive())["stages"]
        end = now_us()
        note(stages, marks, end, theirs, len(text))
        check(arena, there, number)
    return stages


def note(
    stages: dict[str, list[float]],
    marks: dict[str, float],
    end: float,
    theirs: dict[str, float],
    text_bytes: int,
) -> None:
    times = list(marks.values())
    spent = {
        name: end - times[0] if name == "whole" else time - before
        for (name, time), before in zip(marks.items(), [0.0, *times], strict=False)
    }
    for name, value in {**spent, **theirs, "metadata_bytes": text_bytes}.items():
        stages.setdefault(name, []).append(value)


def check(arena: Arena, there: Indices, number: int) -> None:
    """Each page holds the number that its source had, and no other page has changed."""
    expected = np.zeros_like(arena.words)
    expected[arena.indices] = (there + 1 + number)[:, np.newaxis]
    if not np.array_equal(arena.words, expected):
        raise AssertionError("the pages arrived wrong or in the wrong place")


async def expose(session: Session) -> None:
    order = await session.channel.receive()
    empty = session.nixl.empty if order["way"] == "mapped" else None
    arena = Arena(order["pages"], seed=2, empty=empty)
    describe = WAYS[order["way"]][0]
    for number in range(order["count"]):
        arena.words[:] = (np.arange(len(arena.words)) + 1 + number)[:, np.newaxis]
        await session.channel.send(ready=True)
        await session.channel.receive()
        start = now_us()
        descriptors = describe(session, arena)
        described = now_us()
        readable = await session.connector.create_readable(descriptors)
        created = now_us()
        text = readable.metadata().model_dump_json()
        dumped = now_us()
        await session.channel.send_text(text)
        await readable.wait_for_completion()
        told = now_us()
        readable.__exit__(None, None, None)
        del readable, descriptors
        released = now_us()
        await session.channel.send(
            stages={
                "A described": described - start,
                "A created": created - described,
                "A dumped": dumped - created,
                "A told": told - dumped,
                "A released": released - told,
            }
        )
