"""The access log of `serve`: one line for each request, whatever a client sends."""

import asyncio
import time
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky.serving.access_log import AccessLogger, escape, use_access_logger
from tests.faults.clients import H2Client, connect
from tests.faults.frames import handshake
from tests.servers import Server, served

FORGED = '127.0.0.1 - - [now] "GET /admin 1.1" 200'

PATHS = {
    "line feed": "/%0A",
    "carriage return": "/%0D",
    "both": "/%0D%0A",
    "line separator": "/%E2%80%A8",
    "paragraph separator": "/%E2%80%A9",
    "next line": "/%C2%85",
    "escape": "/%1B%5B2J%1B%5B31m",
    "vertical tab": "/%0B%0C%1C%1D%1E",
    "backspaces": "/%08%08%08%7F%00",
    "right to left": "/%E2%80%AE",
    "quote": "/%22%20200%20-%20%22",
    "backslash": "/%5Cn",
}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("logged")
    with served("tests.faults.app:app", folder, access_log=True) as server:
        httpx.get(f"{server.url}/ping", timeout=60)
        while "GET /ping" not in server.log():  # it is written after the answer
            time.sleep(0.01)
        yield server


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("is_websocket", [False, True])
async def test_a_path_cannot_forge_a_line(logged: Server, path: str, is_websocket: bool) -> None:
    path = f"/none{path}{quote(FORGED)}"
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    before = logged.log()
    await ask(logged, handshake(path) if is_websocket else head)
    [line] = (await log_after(logged, before)).removesuffix("\n").split("\n")
    assert line.isprintable()
    assert FORGED not in line
    assert "/none" in line


async def test_a_header_cannot_forge_a_line(logged: Server) -> None:
    before = logged.log()
    async with H2Client.open(logged) as client, asyncio.timeout(10):
        client.connection.config.validate_outbound_headers = False
        head = [(":method", "GET"), (":path", "/ping"), (":scheme", "http"), (":authority", "x")]
        agent = ("user-agent", f'\x1b[2J"\x85{FORGED}')
        client.connection.send_headers(1, [*head, agent], end_stream=True)
        client.flush()
        await client.read(1)
    [line] = (await log_after(logged, before)).removesuffix("\n").split("\n")
    assert line.isprintable()
    assert FORGED not in line


async def log_after(server: Server, before: str) -> str:
    """Return what has been logged since, when there is something."""
    async with asyncio.timeout(10):
        while (now := server.log()) == before or not now.endswith("\n"):
            await asyncio.sleep(0.01)
    return now.removeprefix(before)


async def ask(server: Server, request: bytes) -> bytes:
    reader, writer = await connect(server)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.readline()
    finally:
        writer.transport.abort()


@given(st.text())
def test_an_escaped_text_is_one_line_without_quotes_and_has_only_one_source(text: str) -> None:
    escaped = escape(text)
    assert escaped.isprintable()
    assert '"' not in escaped
    assert escaped.encode("ascii", "backslashreplace").decode("unicode_escape") == text


@pytest.mark.parametrize("text", ["", "/chat?question=Hällo", "日本語", "a b"])
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    assert escape(text) == text


def test_a_logger_of_the_users_own_is_kept() -> None:
    class OwnLogger(Logger): ...

    config, own = Config(), Config()
    own.logger_class = OwnLogger
    for each in (config, own):
        use_access_logger(each)
    assert (config.logger_class, own.logger_class) == (AccessLogger, OwnLogger)
    assert Config().logger_class is Logger
