# SPDX-License-Identifier: Apache-2.0
"""Losing the last reference to an operation that runs: it is cancelled, which callers
of all generations rely on, so only those who debug are told."""

import gc
import logging
import warnings
import weakref

import nixl_connect as nc
import pytest
from sides import SECONDS, memory, sent


def test_running_operation_that_is_dropped_is_told_to_who_debugs(
    connector: nc.Connector, peer: nc.Connector, caplog: pytest.LogCaptureFixture
) -> None:
    still_open = connector.create_readable(memory())
    assert peer.begin_read(sent(still_open), memory()).wait(SECONDS)
    assert still_open.wait(SECONDS)
    with connector.create_writable(memory()) as ended:
        pass
    assert ended.wait(SECONDS)
    running = connector.create_readable(memory())
    text, reference = repr(running), weakref.ref(running)
    with caplog.at_level(logging.DEBUG, "nixl_connect"), warnings.catch_warnings():
        warnings.simplefilter("error")
        del still_open, ended, running
        gc.collect()
    assert reference() is None
    records = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert records == [("DEBUG", f"dropped, which cancels it: {text}")]
