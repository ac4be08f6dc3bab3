# SPDX-License-Identifier: Apache-2.0
"""Our Python package and genuine dynamo.nixl_connect in one process, loaded in either
order: opening ours changes nothing of the process, and both transfer by turns, with
each other and with genuine upstream elsewhere."""

import unittest

from dynamo_pairing import Connectors, DynamoPairing
from peers import Peer
from test_coexistence import changes


class SideOf:
    """One implementation of a process that holds several."""

    def __init__(self, process: Peer, implementation: str):
        self._process = process
        self._implementation = implementation

    def ask(self, do: str, **arguments) -> dict:
        return self._process.ask(do, by=self._implementation, **arguments)


class OneProcess(DynamoPairing):
    """`ours` and `genuine` are two Connectors of one process, opened in this order."""

    ORDER = ("upstream", "ours")

    @classmethod
    def setUpClass(cls):
        process = Connectors(*cls.ORDER)
        cls.addClassCleanup(process.close)
        cls.seen = {}
        for implementation in cls.ORDER:
            before = process.ask("observe")
            process.open(f"beside-{implementation}", by=implementation)
            cls.seen[implementation] = changes(before, process.ask("observe"))
        cls.ours = SideOf(process, "ours")
        cls.genuine = SideOf(process, "upstream")
        cls.elsewhere = cls.start("upstream", "elsewhere")

    def test_opening_ours_changes_nothing_of_the_process(self):
        self.assertEqual(self.seen["ours"], [])

    def test_opening_upstream_is_seen_to_change_what_ours_leaves_alone(self):
        self.assertIn("code of munmap", " ".join(self.seen["upstream"]))

    def test_both_transfer_with_each_other(self):
        for way, exposer, initiator, kind in self.ways():
            for sizes in [65_537], [1, 4096, 1 << 20]:
                with self.subTest(way, sizes=sizes):
                    self.check_transfer(exposer, initiator, kind, sizes)

    def test_both_transfer_with_another_process_by_turns(self):
        for kind in "READ", "WRITE":
            for beside in self.ours, self.genuine, self.ours, self.genuine:
                self.check_transfer(self.elsewhere, beside, kind, [1 << 20])
                self.check_transfer(beside, self.elsewhere, kind, [1 << 20])


class OneProcessOursFirst(OneProcess):
    ORDER = ("ours", "upstream")


if __name__ == "__main__":
    unittest.main()
