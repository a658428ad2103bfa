"""Requests to go on in HTTP/2: the answer is HTTP/1.1, so that a proxy sees every request."""

import asyncio

import pytest

from quart_lanarky.protocols.sse import Decoder
from tests.faults.clients import H2Client, connect
from tests.servers import Server

UPGRADE = b"""\
Host: x\r
Connection: Upgrade, HTTP2-Settings\r
Upgrade: h2c\r
HTTP2-Settings: AAMAAABkAAQAAP__\r
\r
"""
STREAM = b"GET /quick?question=x HTTP/1.1\r\n"
REQUESTS = {
    "GET": STREAM + UPGRADE,
    "capitals": STREAM + UPGRADE.replace(b"h2c", b"H2C"),
    "two upgrades": STREAM + b"Upgrade: websocket\r\n" + UPGRADE,
    "OPTIONS": b"OPTIONS /quick HTTP/1.1\r\n" + UPGRADE,
    "WebSocket": b"GET /quick/ws HTTP/1.1\r\n" + UPGRADE,
    "preface": b"PRI * HTTP/2.0\r\n" + UPGRADE,
}


async def first_head(server: Server, request: bytes) -> bytes:
    """Return the head of what comes first, an informational response included."""
    reader, writer = await connect(server)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
async def test_no_request_is_upgraded_to_http2(serve: Server, request_: bytes) -> None:
    head = await first_head(serve, request_)
    assert head.startswith(b"HTTP/1.1 ")
    assert not head.startswith(b"HTTP/1.1 101")


async def test_a_request_to_upgrade_gets_its_whole_stream_over_http11(serve: Server) -> None:
    reader, writer = await connect(serve)
    try:
        for _ in range(2):  # the connection goes on as well
            writer.write(STREAM + UPGRADE)
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await read_chunks(reader)
            assert head.startswith(b"HTTP/1.1 200")
            names = [event.name for event in Decoder().feed(body)]
            assert names == ["completion"] * 3 + ["end"]
    finally:
        writer.transport.abort()


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    """Return a chunked body."""
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body


async def test_a_client_can_use_http2_with_prior_knowledge(serve: Server) -> None:
    """Without an upgrade: no proxy in front that speaks HTTP/1.1 passes that on."""
    async with H2Client.open(serve) as client, asyncio.timeout(5):
        (body,) = await client.read(client.ask("/quick", {"question": "x"}))
    assert [event.name for event in Decoder().feed(body)] == ["completion"] * 3 + ["end"]
