"""The pages whose programs are tried here."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.blocks import Block, blocks, serving
from tests.servers import ROOT, Server


def page_blocks(name: str, language: str) -> list[Block]:
    """Return the blocks of a how-to that are in a language."""
    page = ROOT / "docs" / "how-to" / f"{name}.md"
    return [block for block in blocks(page) if block.language == language]


@contextmanager
def serving_page(name: str, folder: Path) -> Iterator[Server]:
    """Serve the app that a reader of a whole how-to has."""
    with serving(page_blocks(name, "python")[-1], folder) as server:
        yield server
