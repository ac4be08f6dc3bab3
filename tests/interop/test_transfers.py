# SPDX-License-Identifier: Apache-2.0
"""Our library and a genuine NIXL agent move bytes in all four ways: each side exposes,
each side initiates, for reading and for writing."""

import json
import unittest
import uuid

import envelope
from pairing import End, Pairing, scatter, unequal
from peers import WAIT_MS, ConnectorPeer, Peer, Refused

SIZES = [1, 8, 4095, 4096, 4097, 65_537, 1 << 20, 64 << 20]
COUNTS = [1, 2, 17, 1000]


class FourWays(Pairing):
    """Every test runs for each of the four ways."""

    def ways(self):
        for exposer, initiator in (self.ours, self.genuine), (self.genuine, self.ours):
            for kind in "READ", "WRITE":
                yield exposer, initiator, kind

    def describe(self, exposer: Peer, kind: str) -> str:
        who = "genuine" if exposer is self.ours else "we"
        return f"{who} {kind}"

    def test_one_descriptor_of_any_size(self):
        for exposer, initiator, kind in self.ways():
            for size in SIZES:
                with self.subTest(self.describe(exposer, kind), size=size):
                    self.check_transfer(exposer, initiator, kind, [size])

    def test_scattered_descriptors(self):
        for exposer, initiator, kind in self.ways():
            for count in COUNTS:
                with self.subTest(self.describe(exposer, kind), count=count):
                    self.check_transfer(exposer, initiator, kind, unequal(count))

    def test_scattered_descriptors_registered_one_by_one(self):
        for kind in "READ", "WRITE":
            for count in COUNTS:
                with self.subTest(f"genuine {kind}", count=count):
                    self.check_transfer(
                        self.ours, self.genuine, kind, unequal(count), owned=False
                    )
                with self.subTest(f"we {kind}", count=count):
                    self.check_regions(kind, unequal(count))

    def check_regions(self, kind: str, sizes: list[int]) -> None:
        """Against a genuine agent whose metadata has one region for each piece."""
        exposed = End(self.genuine, scatter(sizes, seed=1))
        local = End(self.ours, scatter(sizes, seed=2))
        exposed.fill(seed=3, regions=exposed.layout.pieces)
        local.fill(seed=4)
        self.run_operation(exposed, local, kind)
        self.assert_moved(exposed, local, kind)

    def test_ten_operations_in_flight(self):
        for exposer, initiator, kind in self.ways():
            with self.subTest(self.describe(exposer, kind)):
                self.check_in_flight(exposer, initiator, kind, size=1 << 20)

    def check_in_flight(self, exposer: Peer, initiator: Peer, kind: str, size: int):
        """All ten have begun before the first is waited for."""
        operations = []
        for index in range(10):
            buffer = f"flight-{index}"
            ends = self.fill_ends(exposer, initiator, [size], buffer, seed=index)
            operations.append((buffer, *ends))
        for op, exposed, local in operations:
            metadata = self.expose(exposed, kind, op)
            initiator.ask("begin", op=op, kind=kind, metadata=metadata, **local.place())
        for op, exposed, local in operations:
            self.assert_transferred(initiator, op, size)
            self.assert_served(exposer, op, size)
            self.assert_moved(exposed, local, kind)
            initiator.ask("drop", op=op)
            exposer.ask("drop", op=op)

    def test_hexadecimal_metadata(self):
        for exposer, initiator, kind in self.ways():
            with self.subTest(self.describe(exposer, kind)):
                self.check_transfer(exposer, initiator, kind, [4096], hex=True)


class InventedKeys(Pairing):
    """Metadata made by hand around a key that belongs to no operation."""

    def expose_by_hand(self, exposed: End) -> str:
        """Readable, but under another key than the exposing operation's."""
        genuine = json.loads(self.expose(exposed, "READ", "hidden"))
        return json.dumps({**genuine, "notification_key": str(uuid.uuid4())})

    def read(self, reader: Peer, metadata: str, exposed: End) -> None:
        local = End(reader, exposed.layout)
        local.fill(seed=2)
        reader.ask("begin", op="read", kind="READ", metadata=metadata, **local.place())
        ((_, size),) = exposed.layout.pieces
        self.assert_transferred(reader, "read", size)
        self.assert_moved(exposed, local, "READ")
        reader.ask("drop", op="read")

    def test_several_readers_read_without_a_passive_operation(self):
        exposed = End(self.genuine, scatter([65_537], seed=1))
        exposed.fill(seed=1)
        metadata = self.expose_by_hand(exposed)
        other = ConnectorPeer()
        self.addCleanup(other.close)
        for reader in self.ours, other, self.ours, other:
            self.read(reader, metadata, exposed)

    def test_media_descriptor_is_read(self):
        exposed = End(self.genuine, scatter([4097], seed=1))
        exposed.fill(seed=1)
        fields = json.loads(self.expose(exposed, "READ", "hidden"))
        ((address, size),) = envelope.ranges(json.dumps(fields))
        media = {
            "nixl_metadata": fields["nixl_metadata"],
            "nixl_descriptor": {
                "addr": address,
                "size": size,
                "mem_type": "Dram",
                "device_id": 0,
            },
            "shape": [size],
            "dtype": "uint8",
        }
        self.read(self.ours, json.dumps(media), exposed)

    def test_foreign_key_completes_none_of_ours(self):
        exposed = End(self.ours, scatter([4096], seed=1))
        exposed.fill(seed=1)
        metadata = self.expose(exposed, "READ", "ours", readers=2)
        foreign = json.dumps({**json.loads(metadata), "notification_key": "nobody's"})
        # The notifications of one agent arrive in order.
        self.read(self.genuine, metadata, exposed)
        self.read(self.genuine, foreign, exposed)
        self.assertFalse(self.is_done("ours", timeout_ms=200))
        self.read(self.genuine, metadata, exposed)
        self.assertTrue(self.is_done("ours", timeout_ms=WAIT_MS))

    def is_done(self, op: str, timeout_ms: int) -> bool:
        return self.ours.ask("wait", op=op, timeout_ms=timeout_ms)["status"] == "DONE"


class Commands(Pairing):
    """The programs these tests rest on tell a mistake instead of passing over it."""

    def test_malformed_command_is_refused(self):
        for peer in self.ours, self.genuine:
            for line in "{", "{}", '{"do":"fly"}', '{"do":"drop"}':
                with self.subTest(type(peer).__name__, line=line):
                    self.assertIn("error", json.loads(peer.ask_raw(line)))

    def test_metadata_of_the_other_kind_is_refused(self):
        exposed = End(self.genuine, scatter([8], seed=1))
        exposed.fill(seed=1)
        metadata = self.expose(exposed, "WRITE", "hidden")
        local = End(self.ours, exposed.layout)
        local.fill(seed=2)
        with self.assertRaises(Refused) as refusal:
            self.ours.ask(
                "begin", op="read", kind="READ", metadata=metadata, **local.place()
            )
        self.assertEqual(refusal.exception.kind, "invalid argument")


if __name__ == "__main__":
    unittest.main()
