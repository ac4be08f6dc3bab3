# SPDX-License-Identifier: Apache-2.0
"""Lines of the C++ library's log that wait to become records when the process ends or
forks: each comes once, and nothing hangs. In processes of their own."""

from lines import BUSY, REFUSING
from sides import run_alone

PRINTED = "WARNING a peer's message of 300"

WAITING = f"""{BUSY}
refuse(here, there, 3)
"""
"""One record is in a handler until let_go is set, and three lines wait."""


def test_waiting_lines_come_at_the_end() -> None:
    printed = run_alone(
        REFUSING,
        WAITING,
        """
        import atexit
        atexit.register(let_go.set)
        """,
    )
    assert printed.splitlines() == [PRINTED] * 4


def test_lines_of_the_last_callback_come() -> None:
    """It is called when the thread of the package has been told to end."""
    printed = run_alone(
        REFUSING,
        """
        nc.logger.addHandler(Handler())
        here, there = connectors()
        first, last = (here.create_readable(nc.Descriptor(b"1")) for _ in range(2))
        busy, ending = threading.Event(), threading.Event()
        first.add_done_callback(lambda _: (busy.set(), ending.wait()))
        last.add_done_callback(lambda _: refuse(*connectors()))
        first.cancel()
        busy.wait()
        thread = nc._callbacks._running._thread
        join = thread.join
        thread.join = lambda: (ending.set(), join())
        """,
    )
    assert printed == PRINTED


def test_what_comes_later_goes_to_standard_error() -> None:
    printed = run_alone(
        """
        import atexit
        def later():
            here, there = connectors()
            with here, there: refuse(here, there)
            print(threading.active_count())
        atexit.register(later)
        """,
        REFUSING,
        """
        nc.logger.addHandler(Handler())
        connectors()[0].create_readable(nc.Descriptor(b"1"))
        """,
    )
    first, second = printed.splitlines()
    assert first == "1"
    assert "[nixl_connect] [warning] a peer's message of 300" in second


def test_daemon_thread_may_write_lines_at_the_end() -> None:
    printed = run_alone(
        REFUSING,
        """
        nc.logger.addHandler(logging.NullHandler())
        nc.logger.propagate = False
        here, there = connectors()
        begun = threading.Event()
        def refuse_for_ever():
            while True:
                refuse(here, there)
                begun.set()
        threading.Thread(target=refuse_for_ever, daemon=True).start()
        begun.wait()
        sys.excepthook = threading.excepthook = lambda *_: None
        """,
    )
    assert printed == ""


def test_forked_child_leaves_them_alone() -> None:
    """And ends, though nobody delivers anything there."""
    printed = run_alone(
        REFUSING,
        WAITING,
        """
        child = os.fork()
        if child == 0: sys.exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        sys.stdout.flush()
        let_go.set()
        """,
    )
    assert printed.splitlines() == ["5", *[PRINTED] * 4]


def test_child_that_forked_first_has_its_own() -> None:
    printed = run_alone(
        REFUSING,
        """
        nc.logger.addHandler(Handler())
        child = os.fork()
        if child != 0: sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        refuse(*connectors())
        """,
    )
    assert printed == PRINTED
