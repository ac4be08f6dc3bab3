# SPDX-License-Identifier: Apache-2.0
"""The errors of the package. The extension module calls error_of() when its library
throws; operations call it for how they ended."""

from __future__ import annotations


class Error(RuntimeError):
    """Whatever goes wrong in a transfer, below it or at the peer.

    The text tells what was attempted, on what and with which peer, and what to do. By
    itself (no subclass) it means a defect in the library: please report it.
    """

    nixl_status: str = "UNKNOWN"
    """NIXL's name for this kind of failure, such as ``REMOTE_DISCONNECT``."""
    ucx_status: str | None = None
    """UCX's name of the cause, such as ``UCS_ERR_CONNECTION_RESET``, if it was
    UCX's."""
    peer: str | None = None
    """NIXL agent name of the other side, where one is known."""
    path: str | None = None
    """How the bytes went, such as ``ucx: zero-copy cma/memory``, if any moved."""


class InvalidArgument(Error, ValueError):
    """What was passed is wrong, or names what is not there. Nothing was begun."""

    nixl_status = "INVALID_PARAM"


class Unsupported(Error):
    """Cannot work here: another library, peer or memory is needed."""

    nixl_status = "NOT_SUPPORTED"


class NoResources(Error):
    """May work later, or with fewer or smaller requests."""

    nixl_status = "BACKEND"


class Disconnected(Error, ConnectionError):
    """The peer is gone or cannot be reached: ask it for new metadata."""

    nixl_status = "REMOTE_DISCONNECT"


class TimedOut(Error, TimeoutError):
    """The operation's deadline has passed. Its memory is quiet."""

    nixl_status = "CANCELED"


class Cancelled(Error):
    """The other side gave the operation up, or, for result(), this one did."""

    nixl_status = "CANCELED"


# In the order of the library's ErrorKind.
_CLASSES: tuple[type[Error], ...] = (
    InvalidArgument,
    Unsupported,
    NoResources,
    Disconnected,
    TimedOut,
    Cancelled,
    Error,
)

# UCX's words for its own status codes, as they stand in the texts. Source:
# ucs/status.c.
_UCX_WORDS = {
    "Input/output error": "UCS_ERR_IO_ERROR",
    "Connection reset by remote peer": "UCS_ERR_CONNECTION_RESET",
    "Destination is unreachable": "UCS_ERR_UNREACHABLE",
    "Endpoint timeout": "UCS_ERR_ENDPOINT_TIMEOUT",
    "Endpoint is not connected": "UCS_ERR_NOT_CONNECTED",
    "Connection rejected": "UCS_ERR_REJECTED",
    "Remote access error": "UCS_ERR_REMOTE_ACCESS",
    "Out of memory": "UCS_ERR_NO_MEMORY",
    "No such device": "UCS_ERR_NO_DEVICE",
    "Request canceled": "UCS_ERR_CANCELED",
    "Invalid parameter": "UCS_ERR_INVALID_PARAM",
    "Unsupported operation": "UCS_ERR_UNSUPPORTED",
}


def error_of(
    kind: int, message: str, peer: str | None = None, path: str | None = None
) -> Error:
    """The exception for the library's error of that kind."""
    error = _CLASSES[kind](message)
    error.peer = peer or None
    error.path = path or None
    error.ucx_status = next(
        (status for words, status in _UCX_WORDS.items() if words in message), None
    )
    return error


# Users see them, in tracebacks too, as nixl_connect.Error and so on.
for _class in _CLASSES:
    _class.__module__ = "nixl_connect"
