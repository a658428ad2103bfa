"""What is no text, in the places of a request that are: it is refused, and nothing fails."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest

from tests.faults.clients import H2Client, connect
from tests.faults.frames import handshake
from tests.servers import Server

Head = Iterable[tuple[bytes, bytes]]

GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x")]
PING = [*GET, (b":path", b"/ping")]
QUICK = [*GET, (b":path", b"/quick?question=x")]
UNREADABLE = {
    "a path": [*GET, (b":path", b"/\xff")],
    "a query string": [*GET, (b":path", b"/quick?question=\xff")],
    "a method": [(b":method", b"G\xff"), *GET[1:], (b":path", b"/ping")],
    "no path": [(b":method", b"CONNECT"), (b":authority", b"x")],
    "a subprotocol": [
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        *GET[1:],
        (b":path", b"/quick/ws"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-protocol", b"\xff"),
    ],
}
HEADERS = [
    *(b"accept", b"authorization", b"content-type", b"cookie", b"if-none-match", b"last-event-id"),
    *(b"origin", b"range", b"referer", b"sec-fetch-site", b"x-forwarded-for"),
]


@asynccontextmanager
async def open_unchecked(server: Server) -> AsyncIterator[H2Client]:
    """Open a connection whose client sends whatever headers it is told."""
    async with H2Client.open(server) as client, asyncio.timeout(10):
        client.connection.config.validate_outbound_headers = False
        client.connection.config.normalize_outbound_headers = False
        yield client


async def statuses(server: Server, head: Head) -> list[int]:
    """Send a head and then another request on the same connection; return both statuses."""
    async with open_unchecked(server) as client:
        for each in (head, PING):
            stream = client.connection.get_next_available_stream_id()
            client.connection.send_headers(stream, list(each), end_stream=True)
        client.flush()
        while len(client.status) < 2:
            await client.receive()
        return [client.status[1], client.status[3]]


@pytest.mark.parametrize("head", UNREADABLE.values(), ids=UNREADABLE)
async def test_over_http2_it_is_a_400_and_other_streams_go_on(serve: Server, head: Head) -> None:
    before = serve.log()
    assert await statuses(serve, head) == [400, 200]
    assert "Traceback" not in serve.log().removeprefix(before)


async def test_over_http2_its_stream_may_be_reset_before_the_answer(serve: Server) -> None:
    before = serve.log()
    async with open_unchecked(serve) as client:
        stream = client.connection.get_next_available_stream_id()
        client.connection.send_headers(stream, UNREADABLE["a path"])
        client.connection.reset_stream(stream)
        ping = client.begin("/ping", method="GET", ends=True)  # in one write with these
        while ping not in client.status:
            await client.receive()
    assert "Traceback" not in serve.log().removeprefix(before)


async def test_over_http2_it_leaves_no_connection_open(serve: Server) -> None:
    async with open_unchecked(serve) as client:
        stream = client.connection.get_next_available_stream_id()
        client.connection.send_headers(stream, UNREADABLE["a path"], end_stream=True)
        client.flush()
        while await client.reader.read(2**16):  # until Hypercorn's `keep_alive_timeout`
            pass


@pytest.mark.parametrize("name", HEADERS)
async def test_over_http2_any_header_may_have_it(serve: Server, name: bytes) -> None:
    before = serve.log()
    found = await statuses(serve, [*QUICK, (name, b"\xff\xfe")])
    assert found[0] in (200, 400, 403)
    assert found[1] == 200
    assert "Traceback" not in serve.log().removeprefix(before)


async def test_a_query_string_that_is_no_text_fails_under_no_server(either: Server) -> None:
    before = either.log()
    assert (await statuses(either, [*GET, (b":path", b"/quick?question=\xff")]))[0] in (200, 400)
    assert "Traceback" not in either.log().removeprefix(before)


@pytest.mark.parametrize(
    "request_",
    [
        handshake("/quick/ws", Sec_WebSocket_Protocol="é"),
        handshake("/quick/ws", Sec_WebSocket_Extensions="é"),
        handshake("/quick/ws", Connection="Upgrade, é"),
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /quick?question=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"G\xffT /quick HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_over_http1_it_is_a_400(serve: Server, request_: bytes) -> None:
    before = serve.log()
    reader, writer = await connect(serve)
    try:
        writer.write(request_)
        async with asyncio.timeout(5):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    finally:
        writer.transport.abort()
    assert "Traceback" not in serve.log().removeprefix(before)


@pytest.mark.parametrize("host", ["x" * 64, "x..y", "a" * 70 + ".example:80"])
async def test_a_host_that_is_no_name_is_refused(either: Server, host: str) -> None:
    before = either.log()
    request = f"GET /ping HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    for each in (request, handshake("/quick/ws", Host=host)):
        reader, writer = await connect(either)
        try:
            writer.write(each)
            async with asyncio.timeout(5):
                assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        finally:
            writer.transport.abort()
    assert "Traceback" not in either.log().removeprefix(before)
