# SPDX-License-Identifier: Apache-2.0
"""The initiating side: transfers that begin when they are made, by a Connector's
begin_read() and begin_write(), or directly. Any thread."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from . import _native
from ._arguments import (
    Descriptors,
    check_descriptors,
    check_metadata,
    memory_of,
    wrong_kind,
)
from ._descriptor import Descriptor, connection_of
from ._enums import OperationKind, OperationStatus
from ._errors import InvalidArgument
from ._log import is_debugging, logger
from ._metadata import RdmaMetadata, RemotePages, remote_of
from ._numbers import nanoseconds
from ._operation import AbstractOperation
from ._paths import NativeRules, rules_of
from ._plan import Plan, plan_of
from ._remote import Remote
from ._streams import stream_of

if TYPE_CHECKING:
    from ._connection import Connection
    from ._connector import Connector


class ActiveOperation(AbstractOperation):
    """The initiating side: a transfer that begins when it is made.

    This constructor takes the peer and its descriptors apart, for subclasses of others.
    TypeError, and ValueError for descriptors that differ in number or sizes.
    """

    __slots__ = ("_peer_remote",)

    _peer_remote: Remote | None

    def __init__(
        self,
        remote: Remote,
        operation_kind: OperationKind,
        local_descriptors: Descriptors,
        remote_descriptors: Descriptors,
        notification_key: str,
        *,
        timeout: float | None = None,
        stream: Any = None,
    ) -> None:
        if not isinstance(remote, Remote):
            raise TypeError(f"remote is a Remote, not {type(remote).__name__}")
        if not isinstance(operation_kind, OperationKind):
            raise TypeError("operation_kind is an OperationKind")
        if not isinstance(notification_key, str):
            raise TypeError("notification_key is a str")
        check_descriptors(local_descriptors)
        theirs = check_descriptors(remote_descriptors, "remote_descriptors")
        if not notification_key:
            raise ValueError("notification_key is empty")
        named = [theirs] if isinstance(theirs, Descriptor) else theirs
        self._begin(
            remote.connection,
            operation_kind,
            _native.Remote.of(
                remote._nixl_metadata,
                notification_key,
                operation_kind,
                [each.metadata for each in named],
            ),
            local_descriptors,
            remote_descriptors,
            timeout,
            stream,
        )
        self._peer_remote = remote

    def _begin(
        self,
        connection: Connection | Connector,
        kind: OperationKind,
        remote: _native.Remote,
        local: Descriptors,
        theirs: Descriptors | None,
        timeout: float | None,
        stream: object,
        rules: NativeRules | None = None,
    ) -> None:
        if isinstance(local, list) and len(local) == 1:
            local = local[0]
        deadline = nanoseconds(timeout)
        order = stream_of(stream, local)
        memory = memory_of(local)
        _native.check_matched(memory, kind is OperationKind.READ, remote)
        self._peer_remote = None
        self._set(connection, kind, local, theirs)
        self._stream = None if stream is False else stream
        is_told = is_debugging()  # before the library tells of its path
        self._native = self._connection._native.begin(
            kind, remote, memory, deadline, rules, order
        )
        if is_told:
            logger.debug("begun %s on %s", repr(self), str(self._connection))

    @property
    def remote(self) -> Remote:
        """The peer."""
        if self._peer_remote is None:
            self._peer_remote = Remote._of(self._connection, self._native.remote)
        return self._peer_remote

    def _peer(self) -> str | None:
        return self._native.remote

    @property
    def _remote(self) -> Remote:
        return self.remote

    def __repr__(self) -> str:
        theirs = self._remote_descriptors
        if theirs is None:
            theirs = self._remote_descriptors = self._named()
        return (
            f"{type(self).__name__}(operation_kind={self._kind}, "
            f"local_descriptors={self._local}, "
            f"remote_descriptors={theirs}, "
            f"notification_key='{self._notification_key}', "
            f"remote='{self._native.remote}', status='{self.status}')"
        )

    def _named(self) -> Descriptors:
        raise NotImplementedError


class _OfMetadata(ActiveOperation):
    """An ActiveOperation made of RdmaMetadata: what ReadOperation and WriteOperation
    share."""

    __slots__ = ("_remote_metadata",)

    def _begin_of(
        self,
        connection: Connection | Connector,
        kind: OperationKind,
        metadata: RdmaMetadata | RemotePages,
        local: Descriptors,
        timeout: float | None,
        stream: object,
        rules: NativeRules | None,
    ) -> None:
        check_metadata(metadata)
        if not isinstance(local, Descriptor):
            check_descriptors(local)
        if metadata.operation_kind != kind:
            raise InvalidArgument(wrong_kind(metadata, kind))
        self._remote_metadata = metadata
        self._begin(
            connection, kind, remote_of(metadata), local, None, timeout, stream, rules
        )

    def close(self) -> None:
        super().close()
        self._let_go_of_peer()

    async def aclose(self) -> None:
        await super().aclose()
        self._let_go_of_peer()

    def _let_go_of_peer(self) -> None:
        if getattr(self, "_peer_remote", None) is not None:
            self.remote.close()

    def _named(self) -> Descriptors:
        metadata = self._remote_metadata
        if isinstance(metadata, RemotePages):
            metadata = metadata.to_metadata()
        return metadata.to_descriptors()


class ReadOperation(_OfMetadata, Coroutine[Any, Any, "ReadOperation"]):
    """A peer's readable memory on its way into ours.

    TypeError, and ValueError for metadata without its parts, for descriptors that
    differ in number or sizes, and for a target that overlaps itself; InvalidArgument,
    which is one too, for metadata of another kind and names that are no path. Nothing
    is begun then. Error if the metadata is damaged or the peer cannot be used.
    `timeout` in seconds; for `stream` and the paths see Connector.begin_read().

    >>> with connector.begin_read(metadata, Descriptor(target)) as read:
    ...     await read.wait_for_completion()
    """

    __slots__ = ()

    def __init__(
        self,
        connection: Connection | Connector,
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
    ) -> None:
        self._begin_of(
            connection,
            OperationKind.READ,
            remote_metadata,
            local_descriptors,
            timeout,
            stream,
            rules_of(paths, require, forbid, min_gbps, sm, max_blocks),
        )

    async def wait_for_completion(self) -> None:
        """Until the local memory is filled: see AbstractOperation."""
        await self._wait()

    def results(self) -> list[Descriptor]:
        """The descriptors that were filled, those that were passed in. RuntimeError
        unless COMPLETE."""
        if self.status is not OperationStatus.COMPLETE:
            raise RuntimeError(
                f"a read has results only once it is DONE; this one is {self.status}"
            )
        return [self._local] if isinstance(self._local, Descriptor) else self._local

    def result(self) -> list[Descriptor]:
        """results(), or what has gone wrong: see AbstractOperation."""
        super().result()
        return self.results()


class WriteOperation(_OfMetadata, Coroutine[Any, Any, "WriteOperation"]):
    """Our memory on its way into a peer's writable memory. Errors as ReadOperation.

    >>> with connector.begin_write(Descriptor(source), metadata) as write:
    ...     await write.wait_for_completion()
    """

    __slots__ = ()

    def __init__(
        self,
        connection: Connection | Connector,
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
    ) -> None:
        self._begin_of(
            connection,
            OperationKind.WRITE,
            remote_metadata,
            local_descriptors,
            timeout,
            stream,
            rules_of(paths, require, forbid, min_gbps, sm, max_blocks),
        )

    async def wait_for_completion(self) -> None:
        """Until all is written and visible at the peer: see AbstractOperation."""
        await self._wait()


def explain(
    connection: Connection | Connector,
    metadata: RdmaMetadata | RemotePages,
    local: Descriptors,
    rules: NativeRules | None,
) -> Plan:
    """What Connector.explain() gives."""
    check_metadata(metadata)
    memory = memory_of(check_descriptors(local))
    kind = metadata.operation_kind
    if kind not in (OperationKind.READ, OperationKind.WRITE):
        raise InvalidArgument(wrong_kind(metadata, OperationKind.READ))
    remote = remote_of(metadata)
    _native.check_matched(memory, kind == OperationKind.READ, remote)
    native = connection_of(connection)._native
    return plan_of(native.explain(remote, memory, rules))
