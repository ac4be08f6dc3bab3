# SPDX-License-Identifier: Apache-2.0
"""Has the C++ library write lines to its log, on purpose. Also the beginning of
programs that do so in processes of their own."""

import base64
import inspect
import threading
import zlib

import nixl_connect as nc
from sides import SECONDS, memory


def refuse(here: nc.Connector, there: nc.Connector, times: int = 1) -> None:
    """Has `here` write so many warnings, which are written when this returns. `there`
    takes it for a genuine NIXL agent, so it notifies it: by a key that is longer than a
    message may be, and then, behind that, by the right one."""
    for number in range(times):
        with here.create_readable(nc.Descriptor(b"12345678"), readers=1) as readable:
            metadata = readable.metadata()
            blob = zlib.decompress(base64.b64decode(metadata.nixl_metadata[4:]))
            text = base64.b64encode(zlib.compress(blob.replace(b"nxcx1", b"nxcx9")))
            for key in ("k" * (300_000 + number), metadata.notification_key):
                changed = {
                    "nixl_metadata": "b64:" + text.decode(),
                    "notification_key": key,
                }
                read = there.begin_read(
                    metadata.model_copy(update=changed), nc.Descriptor(bytearray(8))
                )
                read.wait()
            assert readable.wait(30)


def deliver_all(connector: nc.Connector) -> None:
    """Waits for a call on the thread that makes the records, behind those of all lines
    that have been written."""
    delivered = threading.Event()
    readable = connector.create_readable(memory())
    readable.add_done_callback(lambda _: delivered.set())
    readable.cancel()
    assert delivered.wait(SECONDS)


REFUSING = f"""
import base64, logging, os, sys, threading, zlib
import nixl_connect as nc
{inspect.getsource(refuse)}
def connectors(): return nc.Connector(), nc.Connector()
class Handler(logging.Handler):
    def emit(self, record): print(record.levelname, record.getMessage()[:23])
"""
"""With `refuse` and `connectors`, none of which is made yet, and a Handler that prints
the level and the beginning of the text."""

BUSY = """
busy, let_go = threading.Event(), threading.Event()
class Slow(Handler):
    def emit(self, record):
        busy.set()
        let_go.wait()
        super().emit(record)
nc.logger.addHandler(Slow())
here, there = connectors()
refuse(here, there)
busy.wait()
"""
"""Behind REFUSING: one record is in a handler, where it stays until let_go is set."""
