"""Tokens arrive when they are made, for as long as the model takes."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest

from tests.live.clients import ask, socket, stream_events, text, turn
from tests.servers import Server


async def test_the_first_token_arrives_before_the_second_is_produced_over_sse(
    server: Server,
) -> None:
    question = str(uuid4())
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        async with client.stream("GET", "/gated", params={"question": question}) as response:
            events = stream_events(response)
            assert (await anext(events)).json() == {"token": "first"}
            # The model now waits for this, and for nothing else.
            await client.post(f"/gate/{question}")
            assert (await anext(events)).json() == {"token": "second"}
            assert (await anext(events)).name == "end"


async def test_the_first_token_arrives_before_the_second_is_produced_over_a_websocket(
    server: Server,
) -> None:
    question = str(uuid4())
    async with (
        httpx.AsyncClient(base_url=server.url) as client,
        socket(server, "/gated/ws") as connection,
    ):
        await connection.send(question)
        assert "first" in str(await connection.recv())
        await client.post(f"/gate/{question}")
        assert "second" in str(await connection.recv())


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_stream_that_outlasts_quarts_response_timeout_is_not_cut(
    server: Server, transport: str
) -> None:
    question = str(uuid4())
    started = time.monotonic()
    if transport == "sse":
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=10) as client,
            client.stream("GET", "/paced", params={"question": question, "count": 100}) as response,
        ):
            events = [event async for event in stream_events(response)]
        said, last = len(events) - 1, events[-1].name
    else:
        frames = await ask_paced(server, question)
        said, last = len(frames) - 1, frames[-1]["event"]
    assert time.monotonic() - started > 1.5  # the app's RESPONSE_TIMEOUT is 1 second
    assert (said, last) == (100, "end")


async def ask_paced(server: Server, question: str) -> list[dict[str, str]]:
    async with socket(server, "/paced/ws?count=100") as connection:
        return await turn(connection, {"question": question})


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_model_that_never_suspends_does_not_keep_others_waiting(
    server: Server, transport: str
) -> None:
    eager = asyncio.create_task(ask(server, transport, "/eager", {"question": "go"}))
    frames = await asyncio.wait_for(ask(server, transport, "/echo", {"question": "hi"}), 5)
    assert text(frames).startswith("hi:0 ")
    await eager
