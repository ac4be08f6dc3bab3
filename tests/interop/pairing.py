# SPDX-License-Identifier: Apache-2.0
"""What the pairing tests share: sizes and layouts of pieces in a buffer, and one
transfer between two peers that is checked at both ends."""

import random
import unittest
from dataclasses import dataclass

import envelope
from peers import WAIT_MS, ConnectorPeer, NixlPeer, Peer

# Bytes that no operation names surround every piece, and must stay as they were.
GUARD = 61


@dataclass
class Layout:
    """Pieces of a buffer, in the order an operation names them."""

    pieces: list[tuple[int, int]]
    size: int


def unequal(count: int) -> list[int]:
    """Sizes from 1 byte to about 4 KiB."""
    return [1 + index * 977 % 4096 for index in range(count)]


def scatter(sizes: list[int], seed: int) -> Layout:
    """Pieces of these sizes, guarded, in shuffled places at odd addresses."""
    order = list(range(len(sizes)))
    random.Random(seed).shuffle(order)
    pieces = [(0, 0)] * len(sizes)
    end = GUARD
    for index in order:
        pieces[index] = (end, sizes[index])
        end += sizes[index] + GUARD
    return Layout(pieces, end)


@dataclass
class End:
    """One peer's part in a transfer: its buffer, filled and digested before."""

    peer: Peer
    layout: Layout
    buffer: str = "arena"

    def fill(self, seed: int, **how) -> None:
        size = self.layout.size
        self.peer.ask("allocate", buffer=self.buffer, size=size, seed=seed, **how)
        self.before = self.digest()

    def digest(self) -> dict:
        return self.peer.ask("digest", **self.place())

    def place(self) -> dict:
        return {"buffer": self.buffer, "pieces": self.layout.pieces}


class Pairing(unittest.TestCase):
    """One Connector and one genuine agent, alive for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.ours = ConnectorPeer()
        cls.addClassCleanup(cls.ours.close)
        cls.genuine = NixlPeer("genuine")
        cls.addClassCleanup(cls.genuine.close)
        cls.our_agent = agent_of(cls.ours)

    def check_transfer(self, exposer: Peer, initiator: Peer, kind: str, sizes, **how):
        """Moves pieces of these sizes and compares both ends. `how` goes to expose."""
        exposed, local = self.fill_ends(exposer, initiator, sizes)
        self.run_operation(exposed, local, kind, **how)
        self.assert_moved(exposed, local, kind)

    def fill_ends(self, exposer, initiator, sizes, buffer="arena", seed=1):
        """Two buffers of the same pieces in different places and with other bytes."""
        exposed = End(exposer, scatter(sizes, seed=1), buffer)
        local = End(initiator, scatter(sizes, seed=2), buffer)
        exposed.fill(seed=2 * seed)
        local.fill(seed=2 * seed + 1)
        self.assertNotEqual(exposed.before["inside"], local.before["inside"])
        return exposed, local

    def run_operation(
        self, exposed: End, local: End, kind: str, op="op", **how
    ) -> None:
        """One operation from beginning to end, both of its sides done."""
        total = sum(size for _, size in local.layout.pieces)
        metadata = self.expose(exposed, kind, op, **how)
        local.peer.ask("begin", op=op, kind=kind, metadata=metadata, **local.place())
        self.assert_transferred(local.peer, op, total)
        self.assert_served(exposed.peer, op, total)
        local.peer.ask("drop", op=op)
        exposed.peer.ask("drop", op=op)

    def expose(self, exposed: End, kind: str, op: str, **how) -> str:
        answer = exposed.peer.ask("expose", op=op, kind=kind, **exposed.place(), **how)
        return answer["metadata"]

    def assert_moved(self, exposed: End, local: End, kind: str) -> None:
        """The target's pieces hold the source's bytes, and nothing else changed."""
        source, target = (exposed, local) if kind == "READ" else (local, exposed)
        arrived = target.digest()
        self.assertEqual(source.digest(), source.before)
        self.assertEqual(arrived["inside"], source.before["inside"])
        self.assertEqual(arrived["outside"], target.before["outside"])

    def assert_done(self, peer: Peer, op: str) -> dict:
        outcome = peer.ask("wait", op=op, timeout_ms=WAIT_MS)
        self.assertEqual(outcome["status"], "DONE", outcome)
        return outcome

    def assert_transferred(self, initiator: Peer, op: str, total: int) -> None:
        """Our side knows how many bytes went, and which way."""
        outcome = self.assert_done(initiator, op)
        if isinstance(initiator, ConnectorPeer):
            self.assertEqual(outcome["bytes"], total)
            self.assertRegex(outcome["path"], r"^ucx: .*\b(cma|tcp)/")

    def assert_served(self, exposer: Peer, op: str, total: int) -> None:
        """The exposing side has been told, by the right agent."""
        outcome = self.assert_done(exposer, op)
        if isinstance(exposer, ConnectorPeer):
            self.assertEqual(outcome["bytes"], total)
            self.assertEqual(outcome["path"], "")
        else:
            self.assertEqual(outcome["sender"], self.our_agent)


def agent_of(ours: ConnectorPeer) -> str:
    """The NIXL agent name that our metadata carries."""
    ours.ask("allocate", buffer="named", size=1, seed=0)
    answer = ours.ask(
        "expose", op="named", kind="READ", buffer="named", pieces=[(0, 1)]
    )
    ours.ask("drop", op="named")
    return envelope.agent_name(answer["metadata"])
