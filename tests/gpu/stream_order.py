#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Operations in the order of torch's streams, on real GPUs, between two processes.

Usage: stream_order.py. Needs torch, nixl_connect and one or two GPUs; half a minute.
Each program is run without the order, where it should go wrong (a GPU that is fast
enough may hide that), and with it, where it must not. Prints a line for each and fails
if any goes wrong with it, or if a call waits for a GPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import torch
from nixl_connect import (
    Connector,
    Descriptor,
    Disconnected,
    OperationStatus,
    RdmaMetadata,
)

SIZE = 32 << 20
PAGE = 4096
PAGES = list(range(0, SIZE // PAGE, 2))
CYCLES = 400_000_000  # 0.2 s of an H200
BUSY_SECONDS = 0.08  # at least so long a GPU takes for them
CALL_SECONDS = 0.1  # at most so long a call takes that waits for no GPU
TIMEOUT = 10


def keep_busy(times: int = 1) -> None:
    """The current stream; returns at once."""
    for _ in range(times):
        torch.cuda._sleep(CYCLES)


def filled(value: int) -> Any:
    made = torch.full((SIZE,), value, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    return made


def is_all(tensor: Any, value: int) -> bool:
    return bool((tensor == value).all().item())


def stream_option(ordered: bool) -> dict[str, Any]:
    return {} if ordered else {"stream": False}


class Exposing:
    """The other process."""

    def __init__(self) -> None:
        self.connector = Connector()
        self.cache = filled(0)
        self.operation: Any = None
        self.before: Any = None
        self.after: Any = None

    def serve(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            answer = getattr(self, order.pop("do"))(**order)
            print(json.dumps(answer), flush=True)

    def warm_up(self) -> None:
        keep_busy()
        self.after = self.cache.clone() + 1
        torch.cuda.synchronize()

    def readable(self, ordered: bool, value: int, busy: int) -> Any:
        """What is read is still to be written."""
        self.cache.fill_(0)
        torch.cuda.synchronize()
        keep_busy(busy)
        self.cache.fill_(value)
        began = time.perf_counter()
        self.operation = self.connector.create_readable(
            Descriptor(self.cache), readers=1, timeout=TIMEOUT, **stream_option(ordered)
        )
        metadata = self.operation.metadata().model_dump_json()
        return metadata, time.perf_counter() - began

    def writable(self, ordered: bool) -> Any:
        """What was there is still to be read, and what comes to be used."""
        self.cache.fill_(5)
        torch.cuda.synchronize()
        keep_busy()
        self.before = self.cache.clone()
        began = time.perf_counter()
        self.operation = self.connector.create_writable(
            Descriptor(self.cache), timeout=TIMEOUT, **stream_option(ordered)
        )
        if ordered:
            self.operation.wait_on()
        metadata = self.operation.metadata().model_dump_json()
        seconds = time.perf_counter() - began
        self.after = self.cache + 1
        return metadata, seconds

    def check_written(self, value: int) -> bool:
        torch.cuda.synchronize()
        self.operation.wait(TIMEOUT)
        complete = self.operation.status is OperationStatus.COMPLETE
        return complete and is_all(self.before, 5) and is_all(self.after, value + 1)


class Peer:
    """The Exposing process, as this one sees it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--exposing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def expose(self, do: str, **arguments: Any) -> tuple[RdmaMetadata, float]:
        metadata, seconds = self.ask(do, **arguments)
        return RdmaMetadata.model_validate_json(metadata), seconds

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Checks:
    def __init__(self) -> None:
        self.failures = 0

    def tell(self, what: str, is_right: bool, ordered: bool = True) -> None:
        if ordered and not is_right:
            self.failures += 1
        if ordered:
            outcome = "right" if is_right else "WRONG"
        else:
            outcome = "right, by luck" if is_right else "wrong, as it has to be"
        order = "in order" if ordered else "without  "
        print(f"{order}  {what}: {outcome}", flush=True)


def read_first_of_all(peer: Peer, connector: Connector, checks: Checks) -> None:
    """Pages, by a kernel that is loaded while the stream waits for them."""
    metadata, _ = peer.expose("readable", ordered=True, value=3, busy=1)
    target = filled(0)
    began = time.perf_counter()
    read = connector.begin_read(
        metadata.pages(PAGE, PAGES),
        Descriptor.pages(target, PAGE, PAGES),
        timeout=TIMEOUT,
    )
    read.wait_on()
    called = time.perf_counter() - began
    used = target.view(-1, PAGE)[::2] + 1
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    read.wait(TIMEOUT)
    is_complete = read.status is OperationStatus.COMPLETE
    checks.tell(
        "the first pages are used behind their read", is_complete and is_all(used, 4)
    )
    print(f"          the calls took {called:.3f} s, all of it {seconds:.3f} s")


def read(peer: Peer, connector: Connector, checks: Checks, ordered: bool) -> None:
    option = stream_option(ordered)
    metadata, called = peer.expose("readable", ordered=ordered, value=7, busy=1)
    target = filled(0)
    began = time.perf_counter()
    operation = connector.begin_read(
        metadata, Descriptor(target), timeout=TIMEOUT, **option
    )
    operation.wait(TIMEOUT)
    seconds = time.perf_counter() - began
    checks.tell("what a peer's stream still writes is read", is_all(target, 7), ordered)
    if ordered:
        checks.tell(f"to expose it took {called:.4f} s", called < CALL_SECONDS)
        checks.tell(f"the read took {seconds:.3f} s", seconds > BUSY_SECONDS)

    metadata, _ = peer.expose("readable", ordered=True, value=8, busy=0)
    target = filled(1)
    keep_busy()
    before = target.clone()
    with connector.begin_read(
        metadata, Descriptor(target), timeout=TIMEOUT, **option
    ) as operation:
        operation.wait(TIMEOUT)
    is_right = is_all(before, 1) and is_all(target, 8)
    checks.tell("what the stream still reads is not read over", is_right, ordered)

    metadata, _ = peer.expose("readable", ordered=True, value=9, busy=1)
    target = filled(0)
    began = time.perf_counter()
    operation = connector.begin_read(
        metadata, Descriptor(target), timeout=TIMEOUT, **option
    )
    if ordered:
        operation.wait_on()
    called = time.perf_counter() - began
    used = target + 1
    torch.cuda.synchronize()
    operation.wait(TIMEOUT)
    checks.tell("a kernel uses what was read before it", is_all(used, 10), ordered)
    if ordered:
        checks.tell(f"to queue it took {called:.4f} s", called < CALL_SECONDS)


def write(peer: Peer, connector: Connector, checks: Checks, ordered: bool) -> None:
    metadata, called = peer.expose("writable", ordered=ordered)
    source = filled(0)
    keep_busy()
    source.fill_(9)
    operation = connector.begin_write(
        Descriptor(source), metadata, timeout=TIMEOUT, **stream_option(ordered)
    )
    if ordered:
        operation.wait_on()
    source.fill_(1)
    operation.wait(TIMEOUT)
    is_right = peer.ask("check_written", value=9)
    checks.tell("a write is in order on both sides", is_right, ordered)
    if ordered:
        checks.tell(f"to expose it took {called:.4f} s", called < CALL_SECONDS)


def read_on_a_stream(peer: Peer, connector: Connector, checks: Checks) -> None:
    stream = torch.cuda.Stream()
    target = filled(0)
    with torch.cuda.stream(stream):
        for value in range(11, 19):
            metadata, _ = peer.expose("readable", ordered=True, value=value, busy=0)
            operation = connector.begin_read(
                metadata, Descriptor(target), timeout=TIMEOUT
            )
            operation.wait_on()
            used = target + 1
            operation.wait(TIMEOUT)
            stream.synchronize()
            checks.tell(f"another stream, round {value - 10}", is_all(used, value + 1))


def cancel_and_kill(peer: Peer, connector: Connector, checks: Checks) -> None:
    """What waits for a peer's stream ends without it."""
    for is_killed in (False, True):
        metadata, _ = peer.expose("readable", ordered=True, value=7, busy=20)
        operation = connector.begin_read(
            metadata, Descriptor(filled(0)), timeout=TIMEOUT
        )
        operation.wait_on()
        began = time.perf_counter()
        if is_killed:
            peer.end()
        else:
            operation.cancel()
        try:
            operation.wait(TIMEOUT)
        except Disconnected:
            pass
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
        ended = OperationStatus.ERRORED if is_killed else OperationStatus.CANCELLED
        is_right = operation.status is ended and seconds < 2
        how = "a peer dies" if is_killed else "a read is cancelled"
        checks.tell(f"{how}, after {seconds:.3f} s: {operation.status}", is_right)


def measure(peer: Peer, connector: Connector) -> None:
    """What the order costs where there is nothing to wait for."""
    for ordered in (False, True):
        times = []
        target = torch.zeros(PAGE, dtype=torch.uint8, device="cuda")
        for _ in range(100):
            metadata, _ = peer.expose("readable", ordered=ordered, value=1, busy=0)
            began = time.perf_counter()
            operation = connector.begin_read(
                metadata.pages(PAGE, [1]), Descriptor(target), **stream_option(ordered)
            )
            operation.wait(TIMEOUT)
            times.append(time.perf_counter() - began)
        middle = sorted(times)[len(times) // 2] * 1e6
        how = "in order" if ordered else "without order"
        print(f"          a page {how}: {middle:.0f} us")


def main() -> int:
    if sys.argv[1:] == ["--exposing"]:
        torch.cuda.set_device(0)
        Exposing().serve()
        return 0
    torch.cuda.set_device(min(1, torch.cuda.device_count() - 1))
    peer, checks = Peer(), Checks()
    try:
        with Connector() as connector:
            peer.ask("warm_up")
            keep_busy()
            (filled(0).clone() + 1).fill_(2)
            torch.cuda.synchronize()
            read_first_of_all(peer, connector, checks)
            for ordered in (False, True):
                read(peer, connector, checks, ordered)
                write(peer, connector, checks, ordered)
            read_on_a_stream(peer, connector, checks)
            measure(peer, connector)
            cancel_and_kill(peer, connector, checks)
    finally:
        peer.end()
    print(f"{checks.failures} failures")
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
