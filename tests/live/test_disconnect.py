"""A disconnect of the client cancels its chain."""

import asyncio
import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from tests.live.clients import socket, stream_events
from tests.servers import Server

LIMIT = 0.1
"""Seconds from the disconnect to the end of the model's stream."""


@pytest.fixture(autouse=True)
def quiet(server: Server) -> Iterator[None]:
    """Check that a disconnect is not logged."""
    httpx.get(server.url)  # it is up, and has said so
    before = server.log()
    yield
    assert server.log() == before


async def check_that_the_model_stopped(server: Server, question: str, left_at: float) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        seen: dict[str, float] = {}
        while not seen.get("stopped_at") and time.monotonic() - left_at < 2:
            seen = (await client.get(f"/seen/{question}")).json()
        assert seen["stopped_at"], "the model is still being asked for tokens"
        assert seen["stopped_at"] - left_at < LIMIT
        await asyncio.sleep(0.1)
        assert (await client.get(f"/seen/{question}")).json()["asked"] == seen["asked"]


async def test_disconnecting_from_an_sse_stream_stops_the_model(server: Server) -> None:
    question = str(uuid4())
    async with httpx.AsyncClient(base_url=server.url) as client:
        params = {"question": question, "delay": 0.01}
        async with client.stream("GET", "/paced", params=params) as response:
            events = stream_events(response)
            for _ in range(3):
                await anext(events)
            left_at = time.monotonic()
    await check_that_the_model_stopped(server, question, left_at)


async def test_closing_a_websocket_stops_the_model(server: Server) -> None:
    question = str(uuid4())
    async with socket(server, "/paced/ws?delay=0.01") as connection:
        await connection.send(question)
        for _ in range(3):
            await connection.recv()
        left_at = time.monotonic()
    await check_that_the_model_stopped(server, question, left_at)


async def test_dropping_a_websocket_connection_stops_the_model(server: Server) -> None:
    question = str(uuid4())
    async with socket(server, "/paced/ws?delay=0.01") as connection:
        await connection.send(question)
        await connection.recv()
        left_at = time.monotonic()
        connection.transport.abort()
    await check_that_the_model_stopped(server, question, left_at)


async def test_disconnecting_before_a_json_response_stops_the_model(server: Server) -> None:
    question = str(uuid4())
    async with httpx.AsyncClient(base_url=server.url) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(
                "/paced?delay=0.01",
                json={"question": question},
                headers={"Accept": "application/json"},
                timeout=0.3,
            )
        left_at = time.monotonic()
    await check_that_the_model_stopped(server, question, left_at)


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_client_that_stops_reading_slows_its_own_chain(
    server: Server, transport: str
) -> None:
    question = str(uuid4())
    path = f"/paced{'/ws' if transport == 'ws' else ''}?delay=0&count=1000000"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    body = f'{{"question": "{question}"}}'
    if transport == "sse":
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    else:
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}{key}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(bytes([0x81, 0x80 | len(body), 0, 0, 0, 0]) + body.encode())
    await writer.drain()
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        asked, before = 0, -1
        deadline = time.monotonic() + 30
        while not 0 < asked == before and time.monotonic() < deadline:  # until it asks no more
            await asyncio.sleep(0.5)
            before, asked = asked, (await client.get(f"/seen/{question}")).json()["asked"]
        assert 0 < asked == before
    writer.close()
    await check_that_the_model_stopped(server, question, time.monotonic())
