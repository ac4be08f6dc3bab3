# SPDX-License-Identifier: Apache-2.0
"""Connector: one for each process, as a rule; makes all operations. Any thread, any
event loop, several of both at once."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
import uuid
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from ._active import ReadOperation, WriteOperation, explain
from ._allocation import allocate
from ._arguments import Descriptors
from ._closing import AsyncClosing
from ._connection import Connection
from ._errors import InvalidArgument
from ._metadata import RdmaMetadata, RemotePages
from ._old_order import or_in_old_order
from ._opening_view import OpeningView
from ._options import Options
from ._passive import ReadableOperation, WritableOperation
from ._paths import PathRules, rules_of
from ._plan import Plan
from ._view import View


class Connector(AsyncClosing):
    """Exposes memory and moves it. Nothing is opened before the first operation.

    `worker_id`: its name, any text; None takes a random one. `timeout`: deadline of
    every operation that sets none, in seconds; None is no deadline. `network` False
    keeps this process unreachable from other hosts; `net_devices` names the devices
    that may carry data, as UCX does (``"eth0,mlx5_0:1"``). `ucx_directory`: the folder
    of libucp.so.0; `cuda_driver`: the file of CUDA's driver. `spin` (seconds): how long
    the library's thread stays awake after activity; `drain_timeout` (seconds): how long
    an operation that has ended waits for a silent peer; `copy_threads`: how many
    threads copy at once on one host, by default one for each core but one, at most 8;
    `advise_huge_pages` False asks for no huge pages where the target of a large read
    was never touched; `allow_ptrace` False keeps other processes of this user out of
    the memory of this one where the kernel asks (kernel.yama.ptrace_scope 1);
    `wait_for_streams` True: metadata of a GPU's memory waits for its stream, for peers
    with genuine NIXL. `paths`,
    `require`, `forbid`, `min_gbps`: which paths every operation may take, and `sm`,
    `max_blocks`: what of a GPU, see begin_read(); `costs_file`: what paths cost on this
    machine, as ``nixl-connect doctor --calibrate`` writes it, or ``""`` for usual
    figures. TypeError for a worker_id that is empty or no str, and for options of other
    types; ValueError for those out of range.

    The oldest callers say ``Connector(namespace, runtime, worker_id)``, by place or by
    name. Both of the first two are only kept; TypeError for a namespace that is no str.

    >>> async with Connector() as connector:
    ...     readable = connector.create_readable(Descriptor(source))
    """

    allocate = staticmethod(allocate)

    @or_in_old_order
    def __init__(
        self,
        worker_id: str | None = None,
        *,
        namespace: str | None = None,
        runtime: Any = None,
        timeout: float | None = None,
        network: bool | None = None,
        net_devices: str | None = None,
        ucx_directory: str | None = None,
        cuda_driver: str | None = None,
        spin: float | None = None,
        drain_timeout: float | None = None,
        copy_threads: int | None = None,
        advise_huge_pages: bool | None = None,
        allow_ptrace: bool | None = None,
        wait_for_streams: bool | None = None,
        paths: Sequence[str] | None = None,
        require: str | None = None,
        forbid: Sequence[str] | None = None,
        min_gbps: float | None = None,
        sm: bool | None = None,
        max_blocks: int | None = None,
        costs_file: str | os.PathLike[str] | None = None,
    ) -> None:
        if worker_id is None:
            worker_id = uuid.uuid4().hex
        if not isinstance(worker_id, str) or not worker_id:
            raise TypeError(f"worker_id is a str that is not empty, not {worker_id!r}")
        if not isinstance(namespace, (str, type(None))):
            raise TypeError(f"namespace is a str, not {type(namespace).__name__}")
        self._worker_id = worker_id
        self._namespace = "dynamo" if namespace is None else namespace
        self._runtime = runtime
        self._hostname = socket.gethostname()
        self._options = Options(
            timeout=timeout,
            network=network,
            net_devices=net_devices,
            ucx_directory=ucx_directory,
            cuda_driver=cuda_driver,
            spin=spin,
            drain_timeout=drain_timeout,
            copy_threads=copy_threads,
            advise_huge_pages=advise_huge_pages,
            allow_ptrace=allow_ptrace,
            wait_for_streams=wait_for_streams,
            rules=PathRules(paths, require, forbid, min_gbps, sm, max_blocks),
            costs_file=costs_file,
        )
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._is_closed = False

    @property
    def name(self) -> str:
        """The worker id."""
        return self._worker_id

    @property
    def hostname(self) -> str:
        """Name of this host."""
        return self._hostname

    @property
    def namespace(self) -> str:
        """The namespace it was given, or ``dynamo``."""
        return self._namespace

    @property
    def runtime(self) -> Any:
        """The runtime it was given. RuntimeError without one."""
        if self._runtime is None:
            raise RuntimeError(f"{self!r} was made without a runtime")
        return self._runtime

    @property
    def metadata(self) -> bytes:
        """That of its Connection."""
        return self._as_connection().metadata

    @cached_property
    def is_cuda_available(self) -> bool:
        """Whether the CUDA driver is there and sees a device."""
        try:
            driver = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return False
        count = ctypes.c_int(0)
        return (
            driver.cuInit(0) == 0
            and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
            and count.value > 0
        )

    def create_readable(
        self,
        local_descriptors: Descriptors,
        *,
        timeout: float | None = None,
        readers: int | None = None,
        stream: Any = None,
    ) -> ReadableOperation:
        """Exposes memory for reading, one Descriptor or a list as one operation; it can
        be reached when the call returns. The result may be awaited, which gives it
        again. Errors and parameters: see ReadableOperation.

        Of memory of a GPU, peers see what `stream` was given before this call, which
        waits for none of it. None is the current stream of torch or cupy, whichever is
        imported; False is none: the memory is ready. Otherwise a stream of that GPU:
        one of theirs, another with ``__cuda_stream__``, ``cuda_stream`` or ``ptr``, or
        the number of a CUstream. InvalidArgument for memory of the host and for a
        stream of another GPU, TypeError for what is no stream."""
        return ReadableOperation(
            self, local_descriptors, timeout=timeout, readers=readers, stream=stream
        )

    def create_writable(
        self,
        local_descriptors: Descriptors,
        *,
        timeout: float | None = None,
        readers: int = 1,
        stream: Any = None,
    ) -> WritableOperation:
        """The same for writing; `readers` counts the writers then, and what `stream`
        was given before is done with the memory when a writer comes."""
        return WritableOperation(
            self, local_descriptors, timeout=timeout, readers=readers, stream=stream
        )

    def begin_read(
        self,
        remote_metadata: RdmaMetadata | RemotePages,
        local_descriptors: Descriptors,
        *,
        timeout: float | None = None,
        paths: Sequence[str] | None = None,
        require: str | None = None,
        forbid: Sequence[str] | None = None,
        min_gbps: float | None = None,
        sm: bool | None = None,
        max_blocks: int | None = None,
        stream: Any = None,
    ) -> ReadOperation:
        """Starts to read a peer's memory. The transfer has begun when the call returns;
        the result may be awaited, which gives it again. Errors: see ReadOperation.

        It takes the path that is predicted to be the fastest of those that it may take:
        only those of `paths`, of which it takes the first that can be used; only
        `require`; none of `forbid`; only those predicted to move `min_gbps` GB (1e9
        bytes) a second. They are named as in Plan, and ``host`` stands for all but ucx.
        Each of them replaces the same option of the Connector, but what that forbids
        stays forbidden. Unsupported, with the reasons, ends an
        operation that may take no path, before it has moved a byte.

        Of the GPU that copies, if one does, it takes `max_blocks` multiprocessors at
        most, by default as many as pages of their size need; none if `sm` is False,
        which is slow where pages are many.

        To and from memory of a GPU it begins when `stream`, as in create_readable(),
        has done what it was given before this call. What it is given afterwards does
        not wait for the transfer: see wait_on() of the operation."""
        return ReadOperation(
            self,
            remote_metadata,
            local_descriptors,
            timeout=timeout,
            paths=paths,
            require=require,
            forbid=forbid,
            min_gbps=min_gbps,
            sm=sm,
            max_blocks=max_blocks,
            stream=stream,
        )

    def begin_write(
        self,
        local_descriptors: Descriptors,
        remote_metadata: RdmaMetadata | RemotePages,
        *,
        timeout: float | None = None,
        paths: Sequence[str] | None = None,
        require: str | None = None,
        forbid: Sequence[str] | None = None,
        min_gbps: float | None = None,
        sm: bool | None = None,
        max_blocks: int | None = None,
        stream: Any = None,
    ) -> WriteOperation:
        """Starts to write into a peer's memory; note the order of the arguments. As
        begin_read() otherwise."""
        return WriteOperation(
            self,
            local_descriptors,
            remote_metadata,
            timeout=timeout,
            paths=paths,
            require=require,
            forbid=forbid,
            min_gbps=min_gbps,
            sm=sm,
            max_blocks=max_blocks,
            stream=stream,
        )

    def explain(
        self,
        remote_metadata: RdmaMetadata | RemotePages,
        local_descriptors: Descriptors,
        *,
        paths: Sequence[str] | None = None,
        require: str | None = None,
        forbid: Sequence[str] | None = None,
        min_gbps: float | None = None,
        sm: bool | None = None,
        max_blocks: int | None = None,
    ) -> Plan:
        """Which path the read or write that the metadata is for would take, and why,
        without moving a byte; the peer may learn of this Connector. Takes some
        microseconds, without the GIL; the first time it opens the connection. Errors as
        begin_read(), and Disconnected if the peer is gone."""
        return explain(
            self,
            remote_metadata,
            local_descriptors,
            rules_of(paths, require, forbid, min_gbps, sm, max_blocks),
        )

    def begin_view(
        self,
        remote_metadata: RdmaMetadata | RemotePages,
        *,
        timeout: float | None = None,
    ) -> View:
        """Starts to open a view of a peer's memory, which stays where it is; it is open
        when it is COMPLETE. Errors: see View."""
        return View(self, remote_metadata, timeout=timeout)

    def view(
        self,
        remote_metadata: RdmaMetadata | RemotePages,
        *,
        timeout: float | None = None,
    ) -> OpeningView:
        """The same, open, when it is awaited or entered: a read-only look at a peer's
        memory without a copy. Errors come then.

        >>> async with connector.view(metadata) as view:
        ...     total = view.array("float32").sum()
        """
        return OpeningView(lambda: self.begin_view(remote_metadata, timeout=timeout))

    async def initialize(self) -> None:
        """Does nothing: a Connector works from the beginning."""

    async def _create_connection(self) -> Connection:
        """The shared Connection, opened off the event loop if it is the first use."""
        if self._connection is not None:
            return self._connection
        return await asyncio.to_thread(self._as_connection)

    def _as_connection(self) -> Connection:
        found = self._connection
        if found is not None:
            return found
        with self._lock:
            if self._connection is None:
                if self._is_closed:
                    raise InvalidArgument("the Connector is closed")
                self._connection = Connection(self, 1)
            return self._connection

    def transport(self) -> str:
        """Version and folder of the UCX in use, for logs and bug reports."""
        return self._as_connection()._native.transport()

    def close(self) -> None:
        """Cancels what is running, waits until its memory is quiet (a second or two if
        a peer does not answer) and ends the library's thread. Operations stay usable as
        terminal ones; new ones are refused with an Error. Closing again does
        nothing."""
        with self._lock:
            self._is_closed = True
        if self._connection is not None:
            self._connection.close()

    async def aclose(self) -> None:
        """close(), off the event loop."""
        await asyncio.to_thread(self.close)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Connector):
            return NotImplemented
        return self._worker_id == other._worker_id

    def __hash__(self) -> int:
        return hash(self._worker_id)

    def __str__(self) -> str:
        return self._worker_id

    def __repr__(self) -> str:
        return f"Connector(worker_id='{self._worker_id}', hostname={self._hostname})"
