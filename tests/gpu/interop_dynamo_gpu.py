# SPDX-License-Identifier: Apache-2.0
"""Our package and genuine dynamo.nixl_connect over memory of GPUs; see
gpu_pairing.py."""

import sys

from gpu_pairing import main

if __name__ == "__main__":
    sys.exit(main("dynamo"))
