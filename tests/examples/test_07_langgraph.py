"""A thread is kept over requests and connections, and only its visitor can use it."""

from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from quart import Quart

from quart_lanarky.testing import RefusedError, answer_of, connect, stream
from tests.examples.numbered import numbered, started

TELL, ASK = {"messages": "My name is Ada."}, {"messages": "What is my name?"}
ADA = "Your name is Ada."


async def visitor(app: Quart) -> Any:
    """Return a client that has opened a page, as a browser has, and got its cookie there."""
    client = app.test_client()
    await client.get("/openapi.json")
    return client


async def say(client: Any, inputs: dict[str, Any], thread: str = "tea") -> str:
    asked = stream(client, "/chat", json=inputs, query_string={"thread": thread})
    return answer_of([event async for event in asked])


async def say_on_a_websocket(client: Any, inputs: dict[str, Any]) -> str:
    async with connect(client, "/chat/ws", query_string={"thread": "tea"}) as conversation:
        return answer_of([event async for event in conversation.ask(inputs)])


async def test_each_thread_has_its_own_history(app: Quart) -> None:
    ada = await visitor(app)
    await say(ada, TELL)
    assert await say(ada, ASK) == ADA
    assert ADA not in await say(ada, ASK, thread="coffee")


async def test_a_thread_continues_over_a_websocket(app: Quart) -> None:
    ada = await visitor(app)
    await say(ada, TELL)
    assert await say_on_a_websocket(ada, ASK) == ADA


async def test_a_visitor_cannot_read_anothers_thread_by_its_name(app: Quart) -> None:
    ada, eve = await visitor(app), await visitor(app)
    await say(ada, TELL)
    assert ADA not in await say(eve, ASK)
    assert ADA not in await say_on_a_websocket(eve, ASK)
    assert await say(ada, ASK) == ADA


async def test_a_forged_cookie_or_a_full_thread_id_does_not_open_anothers_thread(
    app: Quart, example: ModuleType
) -> None:
    ada, eve = await visitor(app), await visitor(app)
    await say(ada, TELL)
    (newest, *_) = example.graph.checkpointer.list(None)
    name = newest.config["configurable"]["thread_id"]
    assert name.endswith('"tea"]')
    for thread in (name, f"../{name}", f"/{name}"):
        assert ADA not in await say(eve, ASK, thread=thread)
    cookie, *_ = (cookie.value for cookie in ada.cookie_jar or ())
    eve.set_cookie("localhost", "session", f"{cookie}0")
    assert ADA not in await say(eve, ASK)
    eve.set_cookie("localhost", "session", str(cookie))  # with it, she is Ada
    assert await say(eve, ASK) == ADA


async def test_a_request_without_a_thread_uses_the_main_thread(app: Quart) -> None:
    ada = await visitor(app)
    await say(ada, TELL, thread="main")
    asked = stream(ada, "/chat", json=ASK)
    assert answer_of([event async for event in asked]) == ADA


async def test_the_name_of_a_thread_is_limited(app: Quart) -> None:
    with pytest.raises(RefusedError) as refused:
        await say(app.test_client(), ASK, thread="x" * 101)
    assert (refused.value.status_code, list(refused.value.errors)) == (400, ["thread"])


async def test_a_client_cannot_set_the_internal_state_of_the_graph(app: Quart) -> None:
    with pytest.raises(RefusedError) as refused:
        await say(app.test_client(), {**ASK, "notes": "My name is Eve."})
    assert list(refused.value.errors) == ["notes"]


def test_two_browsers_get_only_their_own_threads(tmp_path: Path) -> None:
    with started(numbered("07"), tmp_path) as server:
        options: dict[str, Any] = {
            "base_url": server.url,
            "headers": {"Accept": "application/json"},
            "params": {"thread": "tea"},
            "timeout": 30,
        }
        with httpx.Client(**options) as ada, httpx.Client(**options) as eve:
            ada.post("/chat", json=TELL)
            assert ada.post("/chat", json=ASK).json()["output"] == ADA
            assert ADA not in eve.post("/chat", json=ASK).json()["output"]
