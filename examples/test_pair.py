#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs example_exposer and example_reader against each other: test_pair.py EXPOSER READER.

Called by ctest. Fails unless both succeed and the reader shows the exposer's text.
"""

import re
import subprocess
import sys

TIMEOUT_S = 30


def run_pair(exposer_program, reader_program):
    exposer = subprocess.Popen([exposer_program, "0"], stdout=subprocess.PIPE, text=True)
    try:
        announced = exposer.stdout.readline()
        port = re.fullmatch(r"listening on port (\d+)\n", announced).group(1)
        reader = subprocess.run(
            [reader_program, port], stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S
        )
        told, _ = exposer.communicate(timeout=TIMEOUT_S)
    finally:
        exposer.kill()
    print(announced + told + reader.stdout, end="")
    text = re.fullmatch(r"a peer has read: (.+)\n", told).group(1)
    assert exposer.returncode == 0 and reader.returncode == 0
    assert reader.stdout.endswith(f": {text}\n")


if __name__ == "__main__":
    run_pair(*sys.argv[1:])
