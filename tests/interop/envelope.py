# SPDX-License-Identifier: Apache-2.0
"""The metadata envelope, written from docs/wire_format.md and not from our library, so
that the two check each other. Used by the genuine agent's program and by the tests."""

import base64
import json
import struct
import zlib

KINDS = {"READ": 1, "WRITE": 2}

_MAGIC = b"nixlSerDes|"
_FIRST_TAG = b"Agent"


def encode_blob(blob: bytes, hex_encode: bool = False) -> str:
    """The text form of raw NIXL agent metadata."""
    packed = zlib.compress(blob, 6)
    if hex_encode:
        return packed.hex()
    return "b64:" + base64.b64encode(packed).decode()


def decode_blob(text: str) -> bytes:
    if text.startswith("b64:"):
        return zlib.decompress(base64.b64decode(text[4:], validate=True))
    return zlib.decompress(bytes.fromhex(text))


def compose(
    ranges: list[tuple[int, int]],
    blob: bytes,
    key: str,
    kind: str,
    hex_encode: bool = False,
) -> str:
    """The envelope over (address, size) ranges of host memory."""
    descriptors = [
        {"device": "cpu", "ptr": address, "size": size} for address, size in ranges
    ]
    envelope = {
        "descriptors": descriptors,
        "nixl_metadata": encode_blob(blob, hex_encode),
        "notification_key": key,
        "operation_kind": KINDS[kind],
    }
    return json.dumps(envelope, separators=(",", ":"))


def ranges(envelope: str) -> list[tuple[int, int]]:
    """The (address, size) ranges that an envelope names."""
    return [(d["ptr"], d["size"]) for d in json.loads(envelope)["descriptors"]]


def agent_name(envelope: str) -> str:
    """The NIXL agent name in the first record of the blob."""
    blob = decode_blob(json.loads(envelope)["nixl_metadata"])
    start = len(_MAGIC) + len(_FIRST_TAG)
    assert blob[:start] == _MAGIC + _FIRST_TAG, blob[:start]
    (size,) = struct.unpack_from("<Q", blob, start)
    return blob[start + 8 : start + 8 + size].decode()
