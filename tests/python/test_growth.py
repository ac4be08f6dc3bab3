# SPDX-License-Identifier: Apache-2.0
"""What must not grow, slow down or stand still: memory, file descriptors and rate over
20,000 operations, and the event loop during a large read. In processes of their own.
`bench/await_bench.py --churn 20000` measures the same with two processes."""

import json
from pathlib import Path
from typing import Any

import pytest
from sides import run_alone

SCHEDULED = Path("/proc/thread-self/schedstat")

CHURN = """
import asyncio, gc, json, os, sys, time
from nixl_connect import Connector, Descriptor, RdmaMetadata

SIZE, BLOCK, BLOCKS = 4096, 500, 20
KEEPS = {"overlapping": 2, "dropped": 1}

def resources():
    gc.collect()
    with open("/proc/self/statm") as pages:
        resident = int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return resident, len(os.listdir("/proc/self/fd"))

async def churn(here, there, keeps):
    source, target = bytearray(SIZE), bytearray(SIZE)
    kept, blocks = [], []
    for _ in range(BLOCKS):
        start = time.thread_time()
        for number in range(BLOCK):
            source[:8] = source[-8:] = number.to_bytes(8, "little")
            if keeps == 1: kept.clear()
            readable = await here.create_readable(Descriptor(source))
            text = readable.metadata().model_dump_json()
            metadata = RdmaMetadata.model_validate_json(text)
            read = await there.begin_read(metadata, Descriptor(target))
            await read.wait_for_completion()
            await readable.wait_for_completion()
            assert target[:8] == target[-8:] == source[:8]
            kept.append((readable, read))
            del readable, read
            del kept[:-keeps]
        blocks.append((time.thread_time() - start, *resources()))
    return blocks

async def main():
    async with Connector() as here, Connector() as there:
        series = {name: await churn(here, there, keeps)
                  for name, keeps in KEEPS.items()}
    print(json.dumps(series))

asyncio.run(main())
"""


@pytest.mark.timing
def test_nothing_grows_over_20000_operations() -> None:
    """From the middle of each half on, when caches and allocators are warm: what the
    last 4,096 peers said is kept. The time is the thread's own, as others may want the
    processor, too."""
    series: dict[str, Any] = json.loads(run_alone(CHURN))
    assert list(series) == ["overlapping", "dropped"]
    for blocks in series.values():
        seconds, resident, files = zip(*blocks, strict=True)
        middle = len(blocks) // 2
        assert set(files[middle:]) == {files[-1]}
        assert resident[-1] - resident[middle] < 1 << 20
        third = len(blocks) // 3
        assert sum(seconds[-third:]) < 1.5 * sum(seconds[:third])


LARGE_READ = """
import asyncio, os, time
from nixl_connect import Connector, Descriptor

SIZE = 1 << 28

def stood_still(file):
    "Wall clock, less what the thread has waited for a processor. Seconds."
    return time.monotonic() - int(os.pread(file, 100, 0).split()[1]) / 1e9

async def longest(read, file):
    longest, before = 0, stood_still(file)
    while not read.done():
        await asyncio.sleep(0)
        now = stood_still(file)
        longest, before = max(longest, now - before), now
    return longest

async def main():
    file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
    here, there = Connector(), Connector()
    source, target = bytearray(SIZE), bytearray(SIZE)
    readable = here.create_readable(Descriptor(source), readers=1000)
    found = []
    for _ in range(4):
        read = await there.begin_read(readable.metadata(), Descriptor(target))
        wait = asyncio.ensure_future(read.wait_for_completion())
        found.append(await longest(read, file))
        await wait
    print(min(found))
    await here.aclose()
    await there.aclose()

asyncio.run(main())
"""


def is_scheduling_told() -> bool:
    """Whether the kernel counts how long threads run, and wait for processors."""
    try:
        return int(SCHEDULED.read_text().split()[0]) > 0
    except FileNotFoundError:
        return False


@pytest.mark.timing
@pytest.mark.skipif(not is_scheduling_told(), reason="needs the kernel's schedstat")
def test_large_read_leaves_the_loop_alone() -> None:
    """Copied under the lock of the interpreter, it would stand still for 15 ms and
    more. The quietest of some reads, as other processes are no fault of ours."""
    assert float(run_alone(LARGE_READ)) < 0.001


DEAD_PEERS = """
import gc, os, subprocess, sys
from nixl_connect import Connector, Descriptor, Disconnected, RdmaMetadata

PEER = '''
import sys
from nixl_connect import Connector, Descriptor
readable = Connector().create_readable(Descriptor(bytearray(1000)))
print(readable.metadata().model_dump_json(), flush=True)
sys.stdin.read()
'''

def metadata_of_a_peer(use):
    with subprocess.Popen([sys.executable, "-c", PEER], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as peer:
        metadata = RdmaMetadata.model_validate_json(peer.stdout.readline())
        use(metadata)
        peer.kill()
    return metadata

def read(metadata):
    connector.begin_read(metadata, Descriptor(bytearray(1000))).wait()

def read_of_the_dead(metadata):
    for _ in range(10):
        try: read(metadata)
        except Disconnected: continue
        sys.exit("not noticed")

def files():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))

connector = Connector()
counts = []
for _ in range(4):
    metadata = metadata_of_a_peer(read)
    read_of_the_dead(metadata)
    counts.append(files())
print(counts[-1] - counts[0])
"""


def test_peers_that_died_leave_no_file_descriptors() -> None:
    """Neither those that were connected, nor the ten tries to reach each of them."""
    assert int(run_alone(DEAD_PEERS)) <= 3  # UCX keeps one of a try that it refuses
