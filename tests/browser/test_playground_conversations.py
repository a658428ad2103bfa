"""The playground keeps conversations apart, and asks for less than a route shows."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.servers import Server

over_both = pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])


@pytest.fixture
def player(browser: Any, scripts: Server) -> Iterator[Player]:
    player = Player(browser, scripts.url)
    yield player
    player.close()


def asked_url(player: Player) -> dict[str, list[str]]:
    """Return the query of the last request, of which the page shows the code."""
    player.turn.get_by_role("button", name="Code").click()
    code = player.page.locator("#drawer").inner_text()
    (url, *_) = re.findall(r"(?:https?|wss?)://[^'\"\s]+", code)
    player.page.get_by_role("button", name="Close").click()
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


@over_both
def test_the_server_remembers_a_conversation_until_a_new_one_begins(
    player: Player, transport: str
) -> None:
    player.go("/remembering", transport)
    assert not player.page.locator("#ask [name=thread_id]").is_visible()
    assert player.ask("one") == "question 1"
    assert player.ask("two") == "question 2"
    (first,) = asked_url(player)["thread_id"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    player.page.get_by_role("button", name="New conversation").click()
    assert player.page.locator("article.turn").count() == 0
    assert player.ask("three") == "question 1"
    assert asked_url(player)["thread_id"] != [first]
    player.field("thread_id").fill(first)  # and back
    assert player.ask("four") == "question 3"


def test_the_transports_of_a_route_share_a_conversation(player: Player) -> None:
    player.go("/remembering")
    assert player.ask("one") == "question 1"
    player.page.get_by_label("WebSocket", exact=True).check()
    assert player.ask("two") == "question 2"


def test_two_pages_have_two_conversations(browser: Any, scripts: Server) -> None:
    for _ in range(2):
        player = Player(browser, scripts.url).go("/remembering")
        assert player.ask("one") == "question 1"
        player.close()


def test_ids_are_random_without_a_secure_context(player: Player) -> None:
    code = """Object.defineProperty(crypto, "randomUUID", { value: undefined });
    const field = { name: "thread_id", location: "query", schema: {} };
    const ids = [1, 2].map(() => {
        const values = new Map();
        m.beginConversation({ endpoints: [{ parameters: [field] }] }, values);
        return values.get("thread_id");
    });
    return ids;"""
    one, other = player.go("/remembering").script("conversation_id.js", code)
    assert one != other
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one)


@over_both
def test_less_can_be_asked_for_than_a_route_shows(player: Player, transport: str) -> None:
    player.go("/remembering", transport)
    shown = player.page.get_by_role("group", name="What to show")
    assert shown.locator("input").count() == 2
    player.ask("all")
    assert "show" not in asked_url(player)
    shown.get_by_label("tools").uncheck()
    assert player.ask("less") == "question 2"
    assert asked_url(player)["show"] == ["reasoning"]
    shown.get_by_label("reasoning").uncheck()
    assert player.ask("nothing") == "question 3"
    assert asked_url(player)["show"] == [""]
    player.choose("/script/json")
    assert player.page.get_by_role("group", name="What to show").count() == 0
    player.choose("/remembering")
    assert not shown.get_by_label("tools").is_checked()
