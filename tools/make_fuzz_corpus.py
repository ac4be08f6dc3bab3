#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed inputs of the fuzz targets to tests/fuzz/corpus/.

Usage: make_fuzz_corpus.py [ROOT]. The formats are written here a second time, by hand:
seeds must not change just because an encoder did.
"""

import base64
import json
import struct
import sys
import uuid
import zlib
from pathlib import Path

INSTANCE = bytes(range(16))
RKEY = bytes.fromhex("01000000000000000000ff")
KEY = "0f8fad5b-d9cb-469f-a165-70867728950e"


def u64(*numbers):
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def record(tag, value):
    return tag + u64(len(value)) + value + b"|"


def fields(*values):
    """Each value is (type, bytes)."""
    return b"".join(struct.pack("<HI", kind, len(data)) + data for kind, data in values)


def numbered(*values):
    return fields(*enumerate(values, start=1))


def gpu_exports():
    """One by a CUDA IPC handle, one by the files of two chunks."""
    by_handle = struct.pack("<16sBH", INSTANCE, 1, 1) + bytes(range(64))
    by_handle += u64(0x7F5200000000, 2 << 20, 77)
    by_files = struct.pack("<16sBH", INSTANCE[::-1], 0, 2)
    by_files += u64(0x7F5300000000, 2 << 20, 78, 0x7F5300200000, 20 << 20, 79)
    return by_handle + by_files


def extension(salt=0, gpu=False):
    def salted(data):
        return bytes(byte ^ salt for byte in data)

    body = fields(
        *([(1, bytes([salt]))] if salt else []),
        (2, salted(INSTANCE)),
        (3, salted(u64(7, 0xFEEDFACECAFEBEEF, 0x7FDAE0421A40) + RKEY)),
        (4, salted(b"0.1.0")),
        (5, salted(b"1.22.0")),
        *([(9, salted(gpu_exports())), (11, salted(INSTANCE[::-1])),
           (12, salted(b"memory of a pool")), (15, b"")] if gpu else []),
    )
    return body + struct.pack("<I", zlib.crc32(body))


def section(backend, memory, *descriptors):
    return (
        record(b"bknd", backend)
        + record(b"nixlDList", b"nixlSDList")
        + record(b"t", struct.pack("<i", memory))
        + record(b"n", u64(len(descriptors)))
        + b"".join(record(b"", descriptor) for descriptor in descriptors)
    )


def blob(connections, *sections, behind=b""):
    return (
        b"nixlSerDes|"
        + record(b"Agent", b"media-loader-1")
        + record(b"Conns", u64(len(connections)))
        + b"".join(record(b"t", kind) + record(b"c", data) for kind, data in connections)
        + record(b"", b"MemSection")
        + record(b"nixlSecElms", u64(len(sections)))
        + b"".join(sections)
        + behind
    )


def memory_key(address):
    return u64(address, 2 << 20) + struct.pack("<I", len(RKEY)) + RKEY


def control(kind, *values):
    return bytes([1, kind]) + INSTANCE + numbered(*values)


def text_of(data):
    return "b64:" + base64.b64encode(zlib.compress(data, 6)).decode()


def captured(root):
    """The vectors of tests/data/nixl by name."""
    vectors = {}
    for path in sorted((root / "tests/data/nixl").glob("*.hex")):
        lines = path.read_text(encoding="utf-8").splitlines()
        digits = "".join(line for line in lines if not line.startswith("#"))
        vectors[path.stem] = bytes.fromhex(digits)
    return vectors


def blobs(vectors):
    region = u64(0x7FDAE1264000, 0x100000, 0) + RKEY
    seeds = {name: data for name, data in vectors.items() if "notification" not in name}
    seeds["with_extension"] = blob(
        [(b"UCX", bytes(range(110)))], section(b"UCX", 0, region),
        behind=record(b"nxcx1", extension()))
    seeds["other_backends"] = blob(
        [(b"LIBFABRIC", b"x"), (b"UCX", b"address")],
        section(b"GDS", 4, region), section(b"UCX", 1, region, u64(1, 2, 3)))
    seeds["huge_count"] = blob([])[:-9] + u64(1 << 60) + b"|"
    return seeds


def envelopes(some_blob):
    descriptor = {"device": "cpu", "ptr": 140578056978432, "size": 1048576}
    metadata = {"descriptors": [descriptor], "nixl_metadata": text_of(some_blob),
                "notification_key": KEY, "operation_kind": 1}
    many = [dict(descriptor, device="cuda:1", ptr=2**64 - 1 - n) for n in range(5)]
    media = {"shape": [2, [3]], "nixl_metadata": "b64:", "nixl_descriptor": {
        "addr": 4096, "size": 24, "mem_type": "Vram", "device_id": 1, "x": {"y": []}}}
    lax = {"operation_kind": "2", "descriptors": [
        {"ptr": "17", "device": " CUDA "}, {}], "notification_key": "\u20ac\"\\\n"}
    shapes = {"one": metadata, "many": dict(metadata, descriptors=many, operation_kind=2),
              "media": media, "lax": lax}
    return {name: json.dumps(shape, separators=(",", ":")).encode()
            for name, shape in shapes.items()}


def blob_texts(some_blob):
    return {
        "base64": text_of(some_blob).encode(),
        "hex": zlib.compress(some_blob, 6).hex().encode(),
        "long": text_of(bytes(100_000)).encode(),
        "stored": text_of(uuid.UUID(int=1).bytes).encode(),
    }


def controls():
    return {
        "hello": control(1, b"agent-1", bytes(range(48)), b"0.1.0", b"1.22.0"),
        "attach": control(2, u64(1), u64(2), u64(3), b"\1"),
        "attach_view": control(2, u64(1), u64(2), u64(3), b"\2"),
        "grant": control(3, u64(1)),
        "done": control(4, u64(1), u64(2), b"\2", u64(4096), b"no memory", b"ucx: cma"),
        "revoke": control(5, u64(1), "gone \u20ac".encode()),
        "ask_keys": control(9, u64(1), u64(2), u64(3), u64(0)),
        "keys": control(10, u64(1), u64(0), u64(2), bytes(range(48)),
                        memory_key(0x7F5200000000) + memory_key(0x7F5300000000), b""),
        "no_keys": control(10, u64(1), u64(0), u64(0), b"", b"", b"no UCX"),
        "newer": control(3, u64(1), b"newer", b""),
    }


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent)
    vectors = captured(root)
    targets = {
        "fuzz_envelope": envelopes(vectors["v1_full"]),
        "fuzz_blob_text": blob_texts(vectors["v1_full"]),
        "fuzz_blob": blobs(vectors),
        "fuzz_extension": {
            "whole": extension(), "fields": extension()[:-4],
            "salted_fields": extension(0x55)[:-4],
            "gpu_fields": extension(gpu=True)[:-4],
            "salted_gpu_fields": extension(0x55, gpu=True)[:-4]},
        "fuzz_notification": {
            name: data for name, data in vectors.items() if "notification" in name},
        "fuzz_control": controls(),
    }
    for target, seeds in targets.items():
        folder = root / "tests/fuzz/corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
