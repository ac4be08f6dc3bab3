# SPDX-License-Identifier: Apache-2.0
"""Objects of the extension module that are left at the end of a process are reported by
nanobind. None may be: not after any use, and not after failures."""

import pytest
from sides import run_alone

USES = {
    "values": """
        d = nc.Descriptor(bytearray(100))
        parts = [d, d[10:20], nc.Descriptor.pages(bytearray(64), 8, [1, 2])]
        metadata = nc.RdmaMetadata(
            descriptors=[nc.SerializedDescriptor(ptr=4096, size=64)],
            nixl_metadata="b64:", notification_key="key", operation_kind=1)
        pages = metadata.pages(8, [1, 2])
        """,
    "refusals": """
        for wrong in (None, 5, (1,), (1, -1), (1, 2, "tpu")):
            try: nc.Descriptor(wrong)
            except (TypeError, ValueError): pass
        metadata = here.create_readable(nc.Descriptor(b"12345678")).metadata()
        for wrong in (None, [], nc.Descriptor(bytearray(9)), nc.Descriptor(b"1")):
            try: there.begin_read(metadata, wrong)
            except (TypeError, ValueError): pass
        """,
    "transfers": """
        async def main():
            readable = await here.create_readable(nc.Descriptor(b"12345678"))
            metadata = readable.metadata()
            read = await there.begin_read(metadata, nc.Descriptor(bytearray(8)))
            await read.wait_for_completion()
            await readable.wait_for_completion()
            print(len(read.results()), read.remote.connection is read.connection)
        asyncio.run(main())
        """,
    "failures": """
        readable = here.create_readable(nc.Descriptor(b"12345678"), timeout=0.001)
        try: readable.wait()
        except nc.TimedOut as error: kept = error
        read = there.begin_read(readable.metadata(), nc.Descriptor(bytearray(8)))
        try: asyncio.run(read.wait_for_completion())
        except nc.Error as error: kept = error
        """,
    "cycles": """
        class Memory(bytearray): pass
        memory = Memory(10)
        memory.operation = here.create_readable(nc.Descriptor(memory))
        memory.operation.add_done_callback(lambda _: memory)
        connection = here._as_connection()
        connection.connector.kept = connection
        """,
    "registrations": """
        kept = [nc.Descriptor(bytearray(10)) for _ in range(10)]
        for each in kept: each.register_with_connector(here)
        kept[0].deregister_with_connector(here)
        blob = here.metadata
        with nc.Remote(there, blob) as remote: pass
        """,
}
PREAMBLE = """
import asyncio
import nixl_connect as nc
here, there = nc.Connector(), nc.Connector()
"""


@pytest.mark.parametrize("name", USES)
def test_nothing_is_left_at_the_end(name: str) -> None:
    printed = run_alone(PREAMBLE, USES[name])
    assert printed == ("1 True" if name == "transfers" else "")


@pytest.mark.parametrize(
    ("object_", "kind"),
    [
        ("nc.Descriptor(bytearray(10))._memory", "Memory"),
        ("nc._native.CompletionQueue()", "CompletionQueue"),
        ("here.create_readable(nc.Descriptor(b'1'))._native", "Operation"),
        ("here._as_connection()._native", "Connector"),
    ],
)
def test_what_is_left_is_reported(object_: str, kind: str) -> None:
    """So that the tests above can fail."""
    printed = run_alone(
        PREAMBLE,
        f"""
        import ctypes
        ctypes.pythonapi.Py_IncRef(ctypes.py_object({object_}))
        """,
    )
    assert "nanobind: leaked" in printed
    assert f"_native.{kind}" in printed
