# SPDX-License-Identifier: Apache-2.0
"""A process that loads our library and a genuine NIXL, and prints what it saw of itself
as one line of JSON. Run by test_coexistence.py:

    coexistence_probe.py nixl-first|ours-first UNMAPPINGS
"""

import ctypes
import json
import os
import signal
import sys

TRANSFER_SIZE = 1 << 20

# What a UCX with memory hooks patches in libc. Source: ucm.h, UCM_EVENT_*.
HOOKED = ("mmap", "munmap", "mremap", "shmat", "shmdt", "sbrk", "brk", "madvise")
CODE_SIZE = 16  # The patch is a jump at the start of each.

# Of the kernel's signals; libc keeps two more for itself.
SIGNALS = [number for number in range(1, 32) if number not in (9, 19)]

libc = ctypes.CDLL(None, use_errno=True)


class SignalAction(ctypes.Structure):
    """Source: glibc, struct sigaction of 64-bit Linux."""

    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ulong * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


class Ours:
    """Two of our Connectors in this process, by coexist.cc."""

    def __init__(self):
        self._library = ctypes.CDLL(os.environ["NIXL_CONNECT_INTEROP_COEXIST"])
        for name in "coexist_open", "coexist_read", "coexist_close":
            getattr(self._library, name).restype = ctypes.c_char_p
        self._check(self._library.coexist_open())

    def transfer(self) -> None:
        self._check(self._library.coexist_read(ctypes.c_size_t(TRANSFER_SIZE)))

    def close(self) -> None:
        self._check(self._library.coexist_close())

    def _check(self, failure: bytes | None) -> None:
        if failure is not None:
            raise RuntimeError(failure.decode())


class Nixl:
    """Two genuine agents in this process."""

    def __init__(self):
        from nixl_agent import Peer  # Not before: it loads NIXL and its UCX.

        self._peers = Peer(), Peer()
        for seed, peer in enumerate(self._peers):
            peer.open(f"coexisting-{seed}")
            peer.allocate("arena", TRANSFER_SIZE, seed)

    def transfer(self) -> None:
        exposer, reader = self._peers
        place = {"buffer": "arena", "pieces": [(0, TRANSFER_SIZE)]}
        reader.allocate("arena", TRANSFER_SIZE, seed=1)
        metadata = exposer.expose("op", "READ", **place)["metadata"]
        reader.begin("op", "READ", metadata=metadata, **place)
        for peer in reader, exposer:
            if peer.wait("op", timeout_ms=10_000)["status"] != "DONE":
                raise RuntimeError("the transfer between genuine agents failed")
            peer.drop("op")
        if reader.digest(**place) != exposer.digest(**place):
            raise RuntimeError("the bytes between genuine agents differ")


def observe() -> dict:
    """What loading a library must not change in its process."""
    return {
        **{f"code of {name}": code_of(name) for name in HOOKED},
        **{f"action of signal {number}": signal_action(number) for number in SIGNALS},
        "Python's handler of SIGHUP": str(signal.getsignal(signal.SIGHUP)),
        "environment": environment(),
    }


def code_of(function: str) -> str:
    address = ctypes.cast(getattr(libc, function), ctypes.c_void_p).value
    return ctypes.string_at(address, CODE_SIZE).hex()


def signal_action(number: int) -> tuple[int | None, int]:
    """The handler's address and the flags; the rest of the struct may hold noise."""
    action = SignalAction()
    if libc.sigaction(number, None, ctypes.byref(action)) != 0:
        raise OSError(ctypes.get_errno(), f"sigaction({number})")
    return action.handler, action.flags


def environment() -> list[str]:
    """As getenv() sees it; os.environ is a copy from the start of the process."""
    variables = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ")
    count = 0
    while variables[count] is not None:
        count += 1
    return sorted(variables[index].decode() for index in range(count))


def hooks_of_nixl() -> str:
    """The path of the libucm that the NIXL wheel brought."""
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "/libucm-" in line}
    (path,) = paths
    return path


def count_unmap_events(unmappings: int) -> int:
    counter = ctypes.CDLL(os.environ["NIXL_CONNECT_INTEROP_UNMAP_EVENTS"])
    return counter.unmap_events(hooks_of_nixl().encode(), unmappings)


class Probe:
    def __init__(self, unmappings: int):
        self._unmappings = unmappings
        self.seen: dict = {"transfers": [], "unmap_events": [], "hangups": 0}

    def nixl_first(self) -> None:
        nixl = Nixl()
        self._transfer("nixl", nixl)
        self._handle_hangups()
        self._count_unmap_events()
        ours = self._open_ours()
        self._hang_up()
        self._transfer("ours", ours)
        self._transfer("nixl", nixl)
        self._count_unmap_events()
        self._transfer("ours", ours)
        ours.close()
        self._transfer("nixl", nixl)

    def ours_first(self) -> None:
        self._handle_hangups()
        ours = self._open_ours()
        self._hang_up()
        self._transfer("ours", ours)
        nixl = Nixl()
        self.seen["after_nixl"] = observe()
        self._transfer("nixl", nixl)
        self._transfer("ours", ours)
        self._count_unmap_events()
        ours.close()
        self._transfer("nixl", nixl)

    def _open_ours(self) -> Ours:
        self.seen["before_ours"] = observe()
        ours = Ours()
        self.seen["after_ours"] = observe()
        return ours

    def _transfer(self, name: str, side: Ours | Nixl) -> None:
        side.transfer()
        self.seen["transfers"].append(name)

    def _count_unmap_events(self) -> None:
        self.seen["unmap_events"].append(count_unmap_events(self._unmappings))

    def _handle_hangups(self) -> None:
        def count(_number, _frame):
            self.seen["hangups"] += 1

        signal.signal(signal.SIGHUP, count)

    def _hang_up(self) -> None:
        signal.raise_signal(signal.SIGHUP)


def main() -> None:
    order, unmappings = sys.argv[1:]
    probe = Probe(int(unmappings))
    {"nixl-first": probe.nixl_first, "ours-first": probe.ours_first}[order]()
    print(json.dumps(probe.seen))


if __name__ == "__main__":
    main()
