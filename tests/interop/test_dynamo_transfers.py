# SPDX-License-Identifier: Apache-2.0
"""Our Python package and genuine dynamo.nixl_connect move bytes in all four ways: each
exposes, each begins, for reading and for writing, and every wait ends."""

import random
import unittest

from dynamo_pairing import DynamoPairing
from pairing import End, Layout, unequal

SIZES = [1, 8, 4095, 4096, 4097, 65_537, 1 << 20, 16 << 20, 256 << 20]
COUNTS = [2, 17, 1000]
IN_FLIGHT = 50


class FourWays(DynamoPairing):
    """Every test runs for each of the four ways."""

    def test_one_descriptor_of_any_size(self):
        for way, exposer, initiator, kind in self.ways():
            for size in SIZES:
                with self.subTest(way, size=size):
                    self.check_transfer(exposer, initiator, kind, [size])

    def test_list_of_unequal_descriptors(self):
        for way, exposer, initiator, kind in self.ways():
            for count in COUNTS:
                with self.subTest(way, count=count):
                    self.check_transfer(exposer, initiator, kind, unequal(count))

    def test_pages_by_number(self):
        """Ours takes them; upstream has no such thing."""
        for way, exposer, initiator, kind in self.ways():
            if initiator is self.ours:
                with self.subTest(way):
                    self.check_pages(exposer, kind, page_bytes=4096, count=300)

    def check_pages(self, exposer, kind: str, page_bytes: int, count: int) -> None:
        def some_of(seed: int) -> list[int]:
            return random.Random(seed).sample(range(2 * count), count)

        def layout(pages: list[int]) -> Layout:
            pieces = [(page * page_bytes, page_bytes) for page in pages]
            return Layout(pieces, 2 * count * page_bytes)

        theirs = some_of(seed=1)
        exposed = End(exposer, layout(theirs))
        local = End(self.ours, layout(some_of(seed=2)))
        exposed.fill(seed=1)
        local.fill(seed=2)
        whole = End(exposer, Layout([(0, exposed.layout.size)], exposed.layout.size))
        metadata = self.expose(whole, kind, "op")
        self.begin(local, kind, "op", metadata, pages=theirs)
        self.end_operation(exposed, local, "op")
        self.assert_moved(exposed, local, kind)

    def test_fifty_operations_in_flight(self):
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                self.check_in_flight(exposer, initiator, kind, size=100_001)

    def check_in_flight(self, exposer, initiator, kind: str, size: int) -> None:
        """All are exposed together and begun together before one is waited for."""
        names = [f"flight-{index}" for index in range(IN_FLIGHT)]
        ends = [
            self.fill_ends(exposer, initiator, [size], name, seed)
            for seed, name in enumerate(names)
        ]
        exposures = exposer.together(
            [
                {"do": "expose", "op": name, "kind": kind, **exposed.place()}
                for name, (exposed, _) in zip(names, ends, strict=True)
            ]
        )
        initiator.together(
            [
                {"do": "begin", "op": name, "kind": kind, **local.place(), **exposure}
                for name, (_, local), exposure in zip(
                    names, ends, exposures, strict=True
                )
            ]
        )
        for name, (exposed, local) in zip(names, ends, strict=True):
            self.end_operation(exposed, local, name)
            self.assert_moved(exposed, local, kind)

    def test_hexadecimal_metadata(self):
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                self.check_transfer(exposer, initiator, kind, [4096], hex=True)

    def test_array_and_pointer_descriptors(self):
        for way, exposer, initiator, kind in self.ways():
            for form in "array", "pointer":
                with self.subTest(way, form=form):
                    self.check_transfer(
                        exposer, initiator, kind, [4097], {"form": form}, form=form
                    )

    def test_bytearray_descriptors(self):
        whole = Layout([(0, 4097)], 4097)
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                exposed, local = End(exposer, whole), End(initiator, whole)
                exposed.fill(seed=1)
                local.fill(seed=2)
                metadata = self.expose(exposed, kind, "op", form="bytearray")
                self.begin(local, kind, "op", metadata, form="bytearray")
                self.end_operation(exposed, local, "op")
                self.assert_moved(exposed, local, kind)


class UnderDynamosName(FourWays):
    """The same with ours imported as dynamo.nixl_connect, as a Dynamo worker does."""

    OURS = "ours-as-dynamo"

    def test_one_descriptor_of_any_size(self):
        for way, exposer, initiator, kind in self.ways():
            with self.subTest(way):
                self.check_transfer(exposer, initiator, kind, [65_537])


if __name__ == "__main__":
    unittest.main()
