# SPDX-License-Identifier: Apache-2.0
"""What happens at the end of a process, in a forked child and at Ctrl-C: each in a
process of its own, which must end well and say nothing. Ends of tasks and of event
loops are in test_endings.py."""

import pytest
from sides import run_alone

PREAMBLE = """
import asyncio, gc, os, signal, sys, threading
import nixl_connect as nc
from nixl_connect import Connector, Descriptor, RdmaMetadata
here, there = Connector(), Connector()
def exposed(size=1 << 26):
    return here.create_readable(Descriptor(bytearray(size)), readers=1000)
def reading(readable, size=1 << 26):
    return there.begin_read(readable.metadata(), Descriptor(bytearray(size)))
"""

ENDS = {
    "dropped_operations_in_flight": """
        readable = exposed()
        for _ in range(4): reading(readable)
        """,
    "daemon_threads_that_transfer": """
        readable = exposed(1000)
        begun = threading.Barrier(5)
        def run():
            begun.wait()
            while True:
                try: reading(readable, 1000).wait()
                except nc.Error: pass
        for _ in range(4): threading.Thread(target=run, daemon=True).start()
        begun.wait()
        """,
    "daemon_thread_that_waits": """
        readable = exposed()
        begun = threading.Event()
        def run(): begun.set(); readable.wait()
        threading.Thread(target=run, daemon=True).start()
        readable.add_done_callback(lambda _: None)
        begun.wait()
        """,
    "dropped_connectors": """
        def run():
            with_operations = Connector(), Connector()
            with_operations[0].create_readable(Descriptor(bytearray(10)))
        for _ in range(3): run()
        gc.collect()
        """,
    "forked_child": """
        readable, closed = exposed(10), exposed(10)
        closed.close()
        closed.wait()
        child = os.fork()
        def refused(call):
            try: call()
            except (nc.Unsupported, ImportError): return
            print("not refused", call)
        if child == 0:
            refused(lambda: exposed(10))
            refused(lambda: readable.wait(1))
            refused(lambda: asyncio.run(readable.wait_for_completion()))
            refused(lambda: Connector().create_readable(Descriptor(bytearray(1))))
            if readable.done() or not closed.wait(): print("another status")
            asyncio.run(closed.wait_for_completion())
            readable.cancel()
            readable.close()
            here.close()
            del readable
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert not readable.done()
        """,
    "forked_child_of_one_whose_connectors_are_closed": """
        exposed(10)
        here.close()
        if os.fork() == 0:
            try: Connector().create_readable(Descriptor(bytearray(1)))
            except nc.Unsupported: sys.exit(0)
            os._exit(1)
        assert os.wait()[1] == 0
        """,
    "interrupted_waits": """
        def interrupt():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        # A process started in the background by a shell ignores it otherwise.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        readable = exposed()
        for wait in (readable.wait, lambda: list(nc.as_completed([readable]))):
            timer = threading.Timer(0.05, interrupt)
            timer.start()
            try: wait(); print("not interrupted")
            except KeyboardInterrupt: pass
            timer.join()
        """,
}


@pytest.mark.parametrize("name", ENDS)
def test_process_ends_well(name: str) -> None:
    assert run_alone(PREAMBLE, ENDS[name]) == ""
