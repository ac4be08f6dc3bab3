# SPDX-License-Identifier: Apache-2.0
"""Ends with operations in flight: of tasks, of event loops, of objects, of forked
children and of the process. Each in a process of its own, which must end well, say
nothing and, as far as it goes on, have all memory and file descriptors back."""

import textwrap

import pytest
from sides import LOOPS, run_alone

PREAMBLE = """
import asyncio, gc, multiprocessing, os, sys, threading, time, weakref
import LOOPS
import nixl_connect as nc
from nixl_connect import Connector, Descriptor

SIZE = 1 << 25
here, there = Connector(), Connector()
watched = []

class Owner(bytearray): pass

def owned(size=SIZE):
    owner = Owner(size)
    watched.append(weakref.ref(owner))
    return Descriptor(owner)

def in_flight():
    readable = here.create_readable(owned(), readers=1000)
    writable = here.create_writable(owned(), readers=1000)
    read = there.begin_read(readable.metadata(), owned())
    write = there.begin_write(owned(), writable.metadata())
    return [readable, writable, read, write]

def waits(operations):
    return [asyncio.ensure_future(each.wait_for_completion()) for each in operations]

def run(coroutine):
    loop = LOOPS.new_event_loop()
    try: return loop.run_until_complete(asyncio.wait_for(coroutine, 30))
    finally: loop.close()

def files():
    return sorted(os.readlink(f"/proc/self/fd/{each}").split(":")[0]
                  for each in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{each}"))

def expect_nothing_left():
    end = time.monotonic() + 30
    while any(each() is not None for each in watched):
        if time.monotonic() > end: return print("memory is kept")
        time.sleep(0)
    gc.collect()
    if files() != before: print(before, files(), "file descriptors are kept")

async def warm_up():
    *_, read, write = kept = in_flight()
    await asyncio.gather(*waits([read, write]))

run(warm_up())
gc.collect()
before = files()
"""

ENDS = {
    "task_cancelled": """
        gc.disable()  # what is dropped needs no collector
        async def main():
            operations = in_flight()
            waiting = waits(operations + operations[:2])
            await asyncio.sleep(0)
            for each in waiting: each.cancel()
            await asyncio.wait(waiting)
        run(main())
        expect_nothing_left()
        """,
    "task_cancelled_before_it_began": """
        async def main():
            making = [asyncio.ensure_future(each) for each in in_flight()]
            for each in making: each.cancel()
            await asyncio.wait(making)
        run(main())
        expect_nothing_left()
        """,
    "task_timed_out_and_operation_went_on": """
        async def main():
            operations = in_flight()
            for each in operations:
                try: await asyncio.wait_for(each.wait_for_completion(), 0)
                except asyncio.TimeoutError: pass
            *_, read, write = operations
            await asyncio.gather(*waits([read, write]))
            if read.status is not nc.OperationStatus.COMPLETE: print(read)
        run(main())
        expect_nothing_left()
        """,
    "loop_closed": """
        operations = in_flight()
        loop = LOOPS.new_event_loop()
        async def suspend():
            waiting = waits(operations)
            await asyncio.sleep(0)
            # Of its own tasks asyncio would warn, and rightly.
            for each in waiting: each._log_destroy_pending = False
        loop.run_until_complete(suspend())
        loop.close()
        for each in operations[2:]: each.wait()
        async def main():
            for each in operations: each.cancel()
            await asyncio.gather(*waits(operations))
        run(main())
        del loop, operations, each
        gc.collect()
        run(warm_up())
        expect_nothing_left()
        """,
    "collected_on_another_thread": """
        async def main():
            operations = in_flight()
            waiting = waits(operations[2:])
            await asyncio.sleep(0)
            cycle = [in_flight()]
            cycle.append(cycle)
            *_, write = cycle[0]
            write.add_done_callback(lambda _, kept=cycle: None)
            del cycle, write
            threads = [threading.Thread(target=gc.collect) for _ in range(4)]
            for each in threads: each.start()
            await asyncio.gather(*waiting)
            for each in threads: each.join()
        gc.disable()
        run(main())
        collecting = threading.Thread(target=gc.collect)
        collecting.start(); collecting.join()
        expect_nothing_left()
        """,
    "loop_collected_on_another_thread": """
        gc.disable()
        def abandon():
            loop = LOOPS.new_event_loop()
            loop.cycle = loop if hasattr(loop, "__dict__") else None
            operations = in_flight()
            async def main():
                waiting = waits(operations)
                await asyncio.sleep(0)
                for each in waiting: each.cancel()
                await asyncio.wait(waiting)
            loop.run_until_complete(main())
            loop.close()
        abandon()
        collecting = threading.Thread(target=gc.collect)
        collecting.start(); collecting.join()
        run(warm_up())
        expect_nothing_left()
        """,
    "forked": """
        def refused(call):
            try: call()
            except nc.Unsupported as error: assert "fork" in str(error)
            else: print("not refused", call)
        def in_child(operations):
            refused(lambda: operations[0].wait())
            refused(lambda: here.create_readable(owned()))
            async def main():
                async with operations[1]:
                    await operations[0].wait_for_completion()
            refused(lambda: run(main()))
            for each in operations: each.cancel(); each.close()
            operations.clear()
            del each
            gc.collect()
        async def main():
            operations = in_flight()
            waiting = waits(operations)
            await asyncio.sleep(0)
            kept = list(operations)
            child = multiprocessing.get_context("fork").Process(
                target=in_child, args=(operations,))
            child.start()
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, child.join)
            if child.exitcode != 0: print("child:", child.exitcode)
            await asyncio.gather(*waiting[2:])
            for each in kept: each.cancel()
            await asyncio.gather(*waiting)
            await loop.shutdown_default_executor()
            child.close()
        run(main())
        expect_nothing_left()
        """,
    "process_left_in_a_task": """
        async def main():
            waiting = waits(in_flight())
            await asyncio.sleep(0)
            sys.exit(0)
        LOOPS.run(main())
        """,
    "process_left_with_a_loop_in_a_thread": """
        begun = threading.Event()
        async def main():
            waiting = waits(in_flight())
            await asyncio.sleep(0)
            begun.set()
            await asyncio.gather(*waiting, return_exceptions=True)
        threading.Thread(target=lambda: run(main()), daemon=True).start()
        begun.wait()
        """,
    "process_left_with_everything_in_globals": """
        operations, loop = in_flight(), LOOPS.new_event_loop()
        async def main():
            for each in operations: each.add_done_callback(lambda _: None)
            wait = asyncio.ensure_future(operations[0].wait_for_completion())
            await asyncio.sleep(0)
            wait.cancel()
            await asyncio.wait([wait])
        loop.run_until_complete(main())
        loop.close()
        for each in operations: each.add_done_callback(lambda _: None)
        """,
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", ENDS)
def test_nothing_is_left(name: str, loop: str) -> None:
    preamble = PREAMBLE.replace("LOOPS", loop)
    code = textwrap.dedent(ENDS[name]).replace("LOOPS", loop)
    assert run_alone(preamble + code) == ""
