# SPDX-License-Identifier: Apache-2.0
"""A Connector's part in the network: the library's Connector with its thread. Any
thread."""

from __future__ import annotations

import threading
import weakref
from base64 import b64decode
from collections import deque
from typing import TYPE_CHECKING
from zlib import decompress

from . import _native
from ._descriptor import Descriptor
from ._enums import OperationKind
from ._in_process import InProcess
from ._log import is_debugging, logger
from ._opening import open_connector

if TYPE_CHECKING:
    from ._connector import Connector

# Those that the end of the process has to close.
live_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class Connection(InProcess):
    """One NIXL agent of a Connector. A Connector makes and shares one, number 1.

    TypeError for arguments of wrong types, ValueError for a number below 1, ImportError
    if there is no usable UCX, Error (Unsupported in a forked child) if it cannot start.
    """

    __slots__ = (
        "__weakref__",
        "_connector",
        "_dropped",
        "_lock",
        "_name",
        "_native",
        "_registered",
        "_remote_refs",
        "_self_exposed",
    )

    def __init__(self, connector: Connector, number: int) -> None:
        from ._connector import Connector

        if not isinstance(connector, Connector):
            raise TypeError(f"connector is a Connector, not {type(connector).__name__}")
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"number is an int, not {type(number).__name__}")
        if number <= 0:
            raise ValueError(f"connections are numbered from 1, not {number}")
        self._connector: Connector = connector
        self._name = f"{connector.name}-{number}"
        self._lock = threading.Lock()
        self._remote_refs: dict[str, int] = {}
        self._dropped: deque[str] = deque()  # names that are still to be released
        self._registered: weakref.WeakSet[Descriptor] = weakref.WeakSet()
        self._self_exposed: _native.Operation | None = None
        self._native = open_connector(connector.name, connector._options)
        live_connections.add(self)
        if is_debugging():
            logger.debug("opened %s: %s", repr(self), self._native.transport())

    @property
    def name(self) -> str:
        """``<connector's name>-<number>``. Peers see it with a part in the middle that
        no other process has, so that a worker which is restarted is another peer."""
        return self._name

    @property
    def connector(self) -> Connector:
        """The Connector it belongs to."""
        return self._connector

    @property
    def metadata(self) -> bytes:
        """NIXL agent metadata, as a NIXL agent takes it: how to reach this process, and
        the memory that was registered explicitly. It serves until the next access, and
        while the Connector is open."""
        memory = [each._memory for each in self._registered] or [_NOTHING._memory]
        exposed = self._native.create(OperationKind.READ, memory, None, 2**32 - 1)
        self._self_exposed = exposed
        text = exposed.metadata(False).nixl_metadata
        return decompress(b64decode(text[4:]))

    async def initialize(self) -> None:
        """Does nothing: a Connection works from the beginning."""

    def acquire_remote_ref(self, name: str) -> None:
        """Counts one more user of the peer `name`."""
        with self._lock:
            self._release_dropped()
            self._remote_refs[name] = self._remote_refs.get(name, 0) + 1

    def release_remote_ref(self, name: str) -> bool:
        """Counts one less; True if that was the last, False if not, and for a name that
        is not counted. The way to a peer is kept either way, for the next operation."""
        with self._lock:
            self._release_dropped()
            return self._release(name)

    def _drop_remote_ref(self, name: str) -> None:
        """As release_remote_ref(), for finalizers: they may run in the middle of one of
        these, on its thread. Then, or if another thread is there, it is done with the
        next one."""
        self._dropped.append(name)
        if self._lock.acquire(blocking=False):
            try:
                self._release_dropped()
            finally:
                self._lock.release()

    def _release_dropped(self) -> None:
        while self._dropped:
            self._release(self._dropped.popleft())

    def _release(self, name: str) -> bool:
        left = self._remote_refs.get(name, 0) - 1
        if left > 0:
            self._remote_refs[name] = left
        elif left == 0:
            del self._remote_refs[name]
        return left == 0

    def close(self) -> None:
        """Cancels what is running, waits until its memory is quiet, and ends the
        library's thread; in bounded time. Operations stay usable as terminal ones."""
        self._self_exposed = None
        self._native.close()

    def _as_connection(self) -> Connection:
        return self

    def _register(self, descriptor: Descriptor) -> None:
        # The registration stays behind: it belongs to the owner of the memory.
        self._native.create(OperationKind.READ, descriptor._memory, None).cancel()
        self._registered.add(descriptor)

    def _deregister(self, descriptor: Descriptor) -> None:
        self._registered.discard(descriptor)

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Connection(is_initialized=True, name='{self._name}')"


# What the metadata of a Connection names when nothing is registered.
_NOTHING = Descriptor(b"")
