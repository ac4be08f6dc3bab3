# SPDX-License-Identifier: Apache-2.0
"""Metadata made by hand, as media loaders do: around a key of no operation's own, and
of a part of what was exposed. Ours and genuine dynamo.nixl_connect, either way."""

import json
import unittest
import uuid

from dynamo_pairing import DynamoPairing
from pairing import End, Layout
from peers import WAIT_MS

# Long enough for a notification to arrive, short enough to wait for none.
PENDING_MS = 200


class Handmade(DynamoPairing):
    def reading_ways(self):
        for way, exposer, initiator, kind in self.ways():
            if kind == "READ":
                yield way, exposer, initiator

    def read(self, local: End, metadata: str) -> None:
        self.begin(local, "READ", "read", metadata)
        self.assert_ended(local.peer, "read")
        local.peer.ask("drop", op="read")

    def test_reads_under_an_invented_key_complete_nothing_else(self):
        for way, exposer, initiator in self.reading_ways():
            with self.subTest(way):
                exposed, local = self.fill_ends(exposer, initiator, [4096, 1, 65_537])
                metadata = self.expose(exposed, "READ", "exposed")
                invented = {"notification_key": str(uuid.uuid4())}
                self.read(local, json.dumps({**json.loads(metadata), **invented}))
                self.assert_moved(exposed, local, "READ")
                self.assert_pending(exposer, "exposed")
                self.read(local, metadata)
                self.assert_ended(exposer, "exposed")
                exposer.ask("drop", op="exposed")

    def assert_pending(self, peer, op: str) -> None:
        outcome = peer.ask("wait", op=op, timeout_ms=PENDING_MS)
        self.assertEqual(outcome, {"ended": False, "status": "INIT"})

    def test_part_of_an_exposed_region_is_read(self):
        offset, size = 4093, 8191
        for way, exposer, initiator in self.reading_ways():
            with self.subTest(way):
                whole = End(exposer, Layout([(0, 1 << 20)], 1 << 20))
                local = End(initiator, Layout([(7, size)], 1 << 14))
                whole.fill(seed=1)
                local.fill(seed=2)
                metadata = json.loads(self.expose(whole, "READ", "exposed"))
                (descriptor,) = metadata["descriptors"]
                part = {**descriptor, "ptr": descriptor["ptr"] + offset, "size": size}
                self.read(local, json.dumps({**metadata, "descriptors": [part]}))
                self.assert_ended(exposer, "exposed")
                exposer.ask("drop", op="exposed")
                source = End(exposer, Layout([(offset, size)], 1 << 20))
                self.assertEqual(local.digest()["inside"], source.digest()["inside"])
                self.assertEqual(local.digest()["outside"], local.before["outside"])

    def test_metadata_survives_a_dump_by_the_other(self):
        """Every field comes back the same from the other implementation's model."""
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                exposed, local = self.fill_ends(exposer, initiator, [1, 4096])
                metadata = self.expose(exposed, kind, "exposed")
                again = initiator.ask("dump", metadata=metadata)["metadata"]
                self.assertEqual(again, metadata)
                self.begin(local, kind, "read", again)
                self.assert_ended(initiator, "read")
                outcome = exposer.ask("wait", op="exposed", timeout_ms=WAIT_MS)
                self.assertTrue(outcome["ended"])
                initiator.ask("drop", op="read")
                exposer.ask("drop", op="exposed")


if __name__ == "__main__":
    unittest.main()
