# SPDX-License-Identifier: Apache-2.0
"""What the rows about host memory of one process and a GPU of another have in common.
A row is a direction of the bytes; either process may begin the operation."""

from __future__ import annotations

from dataclasses import replace

from gpu_ceilings import raw
from gpu_contestants import Field, ours, ours_in_cpp, refusal_of
from gpu_goals import at_least_gbps
from gpu_peers import nixl
from gpu_setup import HERE
from host_goals import share_of
from layout import whole
from row import Contestant, Role, Row
from setup import size_text

PATH = "cuda.staged"
GPU = f"gpu:{HERE}"


def staged_row(
    field: Field, place: str, what: str, size: int, kind: str, least: float
) -> Row:
    """`kind` is that of an operation of the process with the GPU. NIXL takes seconds
    for a large one, and is measured once."""
    room = max(field.setup.sizes.staged)
    with_gpu = replace(field, there=place, here=GPU, path=PATH, room=room)
    with_host = replace(field, there=GPU, here=place, path=PATH)
    other = "WRITE" if kind == "READ" else "READ"
    work = whole(kind, size)
    way = f"{what} to GPU" if kind == "READ" else f"GPU to {what}"
    return Row(
        f"{size_text(size)}, {way}",
        [
            *of_ours(with_gpu, kind, size, "begun by the GPU's process"),
            *of_ours(with_host, other, size, "begun by the host memory's process"),
            raw(with_gpu, work, "pinned memory of one process", "pinned"),
            nixl(with_gpu, work, 1, once=True),
        ],
        [at_least_gbps(least), share_of(Role.CEILING), share_of(Role.PEER)],
        size=size,
    )


def of_ours(field: Field, kind: str, size: int, name: str) -> list[Contestant]:
    work = whole(kind, size)
    refusal = refusal_of(field, work)
    found = [ours(field, work, f"ours, in wait(), {name}", "wait", refusal=refusal)]
    # That of empty() is what C++ programs allocate; plain memory is any.
    if not refusal and "plain" not in (field.there, field.here):
        found.append(
            ours_in_cpp(field, work, f"ours, C++, in wait(), {name}", spins=False)
        )
    return found
