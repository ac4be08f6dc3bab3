# SPDX-License-Identifier: Apache-2.0
"""How the library's Connector is opened: the options, and where UCX is. Any thread."""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from . import _native
from ._errors import Unsupported
from ._log import logger

__all__ = ["Options", "open_connector"]

_LOADED_ONLY = os.RTLD_NOLOAD | os.RTLD_LAZY


@dataclass(frozen=True)
class Options:
    """What a Connector was given; None leaves it to the environment and the
    defaults."""

    timeout: float | None = None
    network: bool | None = None
    net_devices: str | None = None
    ucx_directory: str | None = None
    spin: float | None = None
    drain_timeout: float | None = None
    copy_threads: int | None = None
    forbid: Sequence[str] | None = None


def open_connector(name: str, options: Options) -> _native.Connector:
    """The library's Connector. ImportError, with the cause, if there is no usable
    UCX."""
    try:
        return _native.Connector(
            worker_id=name,
            timeout_ns=_scaled(options.timeout, 1e9),
            ucx_directory=options.ucx_directory or _wheel_directory(),
            net_devices=options.net_devices,
            network=options.network,
            spin_us=_scaled(options.spin, 1e6),
            drain_timeout_ms=_scaled(options.drain_timeout, 1e3),
            copy_threads=_copy_threads(options.copy_threads),
            forbid=None if options.forbid is None else list(options.forbid),
            log_level=_log_level(),
        )
    except Unsupported as error:
        if "no usable UCX" in str(error):
            raise ImportError(
                "nixl_connect found no usable UCX: pip install nixl-connect[cu13] (or "
                "[cu12]), or set NIXL_CONNECT_UCX_DIRECTORY"
            ) from error
        raise


def _scaled(seconds: float | None, units: float) -> int | None:
    return None if seconds is None else int(seconds * units)


def _copy_threads(wanted: int | None) -> int | None:
    """Leaves a core to Python, whose event loop would wait for milliseconds until the
    system takes one away from the copying threads."""
    if wanted is not None or os.environ.get("NIXL_CONNECT_COPY_THREADS"):
        return wanted
    cores = len(os.sched_getaffinity(0))
    return min(8, max(1, cores - 1))


def _wheel_directory() -> str | None:
    """The libraries of the `libucx` wheel beside this package, which the library itself
    finds only in an activated environment. None where the environment names another, or
    a UCX is in the process already."""
    if os.environ.get("NIXL_CONNECT_UCX_DIRECTORY"):
        return None
    try:
        ctypes.CDLL("libucp.so.0", mode=_LOADED_ONLY)
        return None
    except OSError:
        pass
    spec = find_spec("libucx")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        libraries = os.path.join(folder, "lib")
        if os.path.isdir(libraries):
            return libraries
    return None


def _log_level() -> int | None:
    """The library's own log follows the `nixl_connect` logger, if that has a level."""
    level = logger.level
    if level == logging.NOTSET or os.environ.get("NIXL_CONNECT_LOG"):
        return None
    return min(4, max(0, (level + 9) // 10 - 1))
