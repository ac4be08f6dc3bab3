# SPDX-License-Identifier: Apache-2.0
"""Memory that holds its own operation. How long memory is kept otherwise is shown in
test_promises.py (12) and test_defects_completion.py."""

import gc
import weakref

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor
from watched import is_gone


def test_cycle_through_the_memory_is_collected(connector: nc.Connector) -> None:
    numpy = pytest.importorskip("numpy")

    class Array(numpy.ndarray):  # type: ignore[misc, name-defined]
        operation: nc.ReadableOperation

    array = numpy.zeros(10).view(Array)
    reference = weakref.ref(array)
    array.operation = connector.create_readable(Descriptor(array))
    del array
    gc.collect()
    assert is_gone(reference)
