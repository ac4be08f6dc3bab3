# SPDX-License-Identifier: Apache-2.0
"""Our Python package and genuine dynamo.nixl_connect again and again over the same
memory, which upstream registers and forgets with each operation of its own."""

import unittest

from dynamo_pairing import DynamoPairing

ROUNDS = 40
READS = 5
SIZES = [4096, 65_537, 1]


class Repetition(DynamoPairing):
    """Every test runs for each of the four ways."""

    def test_each_operation_dropped_before_the_next(self):
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                for number in range(ROUNDS):
                    ends = self.fill_ends(exposer, initiator, SIZES, seed=number)
                    self.begin_operation(*ends, kind, "op")
                    self.end_operation(*ends, "op")
                    self.assert_moved(*ends, kind)

    def test_each_operation_begun_before_the_last_is_dropped(self):
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                before = None
                for number in range(ROUNDS):
                    buffer = f"overlap-{number % 2}"
                    ends = self.fill_ends(exposer, initiator, SIZES, buffer, number)
                    self.begin_operation(*ends, kind, buffer)
                    if before is not None:
                        self.end_operation(*before)
                    before = (*ends, buffer)
                self.end_operation(*before)
                self.assert_moved(*ends, kind)

    def begin_operation(self, exposed, local, kind: str, op: str) -> None:
        self.begin(local, kind, op, self.expose(exposed, kind, op))

    def test_one_exposure_is_read_several_times(self):
        for way, exposer, initiator, kind in self.ways():
            if kind == "READ":
                with self.subTest(way):
                    self.check_readers(exposer, initiator)

    def check_readers(self, exposer, initiator) -> None:
        """All begun before one is waited for. The exposing side ends with the first."""
        ends = [
            self.fill_ends(exposer, initiator, SIZES, f"readers-{number}", number)
            for number in range(READS)
        ]
        exposed = ends[0][0]
        metadata = self.expose(exposed, "READ", "op")
        locals_ = [local for _, local in ends]
        for local in locals_:
            self.begin(local, "READ", local.buffer, metadata)
        for local in locals_:
            self.assert_ended(initiator, local.buffer)
            self.assert_moved(exposed, local, "READ")
        self.assert_ended(exposer, "op")
        for local in locals_:
            initiator.ask("drop", op=local.buffer)
        exposer.ask("drop", op="op")


if __name__ == "__main__":
    unittest.main()
