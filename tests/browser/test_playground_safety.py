"""The playground shows the output of a model as text, whatever it contains."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.servers import Server

TRICKS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><circle r=9></svg>",
    "<iframe srcdoc='<script>parent.alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>click</a>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html,<script>alert(1)</script>)",
    "[click](vbscript:x)",
    "[click](  javascript:alert(1) )",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "[![x](https://evil.example/a.png)](javascript:alert(1))",
    '[x](https://ok.example/" onmouseover="alert(1))',
    '[x](https://ok.example "t\\" onmouseover=alert(1)")',
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\ncode\n```',
    "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <script>alert(1)</script> | d |",
    "# <img src=x onerror=alert(1)>",
    "> <style>*{display:none}</style>",
    "- <form action=//evil.example><button>x</button></form>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "`<img src=x onerror=alert(1)>`",
    "[a][b]\n\n[b]: javascript:alert(1)",
]
HARMLESS = {
    *("P", "H4", "H5", "H6", "HR", "PRE", "CODE", "BLOCKQUOTE", "UL", "OL", "LI", "TABLE", "THEAD"),
    *("TBODY", "TR", "TH", "TD", "STRONG", "EM", "DEL", "BR", "A", "SPAN", "DIV", "BUTTON"),
}


@pytest.fixture(scope="module")
def player(browser: Any, shapes: Server) -> Iterator[Player]:
    player = Player(browser, shapes.url)
    player.page.on("dialog", lambda dialog: player.problems.append(f"dialog: {dialog.message}"))
    player.go("/recite")
    yield player
    player.close()


def elements_of(player: Player) -> list[list[Any]]:
    """Return the elements of the last answer, each with its attributes."""
    found: list[list[Any]] = player.turn.evaluate(
        """turn => [...turn.querySelectorAll('.text *')].map(
            each => [each.tagName, Object.fromEntries([...each.attributes].map(
                attribute => [attribute.name, attribute.value]))])"""
    )
    return found


def check_harmless(player: Player) -> None:
    for tag, attributes in elements_of(player):
        assert tag in HARMLESS
        allowed = {"class", "href", "target", "rel", "title", "start", "tabindex", "type"}
        assert set(attributes) <= allowed | {"aria-label", "aria-hidden"}
        if "href" in attributes:
            assert attributes["href"].startswith(("https://", "http://", "mailto:"))
            assert attributes["rel"] == "noopener noreferrer nofollow"
            assert attributes["target"] == "_blank"


@pytest.mark.parametrize("trick", TRICKS)
def test_markup_is_shown_as_text_whole_or_in_tokens(player: Player, trick: str) -> None:
    player.ask(json.dumps([trick]))
    check_harmless(player)
    player.ask(json.dumps(list(trick)))
    check_harmless(player)
    player.turn.get_by_role("button", name="Plain text").click()
    assert player.answer.text_content() == trick
    assert player.problems == []


def test_html_in_an_answer_is_shown_as_source(player: Player) -> None:
    trick = "<img src=x onerror=alert(1)>"
    assert player.ask(json.dumps([trick])) == trick


def test_a_link_shows_its_target(player: Player) -> None:
    shown = player.ask(
        json.dumps(["[your bank](https://evil.example/login) and [x](javascript:y)"])
    )
    assert shown == "your bank (https://evil.example/login) and x (javascript:y)"
    assert player.answer.locator("a").all_inner_texts() == ["your bank"]


def test_an_image_is_shown_as_a_link_and_not_fetched(player: Player) -> None:
    shown = player.ask(json.dumps(["![a cat](https://evil.example/track.png)"]))
    assert shown == "Image: a cat (https://evil.example/track.png)"
    assert player.outside == []


@pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])
def test_markup_in_sources_notes_and_errors_is_shown_as_text(
    browser: Any, shapes: Server, transport: str
) -> None:
    player = Player(browser, shapes.url)
    player.page.on("dialog", lambda dialog: player.problems.append(f"dialog: {dialog.message}"))
    trick = "<img src=x onerror=alert(1)>"
    player.go("/documents", transport).ask(json.dumps([trick, f"[x](javascript:{trick})"]))
    assert player.turn.locator(".source").count() == 2
    player.turn.locator(".source summary").first.click()
    assert player.turn.locator(".source .content").first.inner_text() == trick
    player.turn.get_by_role("button", name="Events").click()
    player.page.get_by_role("tab", name="Code").click()
    assert trick in player.page.locator("#drawer").inner_text()
    assert player.page.locator("img, svg, script:not([src]), iframe").count() == 0
    player.close()


def test_markup_in_a_question_is_shown_as_text(player: Player) -> None:
    trick = '["<img src=x onerror=alert(1)>"]'
    player.ask(trick)
    assert player.turn.locator(".asked").inner_text() == trick
    assert player.turn.locator("img").count() == 0
