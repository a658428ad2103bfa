"""The site of the page about nginx, in a real nginx and in front of a real Hypercorn."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import Decoder
from tests.how_to.nginx import Front, nginx, wait_until
from tests.servers import Server, hypercorn

QUESTION = {"question": "?"}
FIRST = {"token": "first "}
ZIPPED = (
    "client_max_body_size",
    "gzip on; gzip_types text/event-stream; gzip_min_length 1; client_max_body_size",
)
DEAF = "proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout"
TIMEOUT = "proxy_read_timeout 60s"
DENIED = ("location / {", "location /counts { deny all; }\n    location / {")
ANY_UPGRADE = ('default       "";', "default $http_upgrade;")
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}
UPGRADE_TO_HTTP2 = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Upgrade": "h2c",
    "HTTP2-Settings": "AAMAAABkAAQAAP__",
}


@asynccontextmanager
async def asked(front: Front, *, http2: bool = True) -> AsyncIterator[AsyncIterator[EncodedEvent]]:
    """Ask over HTTP and give the events; the client disconnects after the block."""
    async with (
        httpx.AsyncClient(verify=False, http2=http2, timeout=20) as client,
        client.stream("POST", front.url + "/chat", json=QUESTION) as response,
    ):
        assert response.status_code == 200
        assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        yield _events(response)


async def _events(response: httpx.Response) -> AsyncIterator[EncodedEvent]:
    decoder = Decoder()
    async for data in response.aiter_bytes():  # unzipped
        for event in decoder.feed(data):
            yield event


@asynccontextmanager
async def socket(front: Front, origin: str) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket, as a page of `origin` does."""
    context = ssl.create_default_context(cafile=front.log_path.parent / "cert.pem")
    headers = {"Origin": origin}
    async with connect(
        front.ws_url + "/chat/ws", ssl=context, additional_headers=headers
    ) as connection:
        yield connection


def count(app: Server, name: str) -> int:
    counts: dict[str, int] = httpx.get(app.url + "/counts").json()
    return counts[name]


async def rest(app: Server, events: AsyncIterator[EncodedEvent]) -> list[tuple[str, Any]]:
    """Let the model continue and return what is received then."""
    httpx.post(app.url + "/go-on")
    found = [(event.name, event.json()) async for event in events]
    return [(name, data if name == "completion" else None) for name, data in found]


THE_REST = [("completion", {"token": "second"}), ("end", None)]


@pytest.mark.parametrize("http2", [True, False])
@pytest.mark.parametrize(
    "changes",
    [[], [ZIPPED], [(TIMEOUT, f"proxy_buffering off; {DEAF} 60s")]],
    ids=["as on the page", "compressed", "header ignored, buffering off"],
)
async def test_a_token_arrives_while_the_model_is_still_running(
    gated: Server, tmp_path: Path, changes: list[tuple[str, str]], http2: bool
) -> None:
    with nginx(gated.port, tmp_path, *changes) as front:
        async with asked(front, http2=http2) as events:
            assert (await anext(events)).json() == FIRST
            assert await rest(gated, events) == THE_REST


async def test_without_the_header_and_the_directive_nginx_buffers_a_compressed_token(
    gated: Server, tmp_path: Path
) -> None:
    """Otherwise the test above could not fail."""
    changes = [ZIPPED, (TIMEOUT, f"{DEAF} 60s")]
    with nginx(gated.port, tmp_path, *changes) as front, pytest.raises(TimeoutError):
        async with asyncio.timeout(1), asked(front) as events:
            await anext(events)


async def test_a_websocket_of_a_same_origin_page_streams(gated: Server, front: Front) -> None:
    async with socket(front, origin=front.url) as connection:
        await connection.send(json.dumps(QUESTION))
        assert json.loads(await connection.recv())["data"] == FIRST
        httpx.post(gated.url + "/go-on")
        assert json.loads(await connection.recv())["data"] == {"token": "second"}
        assert json.loads(await connection.recv())["event"] == "end"


async def test_a_websocket_of_a_cross_origin_page_is_refused(front: Front) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(front, origin="https://elsewhere.example"):
            pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("name", ["websocket", "WebSocket"])
def test_the_handshake_of_a_websocket_is_passed_on(front: Front, name: str) -> None:
    assert status(front, "/chat/ws", {**HANDSHAKE, "Upgrade": name}) == 101


def test_the_handshake_reaches_an_app_behind_proxy_fix(tmp_path: Path) -> None:
    with (
        hypercorn("tests.how_to.gated:proxied", tmp_path) as app,
        nginx(app.port, tmp_path) as front,
    ):
        assert status(front, "/chat/ws", HANDSHAKE) == 101


def status(front: Front, path: str, headers: dict[str, str]) -> int:
    """Return the status of the answer; what follows a 101 is no HTTP, and not read."""
    with httpx.stream("GET", front.url + path, headers=headers, verify=False) as response:
        return response.status_code


def test_an_upgrade_to_http2_is_not_passed_on(tmp_path: Path) -> None:
    """In front of the `hypercorn` command, where Hypercorn is not patched."""
    with (
        hypercorn("tests.how_to.gated:app", tmp_path) as app,
        nginx(app.port, tmp_path, DENIED) as front,
    ):
        assert status(front, "/", UPGRADE_TO_HTTP2) == 200
        assert status(front, "/counts", UPGRADE_TO_HTTP2) == 403


def test_hypercorn_upgrades_to_http2_if_nginx_forwards_any_upgrade(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    with (
        hypercorn("tests.how_to.gated:app", tmp_path) as app,
        nginx(app.port, tmp_path, ANY_UPGRADE) as front,
    ):
        assert status(front, "/", UPGRADE_TO_HTTP2) == 101


async def test_a_disconnect_cancels_the_chain(gated: Server, front: Front) -> None:
    for left, http2 in enumerate([True, False], 1):
        async with asked(front, http2=http2) as events:
            await anext(events)
        wait_until(lambda left=left: count(gated, "cancelled") == left)
    async with socket(front, origin=front.url) as connection:
        await connection.send(json.dumps(QUESTION))
        await connection.recv()
    wait_until(lambda: count(gated, "cancelled") == 3)
    assert count(gated, "started") == 3


@pytest.mark.parametrize("heartbeat", [0.2, 15])
async def test_heartbeats_keep_nginx_from_timing_out_a_silent_stream(
    tmp_path: Path, heartbeat: float
) -> None:
    with (
        hypercorn("tests.how_to.gated:app", tmp_path, HEARTBEAT=str(heartbeat)) as app,
        nginx(app.port, tmp_path, (TIMEOUT, "proxy_read_timeout 3s")) as front,
    ):
        httpx.get(app.url, timeout=30)  # it is up: nginx would not wait for that
        async with asked(front) as events, socket(front, origin=front.url) as connection:
            await anext(events)
            silence = asyncio.create_task(anext(events))
            if heartbeat < 1:
                for _ in range(20):  # four seconds, more than nginx waits
                    assert json.loads(await connection.recv())["event"] == "ping"
                httpx.post(app.url + "/go-on")
                assert (await silence).json() == {"token": "second"}
            else:
                with pytest.raises(ConnectionClosed):
                    await connection.recv()
                with pytest.raises(httpx.RemoteProtocolError):
                    await silence


async def test_the_app_gets_the_address_and_the_scheme_of_the_client(tmp_path: Path) -> None:
    with (
        hypercorn("tests.how_to.gated:proxied", tmp_path) as app,
        nginx(app.port, tmp_path) as front,
    ):
        claimed = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "ftp"}
        answer = httpx.get(front.url + "/client", headers=claimed, verify=False)
        assert answer.json() == ["https", "127.0.0.1"]


async def test_other_forwarding_headers_of_a_client_are_removed(
    tmp_path: Path,
) -> None:
    names = ["Forwarded", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP"]
    with (
        hypercorn("tests.how_to.gated:proxied", tmp_path) as app,
        nginx(app.port, tmp_path) as front,
    ):
        claimed = dict.fromkeys(names, "host=evil.example")
        answer = httpx.get(front.url + "/headers", headers=claimed, verify=False)
        arrived = httpx.Headers(answer.json())
        assert [name for name in names if name in arrived] == []
        assert arrived["Host"] == f"127.0.0.1:{front.port}"


async def test_a_reload_of_nginx_ends_no_stream_early(gated: Server, front: Front) -> None:
    async with asked(front, http2=False) as events:  # httpx takes GOAWAY for the end
        await anext(events)
        front.reload()
        assert await rest(gated, events) == THE_REST


async def test_streams_end_properly_when_the_app_is_stopped(gated: Server, front: Front) -> None:
    async with asked(front) as events:
        await anext(events)
        gated.process.terminate()
        assert [event.name async for event in events] == ["error", "end"]


def test_while_no_app_listens_nginx_answers_with_502(tmp_path: Path) -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with nginx(port, tmp_path) as front:
        assert httpx.post(front.url + "/chat", json=QUESTION, verify=False).status_code == 502
