"""The README is complete, its quickstart is short, and its demo works.

`tests/test_documentation.py` runs its blocks.
"""

import re
import shlex

import httpx

from quart_lanarky.adapters.langchain import callbacks
from tests.blocks import PAGES, blocks
from tests.servers import ROOT, Server

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def paste(command: str, demo: Server) -> str:
    """Do what a curl command of the demo does, where there may be no curl."""
    words = shlex.split(command)
    body = words[words.index("-d") + 1]
    headers = {"Content-Type": "application/json"}
    return httpx.post(words[2], content=body, headers=headers, timeout=30).text


def test_each_question_that_the_demo_suggests_gets_an_answer(demo: Server) -> None:
    first, *commands = httpx.get(demo.url, timeout=30).text.splitlines()
    pages = [word.rstrip(",") for word in first.split() if word.startswith("http")]
    assert [httpx.get(page, timeout=30).status_code for page in pages] == [200, 200]
    assert [command.split()[2].rpartition("/")[2] for command in commands] == [
        "chat",
        "qa",
        "agent",
    ]
    answers = [paste(command, demo) for command in commands]
    assert all(answer.count("event: end\n") == 1 for answer in answers)
    assert all(answer.startswith("event: completion\n") for answer in answers)
    assert "event: source_documents\n" in answers[1]
    assert "Thought" not in answers[2]


def test_the_quickstart_has_at_most_12_lines() -> None:
    lines = [line for line in blocks(README)[0].code.splitlines() if line]
    assert len(lines) <= 12


def test_the_readme_lists_all_handlers() -> None:
    named = set(re.findall(r"`(\w+CallbackHandler)`", TEXT))
    aliases = {name for name in callbacks.__all__ if "SourceDocuments" in name}
    assert named == set(callbacks.__all__) - aliases - {"EventCallbackHandler"}


def test_every_link_to_a_file_has_a_target() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
