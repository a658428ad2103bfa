"""A megabyte of any shape, in any place of a request, keeps no other client waiting."""

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from tests.faults.clients import connect
from tests.faults.conftest import Record
from tests.faults.frames import BINARY, CONTINUATION, PING, TEXT, frame, handshake, read_frame
from tests.servers import Server, served

SIZE = 2**20
HEADER_SIZE = 15_000  # Hypercorn takes 16 KiB of a head
LONGEST_WAIT = 0.5
GROWTH = 100e6

ROUTES = {
    "/messages": "input",
    "/history": "history",
    "/graph": "messages",
    "/classic": "input",
    "/any": "input",
    "/open": "notes",
    "/model": "tags",
    "/typed": "scores",
    "/map": "input",
}
"""Each kind of chain, with the field that the shapes are put into."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"QUART_LANARKY_RUN_TIMEOUT": "20"}
    folder = tmp_path_factory.mktemp("shapes")
    with served("tests.faults.shapes:app", folder, **settings) as running:
        for path in (*ROUTES, "/quick"):  # what is imported or compiled once is here
            httpx.post(running.url + path, json={"input": "?"}, timeout=60)
        yield running


@pytest.fixture(scope="module")
def size(server: Server) -> int:
    """Return how many bytes the process has before any shape: what it has got it may keep."""
    found: int = httpx.post(server.url + "/reset").json()["bytes"]
    return found


Look = Callable[[str], Awaitable[None]]


@pytest.fixture
async def look(server: Server, size: int, record: Record) -> AsyncIterator[Look]:
    """Ask a short question again and again during a test.

    It gives a function that looks at what the server has seen since it looked before.
    """
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        await client.post("/reset")
        answered, is_over, worst = 0, asyncio.Event(), [0.0, 0.0]

        async def ask() -> None:
            nonlocal answered
            while not is_over.is_set():
                answer = await client.post("/quick", json={"input": "?"})
                assert '{"token": "H"}' in answer.text
                answered += 1
                await asyncio.sleep(0.01)

        async def look_after(what: str) -> None:
            seen = (await client.get("/seen")).json()
            growth = seen["bytes"] - size
            worst[:] = max(worst[0], seen["seconds"]), max(worst[1], growth / 1e6)
            assert seen["seconds"] < LONGEST_WAIT, what
            assert growth < GROWTH, what
            await client.post("/reset")

        asking = asyncio.create_task(ask())
        yield look_after
        await look_after("the end")
        is_over.set()
        await asking
    assert answered
    record(f"{worst[0]:.3f} s, {worst[1]:.0f} MB, {answered} others")


# -- values ----------------------------------------------------------------------------------


def filled(item: str, before: str = "[", after: str = "]") -> str:
    """Return JSON of a megabyte: as many of an item as fit."""
    count = (SIZE - 200) // (len(item.encode()) + 1)
    return before + ",".join([item] * count) + after


def text(piece: str) -> str:
    """Return a JSON string of a megabyte."""
    return '"' + piece * ((SIZE - 200) // len(piece.encode())) + '"'


def message(content: str, **more: str) -> str:
    fields = "".join(f',"{name}":{value}' for name, value in more.items())
    return f'[{{"role":"user","content":{content}{fields}}}]'


CHUNK = (
    '[{"type":"AIMessageChunk","content":"","tool_call_chunks":[{"name":"x","args":%s,'
    '"id":"1","index":0}]}]'
)
CALL = '{"name":"x","args":{},"id":"1","type":"tool_call"}'
FUNCTION = '{"id":"1","type":"function","function":{"name":"x","arguments":%s}}'
HALF = SIZE // 2 - 200

VALUES = {
    "a text": text("x"),
    "spaces": text(" "),
    "line breaks": text("\\n"),
    "escapes of NUL": text("\\u0000"),
    "lone surrogates": text("\\ud800"),
    "emoji": text("👩‍👩‍👧‍👦"),
    "combining marks": text("e\u0301\u0302\u0303\u0304"),
    "right to left": text("\u202e\u2066א"),
    "backslashes": text("\\\\"),
    "quotes": text('\\"'),
    "braces": text("{"),
    "template tags": text("{{#a}}"),
    "markup": text("<a href='"),
    "nulls": filled("null"),
    "zeros": filled("0"),
    "floats": filled("1.5e308"),
    "empty texts": filled('""'),
    "short texts": filled('"a"'),
    "empty lists": filled("[]"),
    "empty objects": filled("{}"),
    "pairs": filled('["user",""]'),
    "a deep list": "[" * HALF + "]" * HALF,
    "a list that does not end": "[" * (SIZE - 200),
    "a deep object": '{"a":' * (HALF // 3) + "0" + "}" * (HALF // 3),
    "many keys": "{" + ",".join(f'"k{number}":0' for number in range(80_000)) + "}",
    "one key many times": filled('"k":0', "{", "}"),
    "a long key": "{" + text("k") + ":0}",
    "a number of many digits": "9" * (SIZE - 200),
    "a fraction of many digits": "0." + "9" * (SIZE - 200),
    "a large exponent": "1e" + "9" * (SIZE - 200),
    "messages": filled('{"role":"user","content":"a"}'),
    "messages of all roles": filled('{"role":"system","content":"a"},{"role":"x","content":1}'),
    "content blocks": message(filled('{"type":"text","text":""}')),
    "images": message(filled('{"type":"image_url","image_url":{"url":"data:,"}}')),
    "one large image": message(
        '[{"type":"image_url","image_url":{"url":' + text("A").replace('"', '"data:,', 1) + "}}]"
    ),
    "tool calls": message('""', role='"assistant"', tool_calls=filled(CALL)),
    "arguments of a tool call": message(
        '""', role='"assistant"', tool_calls=f"[{FUNCTION % text('[')}]"
    ),
    "a chunk of spaces": CHUNK % text(" ").replace('"', '"{\\"a\\":', 1),
    "a chunk of brackets": CHUNK % text("["),
    "additional fields": message('""', additional_kwargs="{" + filled('"a":0', "", "") + "}"),
    "serialized objects": filled('{"lc":1,"type":"constructor","id":["a"],"kwargs":{}}'),
}


async def post(server: Server, path: str, body: bytes, *head: str) -> bytes:
    """Send a body that may be no JSON, and return the answer."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *head]
    reader, writer = await connect(server, limit=2**22)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return await read_to_the_end(reader)
    finally:
        writer.transport.abort()


async def read_to_the_end(reader: StreamReader) -> bytes:
    answer = b""
    with suppress(ConnectionError):
        async with asyncio.timeout(50):
            while piece := await reader.read(2**16):
                answer += piece
                assert len(answer) < 4 * SIZE, "the answer is larger than the question"
    return answer


JSON = "Content-Type: application/json"


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
async def test_a_value_of_a_megabyte_keeps_nobody_waiting(
    server: Server, value: str, look: Look
) -> None:
    """In the body of a request, as a field and as a whole, and in a frame of a WebSocket."""
    fields = {path: f'{{"{name}":{value}}}' for path, name in ROUTES.items()}
    for path, body in [*fields.items(), ("/any", value)]:
        length = f"Content-Length: {len(body.encode())}"
        answer = await post(server, path, body.encode(), JSON, length)
        assert answer[9:12] in (b"200", b"400"), (path, answer[:200])
        await look(path)
    async with websocket(server, "/graph/ws") as (reader, writer):
        writer.write(frame(fields["/graph"]))
        assert await last_event(reader) == "end"
    await look("/graph/ws")


@asynccontextmanager
async def websocket(server: Server, path: str) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    reader, writer = await connect(server, limit=2**22)
    try:
        writer.write(handshake(path))
        await reader.readuntil(b"\r\n\r\n")
        yield reader, writer
    finally:
        writer.transport.abort()


async def last_event(reader: StreamReader) -> str | None:
    """Return the name of the event that ends a turn; None if the connection was closed."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        async with asyncio.timeout(50):
            while True:
                opcode, payload = await read_frame(reader)
                if opcode == TEXT and json.loads(payload)["event"] == "end":
                    return "end"
    return None


# -- the framing -----------------------------------------------------------------------------

Send = Callable[[StreamWriter], Awaitable[None]]


async def in_pieces(writer: StreamWriter, data: bytes) -> None:
    for start in range(0, len(data), 2**16):
        writer.write(data[start : start + 2**16])
        await writer.drain()


FRAMES = {
    "empty texts": frame("") * (SIZE // 6),
    "short texts": frame("?") * (SIZE // 7),
    "short objects": frame('{"input": "?"}') * (SIZE // 20),
    "signals to stop": frame('{"event": "stop"}') * (SIZE // 23),
    "answers to a ping": frame('{"event": "pong"}') * (SIZE // 23),
    "unknown signals": frame('{"event": "x"}') * (SIZE // 20),
    "pings": frame("", PING) * (SIZE // 6),
    "large pings": frame("x" * 125, PING) * (SIZE // 131),
    "binary": frame(b"\0" * SIZE, BINARY),
    "empty binary": frame(b"", BINARY) * (SIZE // 6),
    "pieces of a byte": frame("x", fin=False)
    + frame("x", CONTINUATION, fin=False) * (SIZE // 7)
    + frame("", CONTINUATION),
    "empty pieces": frame("", fin=False)
    + frame("", CONTINUATION, fin=False) * (SIZE // 6)
    + frame("", CONTINUATION),
}


@pytest.mark.usefixtures("look")
@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES)
async def test_a_megabyte_of_frames_keeps_nobody_waiting(server: Server, frames: bytes) -> None:
    async with websocket(server, "/messages/ws") as (reader, writer):
        reading = asyncio.create_task(read_to_the_end(reader))
        with suppress(ConnectionError):
            await in_pieces(writer, frames)
            writer.write(frame(b"\x03\xe8", 8))
        await asyncio.wait({reading}, timeout=20)
        reading.cancel()


@pytest.mark.usefixtures("look")
@pytest.mark.parametrize("length", [1, 1000])
async def test_a_body_in_many_chunks_keeps_nobody_waiting(server: Server, length: int) -> None:
    chunk = f"{length:x}\r\n".encode() + b" " * length + b"\r\n"
    body = chunk * (SIZE // len(chunk)) + b'e\r\n{"input": "?"}\r\n0\r\n\r\n'
    answer = await post(server, "/messages", body, JSON, "Transfer-Encoding: chunked")
    assert answer[9:12] == b"200", answer[:200]


# -- the head --------------------------------------------------------------------------------

PIECES = [
    "x",
    " ",
    ",",
    ";",
    "=",
    '"',
    "a,",
    "a/b;q=0,",
    "a=b; ",
    "a=b, ",
    "é",
    "%0A",
    "http://",
    "[",
]
HEADERS = [
    *("Accept", "Accept-Encoding", "Authorization", "Content-Type", "Cookie", "Forwarded", "Host"),
    *("If-None-Match", "Last-Event-ID", "Origin", "Range", "Referer", "Sec-Fetch-Site", "Upgrade"),
    *("Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "X-Forwarded-For", "Connection"),
]


def requests_with(header: str, piece: str) -> Iterator[bytes]:
    """Yield requests over HTTP and for WebSockets with one long header."""
    value = (piece * HEADER_SIZE).encode()[:HEADER_SIZE]
    line = f"{header}: ".encode() + b"x" + value.strip() + b"x\r\n"
    close = b"" if header == "Connection" else b"Connection: close\r\n"
    host = b"" if header == "Host" else b"Host: x\r\n"
    kind = b"" if header == "Content-Type" else f"{JSON}\r\n".encode()
    body = b'{"input": "?"}'
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    yield b"GET /messages?input=x HTTP/1.1\r\n" + host + close + line + b"\r\n"
    yield b"POST /messages HTTP/1.1\r\n" + host + close + kind + line + length + body
    yield handshake("/messages/ws").removesuffix(b"\r\n") + line + b"\r\n"


@pytest.mark.usefixtures("look")
@pytest.mark.parametrize("header", HEADERS)
async def test_a_long_header_keeps_nobody_waiting(server: Server, header: str) -> None:
    """Of several kinds, so that they have a megabyte together."""
    for piece in PIECES:
        for request in requests_with(header, piece):
            assert await first_line(server, request)


async def first_line(server: Server, request: bytes) -> bytes:
    reader, writer = await connect(server)
    try:
        writer.write(request)
        with suppress(ConnectionError):
            async with asyncio.timeout(50):
                return await reader.readline()
        return b"cut"
    finally:
        writer.transport.abort()


QUERIES = {
    "a long value": "input=" + "x" * HEADER_SIZE,
    "percent signs": "input=" + "%" * HEADER_SIZE,
    "encoded": "input=" + "%F0%9F%98%80" * (HEADER_SIZE // 12),
    "no text": "input=" + "%FF" * (HEADER_SIZE // 3),
    "plus signs": "input=" + "+" * HEADER_SIZE,
    "many names": "&".join(f"k{number}=0" for number in range(HEADER_SIZE // 8)),
    "one name many times": "input=&" * (HEADER_SIZE // 7),
    "separators": "&" * HEADER_SIZE,
    "other separators": ";=" * (HEADER_SIZE // 2),
    "brackets": "input=" + "[" * HEADER_SIZE,
    "JSON": "input=" + "[{}," * (HEADER_SIZE // 4),
}


@pytest.mark.usefixtures("look")
@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
async def test_a_long_query_string_keeps_nobody_waiting(server: Server, query: str) -> None:
    for path in ROUTES:
        for _ in range(SIZE // HEADER_SIZE // len(ROUTES)):
            head = f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\n\r\n"
            assert await first_line(server, head.encode())
            assert await first_line(server, handshake(f"{path}/ws?{query}"))
