# SPDX-License-Identifier: Apache-2.0
"""The first record of NIXL agent metadata, which holds the agent's name. The rest is
the library's business. A pure function."""

from __future__ import annotations

from ._errors import InvalidArgument

_START = b"nixlSerDes|Agent"
_LENGTH_BYTES = 8


def agent_name(blob: bytes) -> str:
    """The agent's name. Error if `blob` is no NIXL agent metadata."""
    begin = len(_START) + _LENGTH_BYTES
    length = int.from_bytes(blob[len(_START) : begin], "little")
    name = blob[begin : begin + length]
    if not blob.startswith(_START) or len(name) != length or length == 0:
        raise InvalidArgument("these bytes are no NIXL agent metadata")
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise InvalidArgument("the agent's name in the metadata is not UTF-8") from None
