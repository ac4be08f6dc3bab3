# SPDX-License-Identifier: Apache-2.0
"""What the tests with genuine dynamo.nixl_connect share: processes of dynamo_peer.py,
and one transfer between two of them that is checked at both ends."""

import sys
from pathlib import Path

from pairing import End, Pairing
from peers import WAIT_MS, Peer

PROGRAM = Path(__file__).with_name("dynamo_peer.py")


class Connectors(Peer):
    """A process that holds these implementations, each not loaded before `open`."""

    def __init__(self, *implementations: str):
        chosen = [f"--implementation={each}" for each in implementations]
        super().__init__(sys.executable, "-B", str(PROGRAM), *chosen)

    def open(self, name: str, by: str | None = None) -> "Connectors":
        self.ask("open", name=name, by=by)
        return self

    def together(self, commands: list[dict]) -> list[dict]:
        """The answers to commands that the peer carries out all at once."""
        return self.ask("together", commands=commands)["answers"]


class DynamoPairing(Pairing):
    """Ours and genuine upstream in two processes, alive for all tests of a class."""

    OURS = "ours"

    @classmethod
    def setUpClass(cls):
        # Named like Dynamo's workers, whose NIXL agents upstream calls NAME-1.
        cls.ours = cls.start(cls.OURS, "worker-ours")
        cls.genuine = cls.start("upstream", "worker-genuine")

    @classmethod
    def start(cls, implementation: str, name: str) -> Connectors:
        peer = Connectors(implementation)
        cls.addClassCleanup(peer.close)
        return peer.open(name)

    def ways(self):
        """(text, exposing peer, initiating peer, kind) of all four."""
        for exposer, initiator in (self.genuine, self.ours), (self.ours, self.genuine):
            who = "ours" if initiator is self.ours else "upstream"
            for kind in "READ", "WRITE":
                yield f"{who} begins {kind}", exposer, initiator, kind

    def check_transfer(self, exposer, initiator, kind, sizes, begin=(), **how):
        """Moves pieces of these sizes and compares both ends. `how` goes to expose,
        `begin` to begin."""
        exposed, local = self.fill_ends(exposer, initiator, sizes)
        metadata = self.expose(exposed, kind, "op", **how)
        self.begin(local, kind, "op", metadata, **dict(begin))
        self.end_operation(exposed, local, "op")
        self.assert_moved(exposed, local, kind)

    def begin(self, local: End, kind: str, op: str, metadata: str, **how) -> None:
        place = {"op": op, "kind": kind, "metadata": metadata, **local.place()}
        local.peer.ask("begin", **place, **how)

    def end_operation(self, exposed: End, local: End, op: str) -> None:
        """wait_for_completion ends at both sides, without an error, and both let go."""
        self.assert_ended(local.peer, op)
        self.assert_ended(exposed.peer, op)
        local.peer.ask("drop", op=op)
        exposed.peer.ask("drop", op=op)

    def assert_ended(self, peer: Peer, op: str) -> None:
        outcome = peer.ask("wait", op=op, timeout_ms=WAIT_MS)
        self.assertEqual(outcome, {"ended": True, "status": "DONE"})
