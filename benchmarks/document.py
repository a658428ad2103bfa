"""Puts the results of the last `make bench` into docs/explanation/performance.md."""

import asyncio
import re
import shutil

from . import parts
from .reports import RESULTS
from .servers import ROOT

DOCS = ROOT / "docs" / "explanation"


def main() -> None:
    """Fill the page's blocks, and take over the charts."""
    figures, _, wanted = (RESULTS / "results.md").read_text(encoding="utf-8").rpartition("\n\n")
    page = DOCS / "performance.md"
    text = page.read_text(encoding="utf-8")
    text = fill(text, "results", figures)
    text = fill(text, "goals", wanted)
    text = fill(text, "parts", parts.table(asyncio.run(parts.measure())))
    page.write_text(text, encoding="utf-8")
    for chart in RESULTS.glob("*.png"):
        shutil.copy(chart, DOCS)


def fill(text: str, name: str, content: str) -> str:
    """Return the text with the content between the marks of the block."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    return block.sub(lambda _: f"{begin}\n\n{content.strip()}\n\n{end}", text)


main()
