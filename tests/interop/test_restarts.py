# SPDX-License-Identifier: Apache-2.0
"""Peers that go away, by force or in order, and come back under the same name."""

import time
import unittest

import envelope
from pairing import End, Pairing, agent_of, scatter
from peers import WAIT_MS, ConnectorPeer, NixlPeer, Refused

TIMEOUT_MS = 10_000  # An operation's own deadline; a death must be noticed before.
MIB = 1 << 20


class Restarts(Pairing):
    """Each test has its own genuine agent, to be killed."""

    @classmethod
    def setUpClass(cls):
        cls.ours = ConnectorPeer()
        cls.addClassCleanup(cls.ours.close)
        cls.our_agent = agent_of(cls.ours)

    def setUp(self):
        self.genuine = self.start_genuine(f"restarted-{self.id()}")

    def start_genuine(self, name: str) -> NixlPeer:
        agent = NixlPeer(name)
        self.addCleanup(agent.close)
        return agent

    def begin_read(self, op: str, metadata: str, local: End, timeout_ms=TIMEOUT_MS):
        self.ours.ask(
            "begin",
            op=op,
            kind="READ",
            metadata=metadata,
            timeout_ms=timeout_ms,
            **local.place(),
        )

    def outcome(self, op: str) -> dict:
        """Of one of our operations, which must end by itself before long."""
        outcome = self.ours.ask("wait", op=op, timeout_ms=WAIT_MS)
        self.ours.ask("drop", op=op)
        return outcome

    def assert_disconnected(self, outcome: dict) -> None:
        self.assertEqual(outcome["status"], "ERR", outcome)
        self.assertEqual(outcome["failure_kind"], "disconnected", outcome)

    def test_genuine_agent_restarted_under_the_same_name(self):
        exposed, local = self.fill_ends(self.genuine, self.ours, [MIB])
        self.run_operation(exposed, local, "READ")
        old_metadata = self.expose(exposed, "READ", "old")
        self.genuine.kill()

        successor = self.start_genuine(self.genuine.name)
        for kind in "READ", "WRITE":
            self.check_transfer(successor, self.ours, kind, [MIB])
        self.assert_read_fails(old_metadata)
        for kind in "READ", "WRITE":
            self.check_transfer(successor, self.ours, kind, [MIB])
            self.check_transfer(self.ours, successor, kind, [MIB])

    def assert_read_fails(self, metadata: str) -> None:
        """At once or later, but as a lost peer and without a byte out of place."""
        ((_, size),) = envelope.ranges(metadata)
        local = End(self.ours, scatter([size], seed=2), "refused")
        local.fill(seed=2)
        try:
            self.begin_read("refused", metadata, local)
        except Refused as refusal:
            self.assertEqual(refusal.kind, "disconnected", refusal.text)
        else:
            self.assert_disconnected(self.outcome("refused"))
        self.assertEqual(local.digest()["outside"], local.before["outside"])

    def test_our_connector_restarted_under_the_same_worker_id(self):
        names = set()
        for end in ConnectorPeer.close, ConnectorPeer.kill, ConnectorPeer.close:
            connector = ConnectorPeer("fixed-name")
            self.addCleanup(connector.close)
            self.our_agent = agent_of(connector)
            names.add(self.our_agent)
            self.assertEqual(connector.name, "fixed-name")
            self.assertRegex(self.our_agent, "^fixed-name.")
            for kind in "READ", "WRITE":
                self.check_transfer(connector, self.genuine, kind, [MIB])
                self.check_transfer(self.genuine, connector, kind, [MIB])
            end(connector)
        self.assertEqual(len(names), 3)

    def test_read_ends_when_the_agent_dies_before_it_answers(self):
        exposed, local = self.fill_ends(self.genuine, self.ours, [64 * MIB])
        metadata = self.expose(exposed, "READ", "exposed")
        self.genuine.stop()  # The connection cannot come about any more.
        self.begin_read("read", metadata, local)
        running = self.ours.ask("wait", op="read", timeout_ms=50)
        self.assertIn(running["status"], ("INIT", "PROC"))
        self.genuine.kill()
        self.assert_disconnected(self.outcome("read"))

    def test_reads_in_flight_end_when_the_agent_dies(self):
        exposed, local = self.fill_ends(self.genuine, self.ours, [64 * MIB])
        self.run_operation(exposed, local, "READ")  # So that a connection exists.
        metadata = self.expose(exposed, "READ", "exposed")
        operations = [f"read-{index}" for index in range(100)]
        for op in operations:
            self.begin_read(op, metadata, local)
        self.genuine.kill()
        outcomes = [self.outcome(op) for op in operations]
        failed = [outcome for outcome in outcomes if outcome["status"] != "DONE"]
        self.assertTrue(failed, "every read was done before the agent died")
        for outcome in failed:
            self.assert_disconnected(outcome)
        self.assertEqual(local.digest()["outside"], local.before["outside"])

    def test_read_of_a_stopped_agent_ends_at_its_deadline(self):
        exposed, local = self.fill_ends(self.genuine, self.ours, [MIB])
        metadata = self.expose(exposed, "READ", "exposed")
        self.genuine.stop()
        self.addCleanup(self.genuine.kill)
        self.begin_read("read", metadata, local, timeout_ms=300)
        outcome = self.outcome("read")
        self.assertEqual(outcome["failure_kind"], "timed out", outcome)

    def test_read_of_a_stopped_agent_can_be_cancelled(self):
        exposed, local = self.fill_ends(self.genuine, self.ours, [MIB])
        metadata = self.expose(exposed, "READ", "exposed")
        self.genuine.stop()
        self.addCleanup(self.genuine.kill)
        self.begin_read("read", metadata, local)
        self.ours.ask("cancel", op="read")
        self.assertEqual(self.outcome("read")["status"], "STOP")

    def test_readable_of_an_agent_that_died_ends_at_its_deadline(self):
        exposed, _ = self.fill_ends(self.ours, self.genuine, [MIB])
        start = time.monotonic()
        self.expose(exposed, "READ", "readable", timeout_ms=300)
        self.genuine.kill()
        outcome = self.outcome("readable")
        self.assertEqual(outcome["failure_kind"], "timed out", outcome)
        self.assertGreaterEqual(time.monotonic() - start, 0.3)


if __name__ == "__main__":
    unittest.main()
