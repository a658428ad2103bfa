"""A long answer leaves the page of the playground responsive."""

import math
from typing import Any

import pytest

from tests.browser.playing import Player
from tests.servers import Server

TOKENS = 20_000

WATCH = """() => {
    window.longest = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) longest = Math.max(longest, entry.duration);
    }).observe({entryTypes: ["longtask"]});
}"""

SENTENCE = (
    "A few **bold** words and some `code` make up a sentence that is neither short nor long. "
)
SHAPES = {
    "paragraphs": SENTENCE + "\n\n",
    "one paragraph": SENTENCE,
    "one list": f"- {SENTENCE}\n",
    "one table": "| a cell | **another** one | `a third` one |\n|---|---|---|\n",
    "one block of code": "```x = 1\n" + "value = function(argument) + other\n" * 3,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_of_20_000_tokens_leaves_the_page_responsive(
    browser: Any, shapes: Server, shape: str
) -> None:
    player = Player(browser, shapes.url).go("/long")
    player.page.evaluate(WATCH)
    times = math.ceil(TOKENS / len(SHAPES[shape].split()))
    player.start(f"{times}\n{SHAPES[shape]}")
    player.page.locator("article[aria-busy=false]").wait_for()
    longest = player.page.evaluate("longest")
    numbers = player.turn.locator(".numbers").inner_text()
    assert f"{times * len(SHAPES[shape].split())} tokens" in numbers
    assert longest < 2_000  # all of it drawn anew for each token would take minutes
    player.close()
