#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves that check_layers.py finds each kind of broken rule. Run by ctest."""

import tempfile
import unittest
from pathlib import Path

import check_layers

SOUND = {
    "include/nixl_connect/api.h": "#include <string>\n",
    "src/base/bytes.h": '#include "nixl_connect/api.h"\n',
    "src/wire/blob.h": '#include "base/bytes.h"\n#include <zlib.h>\n',
    "src/core/engine.h": '#include "wire/blob.h"\n',
    "src/paths/ucx/worker.h": '#include <ucp/api/ucp.h>\n#include "base/bytes.h"\n',
    "src/runtime/engine.cc": '#include "core/engine.h"\n#include "paths/ucx/worker.h"\n',
}


def problems_with(changes):
    """What the check says of a sound tree after `changes` (name to text)."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {**SOUND, **changes}.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return list(check_layers.problems(Path(folder)))


class CheckLayers(unittest.TestCase):
    def assert_one_problem(self, changes, *words):
        found = problems_with(changes)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_sound_tree_has_no_problem(self):
        self.assertEqual(problems_with({}), [])

    def test_upward_include_is_found(self):
        self.assert_one_problem(
            {"src/base/clock.cc": '#include "wire/blob.h"\n'},
            "src/base/clock.cc", "base must not include src/wire/blob.h")

    def test_core_and_paths_do_not_know_each_other(self):
        self.assert_one_problem(
            {"src/core/plan.cc": '#include "paths/ucx/worker.h"\n'}, "src/core/plan.cc")
        self.assert_one_problem(
            {"src/paths/ucx/get.cc": '#include "core/engine.h"\n'}, "src/paths/ucx/get.cc")

    def test_cycle_is_found(self):
        self.assert_one_problem(
            {"src/wire/a.h": '#include "wire/b.h"\n', "src/wire/b.h": '#include "wire/a.h"\n'},
            "cycle", "src/wire/a.h", "src/wire/b.h")

    def test_deep_include_chain_is_found(self):
        chain = {f"src/wire/h{i}.h": f'#include "wire/h{i + 1}.h"\n' for i in range(8)}
        self.assert_one_problem({**chain, "src/wire/h8.h": "\n"}, "src/wire/h0.h", "depth 8")

    def test_ucx_outside_its_folder_is_found(self):
        self.assert_one_problem(
            {"src/runtime/loop.cc": "#include <ucp/api/ucp.h>\n"}, "src/runtime/loop.cc")

    def test_unknown_header_and_unknown_layer_are_found(self):
        self.assert_one_problem({"src/wire/a.cc": '#include "a.h"\n'}, "src/wire/a.cc", "a.h")
        self.assert_one_problem({"src/extra/a.cc": "\n"}, "src/extra is no layer")

    def test_long_file_is_found(self):
        self.assert_one_problem({"tests/core/long_test.cc": "\n" * 501}, "501 lines")

    def test_public_header_keeps_to_the_standard_library(self):
        for header in ("zlib.h", "sys/socket.h"):
            self.assert_one_problem(
                {"include/nixl_connect/other.h": f"#include <{header}>\n"}, header)

    def test_too_many_public_headers_are_found(self):
        headers = {f"include/nixl_connect/h{i}.h": "\n" for i in range(10)}
        self.assert_one_problem(headers, "11 public headers")

    def test_too_long_public_headers_are_found(self):
        headers = {f"include/nixl_connect/h{i}.h": "\n" * 333 for i in range(3)}
        self.assert_one_problem(headers, "1000 lines")


if __name__ == "__main__":
    unittest.main()
