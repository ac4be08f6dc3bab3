# SPDX-License-Identifier: Apache-2.0
"""How long the memory of an operation is kept: until nothing touches it any more."""

import gc
import weakref

import nixl_connect as nc
import pytest
from nixl_connect import Descriptor
from watched import is_gone


def test_memory_is_kept_until_the_end_and_not_longer(connector: nc.Connector) -> None:
    numpy = pytest.importorskip("numpy")
    owner = numpy.zeros(10)
    reference = weakref.ref(owner)
    readable = connector.create_readable(Descriptor(owner))
    del owner
    gc.collect()
    assert reference() is not None
    del readable
    assert is_gone(reference)


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
