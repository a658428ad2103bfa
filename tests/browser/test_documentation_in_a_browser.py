"""The scripts that the pages show for a browser run in one, against the app of their page.

A script is tried on a page of that app: the last `html` block above it, or else an empty one. It
has to show something, and to raise nothing.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.blocks import Block, all_blocks, blocks, serving
from tests.servers import Server

ADDRESS = "127.0.0.1:8000"
SHOWN = "document.title + document.body.innerText"


@pytest.mark.parametrize("block", all_blocks("js"), ids=str)
def test_a_script_of_the_docs_changes_the_page(browser: Any, block: Block, tmp_path: Path) -> None:
    above = [each for each in blocks(block.page) if each.line < block.line]
    html = [each.code for each in above if each.language == "html"]
    with serving(block, tmp_path) as server:
        page, problems = opened(browser, server, html[-1] if html else "<!doctype html>")
        before = page.evaluate(SHOWN)
        code = block.code.replace(ADDRESS, f"127.0.0.1:{server.port}")
        page.add_script_tag(content=code, type="module")
        page.wait_for_function(f"before => {SHOWN} !== before", arg=before)
        page.close()
    assert problems == []


@pytest.mark.parametrize("block", all_blocks("html"), ids=str)
def test_an_html_page_of_the_docs_opens_without_errors(
    browser: Any, block: Block, tmp_path: Path
) -> None:
    with serving(block, tmp_path) as server:
        page, problems = opened(browser, server, block.code)
        page.wait_for_load_state("load")
        page.close()
    assert problems == []


def opened(browser: Any, server: Server, html: str) -> tuple[Any, list[str]]:
    """Open a page of the app's own origin, and note what goes wrong in it."""
    page, problems = browser.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(server.url)  # whatever is there: Chromium trusts no page that came from nowhere
    page.set_content(html.replace(ADDRESS, f"127.0.0.1:{server.port}"))
    return page, problems
