"""Everything is limited: runs, their time, the data of a client, and its idle time."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quart_lanarky.protocols.sse import Decoder
from tests.faults.clients import H2Client, connect, cut, post, vitals, wait_until
from tests.faults.frames import CLOSE, TEXT, frame, frame_socket, handshake, read_frame, upgrade
from tests.live.clients import ask, names, read_turn, socket, text, turn
from tests.servers import Server, hypercorn, served

MAX_RUNS = 3
RUN_TIMEOUT = 0.8
HEARTBEAT = 0.1
IDLE_TIMEOUT = 0.5
MAX_MESSAGE_BYTES = 1000
CANCEL_TIMEOUT = 0.5  # as `impatient` has it

QUESTION = {"question": "how much?"}
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve three runs at a time."""
    settings = {"QUART_LANARKY_MAX_RUNS": str(MAX_RUNS)}
    with hypercorn("tests.faults.app:app", tmp_path_factory.mktemp("few"), **settings) as server:
        httpx.get(f"{server.url}/ping")  # now it is up
        yield server


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with a short timeout and a small body limit."""
    settings = {
        "QUART_LANARKY_RUN_TIMEOUT": str(RUN_TIMEOUT),
        "QUART_LANARKY_HEARTBEAT": str(HEARTBEAT),
        "QUART_LANARKY_IDLE_TIMEOUT": str(IDLE_TIMEOUT),
        "QUART_LANARKY_MAX_MESSAGE_BYTES": str(MAX_MESSAGE_BYTES),
    }
    with served("tests.faults.app:app", tmp_path_factory.mktemp("brief"), **settings) as server:
        httpx.get(f"{server.url}/ping")
        yield server


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Abandon chains that ignore their cancellation after half a second."""
    settings = {"QUART_LANARKY_RUN_TIMEOUT": str(RUN_TIMEOUT)}
    folder = tmp_path_factory.mktemp("impatient")
    with served("tests.faults.impatient:app", folder, **settings) as server:
        httpx.get(f"{server.url}/ping")
        yield server


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=20) as found:
        yield found


# -- MAX_RUNS ------------------------------------------------------------------------------


@asynccontextmanager
async def full(server: Server) -> AsyncIterator[None]:
    """Keep the maximum number of runs live, one on each transport."""
    async with AsyncExitStack() as stack:
        for accept in ("text/event-stream", "application/json"):
            _, writer = await connect(server)
            stack.callback(cut, writer)
            writer.write(post("/hanging", QUESTION, Accept=accept))
        connection = await stack.enter_async_context(socket(server, "/hanging/ws"))
        await connection.send(json.dumps(QUESTION))
        await wait_until(lambda now: now["live"] == MAX_RUNS, lambda: vitals(server), within=2)
        yield
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(server), within=1)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_the_run_beyond_max_runs_is_a_503_with_retry_after(
    few: Server, method: str, accept: str
) -> None:
    asking: dict[str, Any] = {"params": QUESTION} if method == "GET" else {"json": QUESTION}
    async with client(few) as asker:
        async with full(few):
            response = await asker.request(method, "/quick", headers={"Accept": accept}, **asking)
            assert response.status_code == 503
            assert int(response.headers["Retry-After"]) > 0
            assert response.json() == {
                "status_code": 503,
                "detail": "too many runs are live now: try again later",
            }
        response = await asker.request(method, "/quick", headers={"Accept": accept}, **asking)
        assert response.status_code == 200


async def test_a_handshake_beyond_max_runs_is_a_503(few: Server) -> None:
    async with full(few):
        with pytest.raises(InvalidStatus) as refused:
            async with socket(few, "/quick/ws"):
                pass
    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0
    assert text(await ask(few, "ws", "/quick", QUESTION)) == "0 1 2 "


async def test_a_turn_beyond_max_runs_gets_error_end_and_close_code_1013(
    few: Server,
) -> None:
    async with socket(few, "/quick/ws") as connection:
        assert text(await turn(connection, QUESTION)) == "0 1 2 "
        async with full(few):
            frames = await turn(connection, QUESTION)
            assert names(frames) == ["error", "end"]
            assert frames[0]["data"]["status_code"] == 503
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


async def test_a_websocket_without_a_turn_does_not_count_as_a_run(few: Server) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2 * MAX_RUNS):
            await stack.enter_async_context(socket(few, "/quick/ws"))
        assert (await vitals(few))["live"] == 0


Visit = Callable[[httpx.AsyncClient, Server], Awaitable[str]]
"""A client: connects, sends a request, disconnects, and returns what it received."""


def visit(method: str, path: str, **asking: Any) -> Visit:
    async def come(asker: httpx.AsyncClient, server: Server) -> str:
        return str((await asker.request(method, path, **asking)).status_code)

    return come


def request_and_disconnect(path: str, after: float, **headers: str) -> Visit:
    async def come(asker: httpx.AsyncClient, server: Server) -> str:
        _, writer = await connect(server)
        writer.write(post(path, QUESTION, **headers))
        await asyncio.sleep(after)
        cut(writer)
        return "left"

    return come


def talk(path: str, *messages: str) -> Visit:
    async def come(asker: httpx.AsyncClient, server: Server) -> str:
        try:
            async with socket(server, f"{path}/ws") as connection:
                for message in messages:
                    await turn(connection, message)
        except InvalidStatus as refused:
            return str(refused.response.status_code)
        except ConnectionClosed as closed:
            return str(closed.rcvd and closed.rcvd.code)
        return "talked"

    return come


def chat_and_disconnect(path: str, after: float) -> Visit:
    async def come(asker: httpx.AsyncClient, server: Server) -> str:
        reader, writer = await connect(server)
        writer.write(handshake(f"{path}/ws"))
        with suppress(TimeoutError):
            async with asyncio.timeout(after):
                if (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101"):
                    writer.write(frame(json.dumps(QUESTION)))
                await asyncio.Event().wait()
        cut(writer)
        return "left"

    return come


VISITS: dict[str, Visit] = {
    "finishes": visit("POST", "/quick", json=QUESTION),
    "finishes, by GET": visit("GET", "/quick", params=QUESTION),
    "finishes, as JSON": visit("POST", "/quick", json=QUESTION, headers=JSON),
    "finishes two turns": talk("/quick", json.dumps(QUESTION), "how much?"),
    "fails": visit("POST", "/failing", json=QUESTION),
    "fails, as JSON": visit("POST", "/failing", json=QUESTION, headers=JSON),
    "fails in a turn": talk("/failing", "how much?"),
    "has no chain": visit("POST", "/raising", json=QUESTION),
    "has no chain for its turns": talk("/raising", "how much?"),
    "does not fit": visit("POST", "/quick", json={"questoin": "how much?"}),
    "is no JSON": visit("POST", "/quick", content=b"?"),
    "has unknown parameters": visit("GET", "/quick", params={"a": "b"}),
    "does not fit, in a turn": talk("/quick", "{}", "[]", "{"),
    "wants only the head": visit("HEAD", "/quick", params=QUESTION),
    "is not sent": visit("POST", "/discarded", json=QUESTION),
    "is not waited for": request_and_disconnect("/paced", 0.02),
    "is not waited for, as JSON": request_and_disconnect("/paced", 0.02, **JSON),
    "is not waited for, in a turn": chat_and_disconnect("/paced", 0.1),
    "is not waited for at all": request_and_disconnect("/paced", 0),
    "is not waited for before it begins": request_and_disconnect(
        "/slow-to-make?seconds=0.05", 0.02
    ),
    "is not waited for before it is accepted": chat_and_disconnect("/slow-to-make", 0.02),
}

# -- MAX_SESSIONS --------------------------------------------------------------------------


@pytest.fixture(params=["serve", "hypercorn"])
def two_sessions(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Serve two WebSockets at a time."""
    start = served if request.param == "serve" else hypercorn
    with start("tests.faults.app:app", tmp_path, QUART_LANARKY_MAX_SESSIONS="2") as server:
        httpx.get(f"{server.url}/ping")
        yield server


async def test_a_websocket_beyond_the_limit_is_refused_at_its_handshake(
    two_sessions: Server,
) -> None:
    path = "/paced/ws?delay=0&count=1"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(frame_socket(two_sessions, path))
        await stack.enter_async_context(frame_socket(two_sessions, path))
        opened = (await vitals(two_sessions))["opened"]
        async with frame_socket(two_sessions, path) as refused:
            head, body = refused.answer.lower(), await refused.reader.read(1000)
        assert head.startswith("http/1.1 503")
        assert "retry-after: 5" in head
        assert json.loads(body) == {
            "status_code": 503,
            "detail": "too many WebSockets are open now: try again later",
        }
        assert (await vitals(two_sessions))["opened"] == opened
        assert names(await ask(two_sessions, "sse", "/quick", QUESTION))[-1] == "end"
        cut(first.writer)
        await wait_until(lambda now: now["sessions"] == 1, lambda: vitals(two_sessions), within=5)
        async with frame_socket(two_sessions, path) as third:
            assert third.answer.startswith("HTTP/1.1 101")


async def test_a_handshake_counts_while_its_chain_is_made_and_when_it_fails(
    two_sessions: Server,
) -> None:
    making = []
    for path in ("/slow-to-make/ws?seconds=60", "/slow-to-make/ws?seconds=60"):
        _, writer = await connect(two_sessions)
        writer.write(handshake(path))
        making.append(writer)
    await wait_until(lambda now: now["live"] == 2, lambda: vitals(two_sessions), within=5)
    async with frame_socket(two_sessions, "/quick/ws") as refused:
        assert refused.answer.startswith("HTTP/1.1 503")
    for writer in making:
        cut(writer)
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(two_sessions), within=5)
    for _ in range(5):
        async with frame_socket(two_sessions, "/raising/ws") as failed:
            assert failed.answer.startswith("HTTP/1.1 500")
    async with frame_socket(two_sessions, "/quick/ws") as welcome:
        assert welcome.answer.startswith("HTTP/1.1 101")


EXPECTED = {"200", "400", "500", "503", "1013", "left", "talked"}


async def test_every_run_frees_its_slot_however_it_ends(few: Server) -> None:
    got: Counter[str] = Counter()
    async with client(few) as asker:
        asker.headers["Connection"] = "close"  # Hypercorn does where it has not read all

        async def come(number: int) -> None:
            for visits in range(80):
                name = list(VISITS)[(number + visits) % len(VISITS)]
                got[await VISITS[name](asker, few)] += 1

        await asyncio.gather(*(come(number) for number in range(10)))
    assert EXPECTED.issuperset(got)
    assert min(got["200"], got["503"], got["talked"], got["left"]) >= 10
    now = await wait_until(lambda now: now["live"] == 0, lambda: vitals(few), within=2)
    assert now["opened"] == now["closed"]
    async with full(few):  # so there are as many slots as before
        assert (await vitals(few))["live"] == MAX_RUNS


# -- RUN_TIMEOUT ---------------------------------------------------------------------------

TOO_LONG = {"status_code": 504, "detail": f"the run took longer than {RUN_TIMEOUT:g} seconds"}
NOT_READY = {
    "status_code": 504,
    "detail": f"the server was not ready within {RUN_TIMEOUT:g} seconds",
}


@pytest.mark.parametrize("path", ["/hanging", "/paced", "/eager", "/thinking", "/thread"])
async def test_a_run_that_takes_too_long_ends_with_an_error_504(brief: Server, path: str) -> None:
    began_at = time.monotonic()
    async with client(brief) as asker:
        over_sse, over_ws, as_json = await asyncio.gather(
            ask(brief, "sse", path, QUESTION),
            ask(brief, "ws", path, QUESTION),
            asker.post(path, json=QUESTION, headers=JSON),
        )
    assert RUN_TIMEOUT < time.monotonic() - began_at < RUN_TIMEOUT + 1.5
    for frames in (over_sse, [each for each in over_ws if each["event"] != "ping"]):
        assert names(frames)[-2:] == ["error", "end"]
        assert frames[-2]["data"] == TOO_LONG
    assert (as_json.status_code, as_json.json()) == (504, TOO_LONG)
    threads = 3 if path == "/thread" else 0  # which count until they end
    assert (await vitals(brief))["live"] == threads
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(brief), within=5)


async def test_the_stream_of_a_chain_that_ignores_its_cancellation_ends(
    impatient: Server,
) -> None:
    path, began_at = "/stubborn?seconds=3", time.monotonic()
    async with client(impatient) as asker:
        over_sse, over_ws, as_json = await asyncio.gather(
            ask(impatient, "sse", path, QUESTION),
            ask(impatient, "ws", "/stubborn", QUESTION, query="?seconds=3"),
            asker.post(path, json=QUESTION, headers=JSON),
        )
    assert time.monotonic() - began_at < RUN_TIMEOUT + CANCEL_TIMEOUT + 1
    for frames in (over_sse, over_ws):
        assert frames[-2]["data"] == TOO_LONG
    assert (as_json.status_code, as_json.json()) == (504, TOO_LONG)
    now = await wait_until(lambda now: now["live"] == 0, lambda: vitals(impatient), within=1)
    assert now["chains"] == 3  # abandoned
    impatient.wait_for_log("ignores its cancellation: left to itself")


async def test_a_chain_that_takes_too_long_to_make_is_a_504_before_any_stream(
    brief: Server,
) -> None:
    async def shake_hands() -> InvalidStatus:
        with pytest.raises(InvalidStatus) as refused:
            async with socket(brief, "/slow-to-make/ws"):
                pass
        return refused.value

    async with client(brief) as asker:
        as_stream, as_json, refused = await asyncio.gather(
            asker.post("/slow-to-make", json=QUESTION),
            asker.post("/slow-to-make", json=QUESTION, headers=JSON),
            shake_hands(),
        )
    for response in (as_stream, as_json):
        assert (response.status_code, response.json()) == (504, NOT_READY)
    assert refused.response.status_code == 504
    assert (await vitals(brief))["live"] == 0


async def test_a_websocket_stays_open_after_a_turn_that_timed_out(brief: Server) -> None:
    async with socket(brief, "/paced/ws?count=3&delay=0.5") as connection:
        assert names(await turn(connection, QUESTION))[-2:] == ["error", "end"]
        assert names(await turn(connection, "{}")) == ["error", "end"]


# -- MAX_MESSAGE_BYTES ---------------------------------------------------------------------


JSON_BODY = {"Content-Type": "application/json"}


async def slowly(size: int) -> AsyncIterator[bytes]:
    for _ in range(20):
        yield bytes(size // 20)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": str(3 * MAX_MESSAGE_BYTES)}])
async def test_a_body_beyond_the_limit_is_a_413_that_the_client_can_read(
    brief: Server, headers: dict[str, str]
) -> None:
    async with client(brief) as asker:
        response = await asker.post(
            "/quick", content=slowly(3 * MAX_MESSAGE_BYTES), headers=JSON_BODY | headers
        )
    assert response.status_code == 413
    assert response.json() == {
        "status_code": 413,
        "detail": f"send no more than {MAX_MESSAGE_BYTES} bytes",
        "errors": [],
    }


async def test_a_body_of_the_maximum_size_is_accepted(brief: Server) -> None:
    fitting = json.dumps(QUESTION).ljust(MAX_MESSAGE_BYTES).encode()
    async with client(brief) as asker:
        taken = await asker.post("/quick", content=fitting, headers=JSON_BODY)
        refused = await asker.post("/quick", content=fitting + b" ", headers=JSON_BODY)
    assert (taken.status_code, refused.status_code) == (200, 413)


@pytest.mark.parametrize("asking", ["POST /quick", "GET /hanging?question=go"])
async def test_an_endless_body_is_not_buffered(brief: Server, asking: str) -> None:
    before, highest = (await vitals(brief))["rss"], 0
    _, writer = await connect(brief)
    head = "Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(f"{asking} HTTP/1.1\r\n{head}".encode())
    with suppress(ConnectionError):
        for number in range(50 * 16):
            writer.write(b"10000\r\n" + bytes(2**16) + b"\r\n")
            await writer.drain()
            if number % 160 == 0:
                highest = max(highest, (await vitals(brief))["rss"])
    highest = max(highest, (await vitals(brief))["rss"])
    writer.transport.abort()
    assert highest - before < 10 * 2**20
    assert (await ask(brief, "sse", "/quick", QUESTION))[-1]["event"] == "end"


async def test_over_http2_the_rest_of_a_body_after_a_413_ends_no_other_stream(
    brief: Server,
) -> None:
    async with H2Client.open(brief) as asker:
        refused = asker.begin("/quick")
        asker.connection.send_data(refused, bytes(2 * MAX_MESSAGE_BYTES))
        asker.flush()
        await asker.read(refused)
        other = asker.ask("/paced?question=go&count=10&delay=0.02")
        for _ in range(10):
            asker.connection.send_data(refused, bytes(MAX_MESSAGE_BYTES))
            await asker.receive()
        (body,) = await asker.read(other)
    assert asker.status == {refused: 413, other: 200}
    assert Decoder().feed(body)[-1].name == "end"


# -- HEARTBEAT -----------------------------------------------------------------------------


async def test_heartbeats_of_a_silent_stream_are_no_events_to_any_parser(
    brief: Server,
) -> None:
    async with client(brief) as asker:
        body = (await asker.post("/hanging", json=QUESTION)).content
    decoder = Decoder()
    assert [event.name for event in decoder.feed(body)] == ["completion", "error", "end"]
    assert decoder.comments >= RUN_TIMEOUT / HEARTBEAT - 2
    *blocks, rest = body.decode().split("\n\n")  # as parsers do that read no specification
    assert [naive_fields(block)["event"] for block in blocks] == ["completion", "error", "end"]
    assert rest == ""


def naive_fields(block: str) -> dict[str, str]:
    lines = [line for line in block.split("\n") if not line.startswith(":")]
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}


async def test_a_json_response_has_no_heartbeats(brief: Server) -> None:
    async with client(brief) as asker:
        body = (await asker.post("/hanging", json=QUESTION, headers=JSON)).content
    assert body.startswith(b"{")
    assert body.endswith(b"}")


async def test_a_websocket_gets_pings_during_and_between_turns(brief: Server) -> None:
    ping = {"event": "ping", "data": None}
    async with socket(brief, "/hanging/ws") as connection:
        assert json.loads(await connection.recv()) == ping
        await connection.send(json.dumps(QUESTION))
        frames = await read_turn(connection)
        assert frames.count(ping) >= RUN_TIMEOUT / HEARTBEAT - 2
        assert names([each for each in frames if each != ping]) == ["completion", "error", "end"]
        assert json.loads(await connection.recv()) == ping


# -- IDLE_TIMEOUT --------------------------------------------------------------------------


async def test_a_websocket_that_answers_no_ping_is_closed_with_1008(brief: Server) -> None:
    began_at = time.monotonic()
    async with socket(brief, "/quick/ws") as connection:
        with suppress(ConnectionClosed):
            async for each in connection:
                assert json.loads(each)["event"] == "ping"
    assert IDLE_TIMEOUT <= time.monotonic() - began_at < IDLE_TIMEOUT + 1
    assert connection.close_code == 1008


async def test_a_websocket_that_does_not_answer_the_close_is_disconnected(brief: Server) -> None:
    reader, writer = await upgrade(brief, "/quick/ws")
    async with asyncio.timeout(IDLE_TIMEOUT + 2.5):
        opcode, payload = TEXT, b""
        while opcode == TEXT:
            opcode, payload = await read_frame(reader)
        assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, 1008)
        assert await reader.read() == b""
    writer.close()
    await wait_until(lambda now: now["sessions"] == 0, lambda: vitals(brief), within=1)


async def test_a_websocket_that_answers_its_pings_stays_open(brief: Server) -> None:
    until = time.monotonic() + 3 * IDLE_TIMEOUT
    async with socket(brief, "/quick/ws") as connection:
        while time.monotonic() < until:
            assert json.loads(await connection.recv())["event"] == "ping"
            await connection.send('{"event": "pong"}')
        frames = await turn(connection, QUESTION)
        assert names([each for each in frames if each["event"] != "ping"]) == ["completion", "end"]


async def test_a_websocket_with_a_long_turn_stays_open(brief: Server) -> None:
    assert RUN_TIMEOUT > IDLE_TIMEOUT
    async with socket(brief, "/hanging/ws") as connection:
        for _ in range(2):
            assert names(await turn(connection, QUESTION))[-1] == "end"
            assert json.loads(await connection.recv())["event"] == "ping"
