# SPDX-License-Identifier: Apache-2.0
"""How the library's Connector is opened, and where its UCX is. Any thread."""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec

from . import _native
from ._errors import Unsupported
from ._log import follow_logger, library_level
from ._numbers import nanoseconds
from ._options import Options

_LOADED_ONLY = os.RTLD_NOLOAD | os.RTLD_LAZY


def open_connector(name: str, options: Options) -> _native.Connector:
    """The library's Connector. ImportError, with the cause, if there is no usable
    UCX."""
    follow_logger()
    try:
        return _native.Connector(
            worker_id=name,
            timeout_ns=nanoseconds(options.timeout),
            ucx_directory=options.ucx_directory or _wheel_directory(),
            cuda_driver=options.cuda_driver,
            net_devices=options.net_devices,
            network=options.network,
            spin_us=_scaled(options.spin, 1e6),
            drain_timeout_ms=_scaled(options.drain_timeout, 1e3),
            copy_threads=copy_threads(options.copy_threads),
            advise_huge_pages=options.advise_huge_pages,
            allow_ptrace=options.allow_ptrace,
            wait_for_streams=_wait_for_streams(options.wait_for_streams),
            rules=options.rules.native(),
            costs_file=_file_name(options.costs_file),
            log_level=library_level(),
        )
    except Unsupported as error:
        if "no usable UCX" in str(error):
            raise ImportError(
                f"{error}\nThe extras cu13 and cu12 of nixl-connect bring one: "
                "pip install 'nixl-connect[cu13]'"
            ) from error
        raise


def _wait_for_streams(wanted: bool | None) -> bool | None:
    """Programs for dynamo.nixl_connect know no streams either, and have peers with the
    genuine one."""
    if wanted is not None or os.environ.get("NIXL_CONNECT_WAIT_FOR_STREAMS"):
        return wanted
    return True if "dynamo.nixl_connect" in sys.modules else None


def _scaled(seconds: float | None, units: float) -> int | None:
    return None if seconds is None else int(seconds * units)


def _file_name(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def copy_threads(wanted: int | None) -> int | None:
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
