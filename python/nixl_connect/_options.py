# SPDX-License-Identifier: Apache-2.0
"""The options of a Connector, checked when it is made. A value; any thread."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ._numbers import check_count, check_seconds
from ._paths import PathRules


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a Connector was given; None leaves it to the environment and the defaults.
    TypeError, ValueError; names of devices are the library's to check."""

    timeout: float | None
    network: bool | None
    net_devices: str | None
    ucx_directory: str | None
    cuda_driver: str | None
    spin: float | None
    drain_timeout: float | None
    copy_threads: int | None
    advise_huge_pages: bool | None
    allow_ptrace: bool | None
    wait_for_streams: bool | None
    rules: PathRules
    costs_file: str | os.PathLike[str] | None

    def __post_init__(self) -> None:
        check_seconds(self.timeout)
        _check_type("network", self.network, bool, "True or False")
        _check_type(
            "net_devices", self.net_devices, str, "a str such as 'eth0,mlx5_0:1'"
        )
        _check_type(
            "ucx_directory", self.ucx_directory, str, "the name of a folder, a str"
        )
        _check_type("cuda_driver", self.cuda_driver, str, "the name of a file, a str")
        check_seconds(self.spin, "spin", 1)
        check_seconds(self.drain_timeout, "drain_timeout", 3600)
        if self.copy_threads is not None:
            check_count(self.copy_threads, "copy_threads", 1024)
        _check_type("advise_huge_pages", self.advise_huge_pages, bool, "True or False")
        _check_type("allow_ptrace", self.allow_ptrace, bool, "True or False")
        _check_type("wait_for_streams", self.wait_for_streams, bool, "True or False")
        _check_type(
            "costs_file", self.costs_file, (str, os.PathLike), "the name of a file"
        )


def _check_type(
    name: str, value: object, wanted: type | tuple[type, ...], form: str
) -> None:
    if value is not None and not isinstance(value, wanted):
        raise TypeError(f"{name} is {form}, not {value!r}")
