"""Talk to a server and read its events, over either transport."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import Decoder
from tests.servers import Server

Frame = dict[str, Any]


async def stream_events(response: httpx.Response) -> AsyncIterator[EncodedEvent]:
    """Yield the events of a streaming response as they arrive."""
    decoder = Decoder()
    async for data in response.aiter_raw():
        for event in decoder.feed(data):
            yield event


async def post_sse(server: Server, path: str, inputs: Any, **options: Any) -> list[EncodedEvent]:
    """Return all events of a stream."""
    async with (
        # Loading certificates that nobody needs here would take longer than the request.
        httpx.AsyncClient(base_url=server.url, timeout=30, verify=False) as client,
        client.stream("POST", path, json=inputs, **options) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return [event async for event in stream_events(response)]


@asynccontextmanager
async def socket(server: Server, path: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket."""
    async with connect(server.ws_url + path, max_size=None, **options) as connection:
        yield connection


async def turn(connection: ClientConnection, message: Any) -> list[Frame]:
    """Send a message (an object as JSON, a text as it is) and return its answer's frames."""
    await connection.send(message if isinstance(message, str) else json.dumps(message))
    return await read_turn(connection)


async def read_turn(connection: ClientConnection) -> list[Frame]:
    """Return the frames up to the next `end`."""
    frames: list[Frame] = []
    while not frames or frames[-1]["event"] != "end":
        frames.append(json.loads(await connection.recv()))
    return frames


async def ask(
    server: Server, transport: str, path: str, inputs: Any, query: str = ""
) -> list[Frame]:
    """Ask over `sse` or `ws`; return the events of either as (json mode) frames."""
    if transport == "ws":
        async with socket(server, f"{path}/ws{query}") as connection:
            return await turn(connection, inputs)
    events = await post_sse(server, path + query, inputs)
    return [{"event": event.name, "data": event.json()} for event in events]


def names(frames: list[Frame]) -> list[str]:
    """Return the events' names, a series of equal ones once."""
    found = [frame["event"] for frame in frames]
    return [name for i, name in enumerate(found) if i == 0 or found[i - 1] != name]


def text(frames: list[Frame]) -> str:
    """Return the tokens, joined."""
    return "".join(f["data"]["token"] for f in frames if f["event"] == "completion")
