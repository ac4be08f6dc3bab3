# SPDX-License-Identifier: Apache-2.0
"""The lines of the C++ library's log, as records of the package's logger."""

import gc
import logging
import queue
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import nixl_connect as nc
import pytest
from lines import BUSY, REFUSING, deliver_all, refuse
from sides import SECONDS, memory, run_alone, sent
from watched import is_gone

LOGGER = logging.getLogger("nixl_connect")
LINE = "a peer's message of 3"
PRINTED = "WARNING a peer's message of 300"


class Records(logging.Handler):
    """Those that have come, behind the handlers that were there before."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._queue.put(record)

    def next(self) -> logging.LogRecord:
        return self._queue.get(timeout=SECONDS)

    def until(self, begin: str) -> logging.LogRecord:
        while not (record := self.next()).getMessage().startswith(begin):
            pass
        return record


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[Records]:
    handler = Records()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def test_line_of_the_library_is_a_record(
    connector: nc.Connector,
    peer: nc.Connector,
    records: Records,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = time.time()
    refuse(connector, peer)
    after = time.time()
    record = records.next()
    assert record in caplog.records
    assert (record.name, record.levelname) == ("nixl_connect", "WARNING")
    assert record.getMessage().startswith(LINE) and record.args == ()
    assert before <= record.created <= after
    assert record.msecs == int(record.created % 1 * 1000)


def test_record_has_the_time_of_its_line(
    connector: nc.Connector, peer: nc.Connector, records: Records
) -> None:
    let_go, busy = threading.Event(), threading.Event()
    readable = connector.create_readable(memory())
    readable.add_done_callback(lambda _: (busy.set(), let_go.wait(SECONDS)))
    readable.cancel()
    assert busy.wait(SECONDS)  # the thread that makes the records
    refuse(connector, peer)
    written = time.time()
    made = logging.makeLogRecord({})
    let_go.set()
    record = records.next()
    assert record.created <= written
    assert record.relativeCreated <= made.relativeCreated


def test_records_hold_texts_only(
    connector: nc.Connector, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler may keep them, and would keep operations and their memory with them."""
    with caplog.at_level(logging.DEBUG, "nixl_connect"), nc.Connector() as fresh:
        source, target = memory(), memory()
        source.register_with_connector(fresh)
        operations = [fresh.create_readable(source), connector.create_writable(target)]
        operations.append(connector.begin_read(sent(operations[0]), target))
        operations[2].wait(SECONDS)
        operations[2].add_done_callback(lambda _: 1 // 0)
        raised = records.until("a completion callback raised").getMessage()
        watched = [weakref.ref(each) for each in operations]
        operations.clear()
        gc.collect()
    for each in watched:
        assert is_gone(each)
    assert "ZeroDivisionError" in raised.splitlines()[-1]
    begins = ("opened", "registered", "exposed", "begun", "dropped")
    for begin in begins:
        assert any(each.message.startswith(begin) for each in caplog.records), begin
    for record in caplog.records:
        assert record.exc_info is None
        assert isinstance(record.args, tuple)
        assert all(type(each) is str for each in record.args)


def open_another() -> None:
    with nc.Connector() as connector:
        connector.create_readable(memory())


@pytest.mark.parametrize("is_known_to_the_library", [False, True])
def test_level_of_the_logger_holds(
    connector: nc.Connector,
    peer: nc.Connector,
    records: Records,
    caplog: pytest.LogCaptureFixture,
    is_known_to_the_library: bool,
) -> None:
    with caplog.at_level(logging.ERROR, "nixl_connect"):
        if is_known_to_the_library:
            open_another()
        refuse(connector, peer)
        deliver_all(connector)
    open_another()
    refuse(connector, peer, 2)
    numbers = [int(records.next().getMessage().split()[4]) for _ in range(2)]
    assert numbers[1] == numbers[0] + 1  # the earlier one has the first number, too


def test_level_may_change_while_connectors_are_open(
    connector: nc.Connector, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    with nc.Connector() as late:
        late.create_readable(memory()).cancel()  # opens it
        with caplog.at_level(logging.DEBUG, "nixl_connect"):
            readable = connector.create_readable(memory())  # notices
            late.begin_read(sent(readable), memory()).wait()
            record = records.until("peer ")
            assert record.levelname == "INFO" and "connected" in record.getMessage()


@pytest.mark.parametrize(
    ("level", "named", "starts"),
    [
        ("NOTSET", "", True),
        ("CRITICAL", "", False),
        ("NOTSET", "off", False),
        ("CRITICAL", "error", True),
    ],
)
def test_silent_log_has_no_thread(level: str, named: str, starts: bool) -> None:
    printed = run_alone(
        REFUSING,
        f"nc.logger.setLevel('{level}')",
        """
        here, there = connectors()
        refuse(here, there)
        print([each.name for each in threading.enumerate()][1:])
        """,
        NIXL_CONNECT_LOG=named,
    )
    names = "['nixl_connect_callbacks']" if starts else "[]"
    assert names in printed.splitlines()
    assert (LINE in printed) is (level == "NOTSET" and named == "")


def test_thread_sleeps_while_nothing_is_said(connector: nc.Connector) -> None:
    """Until it is woken: a wait that looks around would be seen here."""
    readable = connector.create_readable(memory())
    deliver_all(connector)
    (thread,) = (
        each for each in threading.enumerate() if each.name == "nixl_connect_callbacks"
    )
    status = Path(f"/proc/self/task/{thread.native_id}/status")

    def times_slept() -> int:
        return int(status.read_text().split("voluntary_ctxt_switches:")[1].split()[0])

    deliver_all(connector)
    before = times_slept()
    assert not readable.wait(timeout=0.5)
    assert times_slept() <= before + 2


@pytest.mark.parametrize("named", ["", "info", "error"])
@pytest.mark.parametrize("configured", [False, True])
def test_environment_says_what_is_logged(named: str, configured: bool) -> None:
    """And it is seen without any configuration of Python's, as warnings always are."""
    printed = run_alone(
        REFUSING,
        f"if {configured}: logging.basicConfig(format='%(module)s %(message)s')",
        "refuse(*connectors())",
        NIXL_CONNECT_LOG=named,
    )
    assert ("using UCX" in printed) is (named == "info")
    assert (LINE in printed) is (named != "error")
    for line in printed.splitlines():
        assert line.startswith("_native ") is configured
        assert ("[nixl_connect] [" in line) is (named == "info" and not configured)


def test_logger_of_dynamo_gets_them() -> None:
    printed = run_alone(
        REFUSING,
        """
        nc.install_as_dynamo()
        logging.getLogger("dynamo.nixl_connect").addHandler(Handler())
        refuse(*connectors())
        """,
    )
    assert printed == PRINTED


def test_what_comes_too_fast_is_counted() -> None:
    """The library does not wait for a handler, and keeps what a list may hold."""
    printed = run_alone(
        REFUSING,
        "nc._library_log._MOST_LINES = 3",
        BUSY,
        """
        refuse(here, there, 5)
        let_go.set()
        """,
    )
    lost = "WARNING 2 lines of the library'"
    assert printed.splitlines() == [*[PRINTED] * 4, lost]


def test_handler_may_use_connectors() -> None:
    printed = run_alone(
        REFUSING,
        """
        class Using(Handler):
            def emit(self, record):
                with here.create_readable(nc.Descriptor(b"12345678")) as readable:
                    with nc.Connector() as another:
                        target = bytearray(8)
                        read = another.begin_read(
                            readable.metadata(), nc.Descriptor(target))
                        read.wait()
                        print(bytes(target).decode())
                done.set()
        done = threading.Event()
        here, there = connectors()
        nc.logger.addHandler(Using())
        refuse(here, there)
        done.wait()
        """,
    )
    assert printed == "12345678"


def test_handler_that_raises_gets_the_next_one() -> None:
    printed = run_alone(
        REFUSING,
        """
        raised = threading.Event()
        def raises_once(record):
            if raised.is_set(): return True
            raised.set()
            raise ValueError("of a filter")
        nc.logger.addHandler(Handler())
        nc.logger.addFilter(raises_once)
        here, there = connectors()
        refuse(here, there)
        raised.wait()
        refuse(here, there)
        """,
    )
    assert printed.splitlines()[0] == PRINTED
    assert "ValueError: of a filter" in printed
