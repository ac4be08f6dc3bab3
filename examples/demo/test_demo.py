#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a user sees of the demo: test_demo.py DEMO. Called by ctest."""

import hashlib
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path


def run_demo(*arguments):
    return subprocess.run([DEMO, *arguments], capture_output=True, text=True, timeout=60)


class Demo(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def file_of(self, content):
        path = self.folder / "file"
        path.write_bytes(content)
        return str(path)

    def assert_moves(self, content):
        demo = run_demo(self.file_of(content))
        self.assertEqual(demo.returncode, 0, demo.stderr)
        digests = re.findall(r"SHA-256 of the (\w+) +([0-9a-f]{64})\n", demo.stdout)
        digest = hashlib.sha256(content).hexdigest()
        self.assertEqual(digests, [("source", digest), ("result", digest)])
        for direction in ("read", "write"):
            row = rf"{direction} +{len(content)} +[0-9.]+ ms +[0-9.]+  \S.*\n"
            self.assertRegex(demo.stdout, row)

    def assert_refuses(self, path, reason):
        demo = run_demo(str(path))
        self.assertEqual(demo.returncode, 1)
        self.assertEqual(
            demo.stderr, f"nixl_connect_demo: cannot move {path}: {reason}\n"
        )

    def test_moves_one_byte(self):
        self.assert_moves(b"x")

    def test_moves_size_that_is_no_multiple_of_anything(self):
        self.assert_moves(bytes(range(251)) * 12345)

    def test_refuses_missing_file(self):
        self.assert_refuses(self.folder / "none", "No such file or directory")

    def test_refuses_folder(self):
        self.assert_refuses(self.folder, "it is a directory, a file is needed")

    def test_refuses_empty_file(self):
        self.assert_refuses(self.file_of(b""), "it is empty, there is nothing to move")


if __name__ == "__main__":
    DEMO = sys.argv.pop()
    unittest.main(verbosity=2)
