#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one Python test module of this folder, called by ctest: run_with_nixl.sh MODULE.
# Fails, rather than skips, without a Python that has the genuine NIXL.

if [ -z "$NIXL_CONNECT_INTEROP_PYTHON" ]; then
  cat >&2 <<'TEXT'
NIXL_CONNECT_INTEROP_PYTHON is not set. These tests pair this library with genuine NIXL
agents and need a Python environment that holds them:

  python3 -m venv venv-interop
  venv-interop/bin/pip install --no-deps nixl==1.5.1 nixl-cu13==1.5.1
  venv-interop/bin/pip install numpy
  export NIXL_CONNECT_INTEROP_PYTHON=$PWD/venv-interop/bin/python

To leave them out: ctest --label-exclude interop
TEXT
  exit 1
fi

cd "$(dirname "$0")" || exit 1
exec "$NIXL_CONNECT_INTEROP_PYTHON" -B -m unittest -v "$1"
