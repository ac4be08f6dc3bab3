# SPDX-License-Identifier: Apache-2.0
"""The two sides of a transfer, for the tests of a file. They share a process, which is
as good as two for everything but the end of one, as they do not take the path that
there is within a process."""

import os
from collections.abc import Iterator
from typing import Any

import nixl_connect as nc
import pytest
import stand_in as gpus
from sides import SilentPeer, silent_peer

# No test depends on what was measured on this machine, nor do the processes it starts.
os.environ["NIXL_CONNECT_COSTS"] = ""


@pytest.fixture(scope="module")
def connector() -> Iterator[nc.Connector]:
    """The exposing side, as a rule."""
    with nc.Connector(forbid=["local"]) as made:
        yield made


@pytest.fixture(scope="module")
def peer() -> Iterator[nc.Connector]:
    """The initiating side."""
    with nc.Connector(forbid=["local"]) as made:
        yield made


@pytest.fixture(params=["numpy", "torch"])
def arrays(request: pytest.FixtureRequest) -> Any:
    """A package of arrays. What is used of it, both have."""
    return pytest.importorskip(request.param)


@pytest.fixture(scope="session")
def stand_in() -> gpus.StandIn:
    """GPUs that are not there. `./run test` has built their driver."""
    file = gpus.find()
    if file is None:
        pytest.skip("the stand-in for CUDA's driver is not built: ./run test does it")
    return gpus.StandIn(file)


@pytest.fixture
def silent() -> Iterator[SilentPeer]:
    """A peer in another process that does not answer."""
    with silent_peer() as made:
        yield made
