# SPDX-License-Identifier: Apache-2.0
"""The Python examples of README.md and docs/python.md run as they stand there."""

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import nixl_connect as nc
import pytest
from sides import SilentPeer
from stand_in import StandIn

ROOT = Path(__file__).parents[2]
PAGE = 4096


def examples(document: str) -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```$", (ROOT / document).read_text(), re.M | re.S
    )


def coroutine(code: str, names: dict[str, Any]) -> Any:
    """What runs `code`, which may use `names`."""
    body = textwrap.indent(code, "    ")
    exec(f"async def example():\n{body}\n    return locals()", names)
    return names["example"]()


def test_example_of_the_readme_runs() -> None:
    example, _ = examples("README.md")
    sent: list[str] = []
    names: dict[str, Any] = {"send": sent.append, "receive": sent.pop}
    exec(example, names)

    async def run() -> Any:
        both = names["exposing_process"](b"12345678"), names["reading_process"]()
        return await asyncio.wait_for(asyncio.gather(*both), 30)

    assert asyncio.run(run()) == [None, b"12345678"]


def test_example_of_the_readme_gives_no_target_that_was_not_filled(
    silent: SilentPeer,
) -> None:
    class Cancelling(nc.Connector):
        """A peer that stands still can be read, so this is a write, which waits."""

        def begin_read(self, remote: Any, local: Any, **options: Any) -> Any:
            transfer = self.begin_write(local, silent.writable, **options)
            transfer.cancel()
            return transfer

    example, _ = examples("README.md")
    names: dict[str, Any] = {"receive": silent.readable.model_dump_json}
    exec(example, names)
    names["Connector"] = Cancelling
    with pytest.raises(nc.Cancelled):
        asyncio.run(asyncio.wait_for(names["reading_process"](), 30))


def fetched(code: str, source: Any, cache: Any, **options: Any) -> None:
    """Runs the example of pages with that memory of four pages: 2 and 0 become 1
    and 3."""
    names = vars(nc).copy()
    exec(code, names)
    with nc.Connector(**options) as here, nc.Connector(**options) as there:
        readable = here.create_readable(nc.Descriptor(source))
        pages = (readable.metadata(), [2, 0], cache, [1, 3], PAGE)
        asyncio.run(asyncio.wait_for(names["fetch_blocks"](there, *pages), 30))


def test_example_of_pages_runs() -> None:
    _, example = examples("README.md")
    cache = bytearray(4 * PAGE)
    fetched(example, b"".join(bytes([n]) * PAGE for n in (5, 6, 7, 8)), cache)
    assert [cache[PAGE * page] for page in range(4)] == [0, 7, 0, 5]


def test_example_of_pages_runs_with_gpus(stand_in: StandIn) -> None:
    _, example = examples("README.md")
    source, cache = stand_in.memory(4 * PAGE), stand_in.memory(4 * PAGE, 1)
    source.write(b"".join(bytes([n]) * PAGE for n in (5, 6, 7, 8)))
    fetched(example, source, cache, cuda_driver=stand_in.file)
    assert cache.read()[::PAGE] == bytes([0, 7, 0, 5])


def test_examples_of_the_page_about_python_run(
    connector: nc.Connector, peer: nc.Connector
) -> None:
    names = vars(nc) | {"connector": connector, "peer": peer}
    names |= {"source": b"12345678", "target": bytearray(8)}
    pool = bytes(page for page in range(6) for _ in range(PAGE))
    names |= {"pool": pool, "cache": bytearray(8 * PAGE)}
    for example in examples("docs/python.md"):
        asyncio.run(asyncio.wait_for(coroutine(example, names), 30))
    assert names["target"] == names["source"]
    assert [names["cache"][PAGE * page] for page in (0, 2, 7)] == [1, 5, 0]


@pytest.mark.parametrize("document", ["README.md", "docs/python.md"])
def test_links_of_the_document_lead_somewhere(document: str) -> None:
    file = ROOT / document
    for link in re.findall(r"\]\(([^):#]+)\)", file.read_text()):
        assert (file.parent / link).exists(), link
