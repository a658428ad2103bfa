"""Tokens arrive when they are made, for as long as the model takes."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest

from tests.live.clients import ask, socket, stream_events, text
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
async def test_a_stream_longer_than_quarts_response_timeout_is_not_ended(
    server: Server, transport: str
) -> None:
    started = time.monotonic()
    frames = await ask(server, transport, "/paced", {"question": "go"}, "?count=100")
    assert time.monotonic() - started > 1.5  # the app's RESPONSE_TIMEOUT is 1 second
    assert (len(frames) - 1, frames[-1]["event"]) == (100, "end")


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_model_that_never_suspends_does_not_block_other_clients(
    server: Server, transport: str
) -> None:
    eager = asyncio.create_task(ask(server, transport, "/eager", {"question": "go"}))
    frames = await asyncio.wait_for(ask(server, transport, "/echo", {"question": "hi"}), 5)
    assert text(frames).startswith("hi:0 ")
    await eager
