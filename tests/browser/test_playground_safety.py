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
        allowed = {"class", "href", "target", "rel", "title", "start", "tabindex", "type", "dir"}
        assert set(attributes) <= allowed | {"aria-label", "aria-hidden", "colspan"}
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


LONG = "a" * 300
TARGETS = {
    "[x](https://bank.example@evil.example/)": "x (https://evil.example/)",
    "[x](https://bank.example:80%2Flogin@evil.example/)": "x (https://evil.example/)",
    f"[x](https://{LONG}:{LONG}@evil.example/)": "x (https://evil.example/)",
    "https://bank.example@evil.example/": "https://bank.example@evil.example/ "
    "(https://evil.example/)",
    f"[x](https://bank.example.{'a.' * 40}evil.example/{LONG})": "x (https://bank.example."
    f"{'a.' * 40}evil.example…)",
    f"[x](https://evil.example/{LONG})": f"x (https://evil.example/{LONG[:39]}…)",
    f"[x](mailto:a.{LONG}@evil.example?subject=y)": f"x (mailto:a.{LONG}@evil.example…)",
    "[x](https://b\u0430nk.example/)": "x (https://xn--bnk-6cd.example/)",
    "[x](https://bank.example\\@evil.example/)": "x (https://bank.example/@evil.example/)",
    "[https://bank.example](https://evil.example)": "https://bank.example (https://evil.example/)",
    "[x](https://evil.example/\u202emoc.knab)": "x (https://evil.example/%EF%BF%BDmoc.knab)",
}


@pytest.mark.parametrize("text", TARGETS, ids=range(len(TARGETS)))
def test_the_host_that_a_link_leads_to_is_always_shown(player: Player, text: str) -> None:
    assert player.ask(json.dumps([text])) == TARGETS[text]


RIGHT_TO_LEFT = [
    "[\u202e](https://evil.example/knab)",
    "[\u202elanretxe](https://evil.example/)",
    "[\u2067\u202e\u2069\u202e](https://evil.example/)",
    "\u202e" * 130 + "[x](https://evil.example/)",
    "\u2067" * 130 + "[x](https://evil.example/)",
    "[\u05d0\u05d1](https://192.0.2.1/1/2)",
    "\u05d0\u05d1 [1](https://192.0.2.1/1/2) \u05d0",
]
IN_ORDER = """target => {
    const [text] = target.childNodes, range = document.createRange(), places = [];
    for (let at = 0; at < text.length; at++) {
        range.setStart(text, at);
        range.setEnd(text, at + 1);
        const { left, top } = range.getBoundingClientRect();
        places.push([Math.round(top), left]);
    }
    return places;
}"""


@pytest.mark.parametrize("text", RIGHT_TO_LEFT, ids=range(len(RIGHT_TO_LEFT)))
def test_no_text_turns_the_address_of_a_link_around(player: Player, text: str) -> None:
    player.ask(json.dumps([text]))
    places = player.answer.locator(".target").evaluate(IN_ORDER)
    assert len(places) > 10
    assert places == sorted(places)


def test_text_that_would_be_shown_in_another_order_is_shown_as_it_is(player: Player) -> None:
    trick = "`a\u202eb` \u2066c\u2069\n\n```\nif \u202e } \u2066 x\n```"
    player.ask(json.dumps(list(trick)))
    shown = player.answer.inner_text()
    assert not {*"\u202e\u2066\u2069"} & {*shown}
    assert "if \ufffd } \ufffd x" in shown
    document = json.dumps(["said \u202e here"])
    player.choose("/documents").ask(document)
    assert "said \ufffd here" in player.turn.locator(".sources").inner_text()
    player.choose("/recite")


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
