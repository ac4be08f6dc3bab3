# SPDX-License-Identifier: Apache-2.0
"""A peer by name. Any thread."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING
from zlib import compress, decompress

from ._blob import agent_name
from ._closing import Closing
from ._descriptor import check_connection, connection_of

if TYPE_CHECKING:
    from ._connection import Connection
    from ._connector import Connector


class Remote(Closing):
    """A peer, by its NIXL agent metadata: ``bytes`` as an agent gives them, or ``str``
    as they travel in RdmaMetadata.

    TypeError for other types, ValueError for what is empty or bad hexadecimal,
    binascii.Error for bad base64, zlib.error for a bad stream, Error for bytes that are
    no NIXL metadata.
    """

    __slots__ = (
        "__weakref__",
        "_connection",
        "_is_released",
        "_name",
        "_nixl_metadata",
    )

    def __init__(
        self, connection: Connection | Connector, nixl_metadata: bytes | str
    ) -> None:
        if not isinstance(nixl_metadata, (bytes, str)):
            raise TypeError(
                f"nixl_metadata is bytes or str, not {type(nixl_metadata).__name__}"
            )
        check_connection(connection)
        if not nixl_metadata:
            raise ValueError("nixl_metadata is empty")
        if isinstance(nixl_metadata, bytes):
            blob = nixl_metadata
            text = "b64:" + b64encode(compress(blob, 6)).decode()
        else:
            text = nixl_metadata
            blob = decompress(_decode(text))
        name = agent_name(blob)
        self._set(connection_of(connection), name, text)

    def _set(self, connection: Connection, name: str, text: str) -> None:
        self._connection = connection
        self._name = name
        self._nixl_metadata = text
        self._is_released = False
        connection.acquire_remote_ref(name)

    @classmethod
    def _of(cls, connection: Connection, name: str) -> Remote:
        remote = cls.__new__(cls)
        remote._set(connection, name, "")
        return remote

    @property
    def connection(self) -> Connection:
        """The local Connection."""
        return self._connection

    @property
    def connector(self) -> Connector:
        """The local Connector."""
        return self._connection.connector

    @property
    def name(self) -> str:
        """The peer's NIXL agent name."""
        return self._name

    def _release(self) -> None:
        if not self._is_released:
            self._is_released = True
            self._connection.release_remote_ref(self._name)

    def close(self) -> None:
        """Lets go of the peer; no effect when repeated."""
        self._release()

    def __del__(self) -> None:
        if getattr(self, "_is_released", True) is False:
            self._is_released = True
            self._connection._drop_remote_ref(self._name)

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"Remote(name={self._name}, connection={self._connection.name})"


def _decode(text: str) -> bytes:
    if text.startswith("b64:"):
        return b64decode(text[4:], validate=False)
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"nixl_metadata is no hexadecimal text: {error}") from None
