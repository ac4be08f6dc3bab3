# SPDX-License-Identifier: Apache-2.0
"""Our Python package when genuine dynamo.nixl_connect is lost, or the wrong thing is
asked for: our waits end with an error that callers of upstream catch, and we go on."""

import unittest

from dynamo_pairing import DynamoPairing
from peers import WAIT_MS, Refused


class Failures(DynamoPairing):
    def begin_nothing(self, initiator, exposer, exposed_kind: str, kind: str) -> str:
        """The words of the refusal of an operation that must not begin."""
        exposed, local = self.fill_ends(exposer, initiator, [4096])
        metadata = self.expose(exposed, exposed_kind, "refused")
        with self.assertRaises(Refused) as refusal:
            self.begin(local, kind, "refused", metadata)
        exposer.ask("drop", op="refused")
        return refusal.exception.kind

    def test_wrong_pairing_is_refused_alike_by_both(self):
        for exposed_kind, kind in ("READ", "WRITE"), ("WRITE", "READ"):
            for _, exposer, initiator, _ in self.ways():
                with self.subTest(kind=kind, initiator=initiator is self.ours):
                    words = self.begin_nothing(initiator, exposer, exposed_kind, kind)
                    self.assertIn("RuntimeError", words.split())

    def test_operation_on_a_killed_peer_fails_with_runtime_error(self):
        for kind in "READ", "WRITE":
            with self.subTest(kind):
                mortal = self.start("upstream", f"mortal-{kind}")
                self.check_transfer(mortal, self.ours, kind, [4096])
                exposed, local = self.fill_ends(mortal, self.ours, [4096])
                metadata = self.expose(exposed, kind, "op")
                mortal.kill()
                self.begin(local, kind, "lost", metadata)
                self.assert_failed(self.ours, "lost")
                self.ours.ask("drop", op="lost")

    def assert_failed(self, peer, op: str) -> None:
        outcome = peer.ask("wait", op=op, timeout_ms=WAIT_MS)
        self.assertEqual((outcome["ended"], outcome["status"]), (True, "ERR"), outcome)
        self.assertIn("RuntimeError", outcome["failure_kinds"])
        self.assertIn("ConnectionError", outcome["failure_kinds"])

    def test_connector_serves_others_after_a_peer_was_killed(self):
        for kind in "READ", "WRITE":
            with self.subTest(kind):
                mortal = self.start("upstream", f"reader-{kind}")
                self.check_transfer(self.ours, mortal, kind, [4096])
                mortal.kill()
                self.check_transfer(self.ours, self.genuine, kind, [4096])
                self.check_transfer(self.genuine, self.ours, kind, [4096])


if __name__ == "__main__":
    unittest.main()
