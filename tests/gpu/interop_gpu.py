# SPDX-License-Identifier: Apache-2.0
"""Our package and a bare genuine NIXL agent over memory of GPUs; see gpu_pairing.py."""

import sys

from gpu_pairing import main

if __name__ == "__main__":
    sys.exit(main("nixl"))
