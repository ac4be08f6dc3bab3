# SPDX-License-Identifier: Apache-2.0
"""Our library and a genuine NIXL, each with its own UCX, in one process: opening ours
leaves everything as it was. coexistence_probe.py is that process."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

from peers import LIMIT_S

PROBE = Path(__file__).with_name("coexistence_probe.py")
UNMAPPED = 10


def probe(order: str) -> dict:
    """What a fresh process sees that loads both in this order."""
    command = [sys.executable, "-B", str(PROBE), order, str(UNMAPPED)]
    run = subprocess.run(
        command, stdout=subprocess.PIPE, timeout=LIMIT_S, check=True, text=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def changes(before: dict, after: dict) -> list[str]:
    """What differs between two observations, line by line."""
    return [
        f"{what}: {old} -> {after[what]}"
        for what, old in before.items()
        if old != after[what]
    ]


class Coexistence(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nixl_first = probe("nixl-first")
        cls.ours_first = probe("ours-first")

    def test_opening_ours_beside_nixl_changes_nothing(self):
        self.assert_unchanged(self.nixl_first)

    def test_opening_ours_first_changes_nothing(self):
        self.assert_unchanged(self.ours_first)

    def assert_unchanged(self, seen: dict) -> None:
        self.assertEqual(changes(seen["before_ours"], seen["after_ours"]), [])

    def test_nixl_is_seen_to_change_what_ours_leaves_alone(self):
        changed = changes(self.ours_first["after_ours"], self.ours_first["after_nixl"])
        for what in "code of munmap", "action of signal 1":
            self.assertIn(what, " ".join(changed))

    def test_memory_hooks_of_nixl_report_every_unmapping(self):
        self.assertEqual(self.nixl_first["unmap_events"], [UNMAPPED, UNMAPPED])
        self.assertEqual(self.ours_first["unmap_events"], [UNMAPPED])

    def test_handler_of_sighup_still_runs(self):
        self.assertEqual(self.nixl_first["hangups"], 1)
        self.assertEqual(self.ours_first["hangups"], 1)

    def test_transfers_of_both_succeed_by_turns(self):
        nixl_first, ours_first = self.nixl_first, self.ours_first
        self.assertEqual(
            nixl_first["transfers"], ["nixl", "ours", "nixl", "ours", "nixl"]
        )
        self.assertEqual(ours_first["transfers"], ["ours", "nixl", "ours", "nixl"])


if __name__ == "__main__":
    unittest.main()
