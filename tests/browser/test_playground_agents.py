"""An agent that asks before it acts, as LangChain makes it, is answered in the playground."""

from typing import Any

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.servers import Server


@pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])
@pytest.mark.parametrize("mode", ["batched", "per_call"])
def test_an_agent_that_asks_is_answered(
    browser: Any, scripts: Server, transport: str, mode: str
) -> None:
    player = Player(browser, scripts.url).go(f"/asking/{mode}", transport)
    for decision, answer in [("Approve", "sent to anna"), ("Edit", "sent to bert")]:
        player.ask("Write to Anna.")
        card = player.turn.locator(".interrupt")
        card.get_by_label(decision).check()
        if decision == "Edit":
            card.get_by_label("Arguments", exact=True).fill('{"to": "bert"}')
        count = player.page.locator("article.turn").count()
        card.get_by_role("button", name="Send answer").click()
        player.page.locator("article.turn").nth(count).wait_for()
        assert answer in player.wait()
    player.close()
