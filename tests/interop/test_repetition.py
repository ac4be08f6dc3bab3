# SPDX-License-Identifier: Apache-2.0
"""The same memory, exposed again and again, never poisons a genuine agent: NIXL refuses
a peer for ever whose keys or address it believes changed (docs/wire_format.md)."""

import unittest

from pairing import End, Pairing, scatter
from peers import WAIT_MS

OPERATIONS = 1000
REALLOCATIONS = 50
SLICES = 64


class Repetition(Pairing):
    def test_genuine_reads_one_descriptor_a_thousand_times(self):
        exposed, local = self.fill_ends(self.ours, self.genuine, [4096])
        for _ in range(OPERATIONS):
            self.run_operation(exposed, local, "READ")
        self.assert_moved(exposed, local, "READ")

    def test_we_write_one_descriptor_a_thousand_times(self):
        exposed, local = self.fill_ends(self.genuine, self.ours, [4096])
        for _ in range(OPERATIONS):
            self.run_operation(exposed, local, "WRITE")
        self.assert_moved(exposed, local, "WRITE")

    def test_unowned_memory_is_exposed_again_and_again(self):
        exposed, local = self.fill_ends(self.ours, self.genuine, [4096])
        for _ in range(OPERATIONS):
            self.run_operation(exposed, local, "READ", owned=False)
        self.assert_moved(exposed, local, "READ")

    def test_cancelled_readable_is_exposed_again(self):
        exposed, local = self.fill_ends(self.ours, self.genuine, [4096])
        for _ in range(OPERATIONS // 10):
            self.expose(exposed, "READ", "given-up")
            self.ours.ask("cancel", op="given-up")
            outcome = self.ours.ask("wait", op="given-up", timeout_ms=WAIT_MS)
            self.assertEqual(outcome["status"], "STOP")
            self.run_operation(exposed, local, "READ")
        self.assert_moved(exposed, local, "READ")

    def test_memory_comes_back_at_the_same_address(self):
        # Large enough to be mapped by itself, hence to return to its old place.
        sizes = [1 << 20, (1 << 20) + 4096, 1 << 19]
        for round_ in range(REALLOCATIONS):
            for kind in "READ", "WRITE":
                size = sizes[round_ % len(sizes)]
                self.check_transfer(self.ours, self.genuine, kind, [size])
                self.check_transfer(self.genuine, self.ours, kind, [size])

    def test_slices_of_one_buffer_twice(self):
        exposed, local = self.fill_ends(self.ours, self.genuine, [SLICES * 4096])
        for _ in range(2):
            for index in range(SLICES):
                self.run_operation(
                    self.slice(exposed, index), self.slice(local, index), "READ"
                )
        self.assert_moved(exposed, local, "READ")

    def slice(self, whole: End, index: int) -> End:
        ((offset, _),) = whole.layout.pieces
        part = End(whole.peer, scatter([4096], seed=1), whole.buffer)
        part.layout.pieces = [(offset + index * 4096, 4096)]
        return part


if __name__ == "__main__":
    unittest.main()
