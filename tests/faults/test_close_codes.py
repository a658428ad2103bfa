"""The close code tells why the server closes a WebSocket, and earlier frames are not lost."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.clients import vitals, wait_until
from tests.faults.frames import (
    CLOSE,
    PING,
    PONG,
    QUESTION,
    FrameSocket,
    close_frame,
    frame,
    frame_socket,
)
from tests.servers import Server, hypercorn, served

APP = "tests.faults.middle:app"

MAX_RUNS = 30
REPETITIONS = 200
AT_ONCE = 25

TALK = "/paced/ws?delay=0.02&count=5"
ANSWER = ["completion"] * 5 + ["end"]

SETTINGS = {
    "QUART_LANARKY_MAX_RUNS": str(MAX_RUNS),
    "QUART_LANARKY_MAX_QUEUED_TURNS": "2",
    "QUART_LANARKY_MAX_MESSAGE_BYTES": "1000",
    "QUART_LANARKY_HEARTBEAT": "0.2",
    "QUART_LANARKY_IDLE_TIMEOUT": "0.7",
    "QUART_LANARKY_DRAIN_TIMEOUT": "1",
}

NODE = shutil.which("node")


@pytest.fixture(scope="module", params=[served, hypercorn], ids=["serve", "hypercorn"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with request.param(APP, tmp_path_factory.mktemp("codes"), **SETTINGS) as server:
        yield server


def events_of(texts: list[str]) -> list[dict[str, Any]]:
    """Return the events of turns, which pings are not."""
    return [event for text in texts if (event := json.loads(text))["event"] != "ping"]


def names(texts: list[str]) -> list[str]:
    return [event["event"] for event in events_of(texts)]


@asynccontextmanager
async def all_runs_taken(server: Server) -> AsyncIterator[None]:
    """Keep the maximum number of runs live."""
    async with AsyncExitStack() as stack:
        for _ in range(MAX_RUNS):
            client = await stack.enter_async_context(frame_socket(server, "/hanging/ws"))
            await client.send(frame(QUESTION))
            await client.receive()
        yield
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(server), 5)


# -- the codes -----------------------------------------------------------------------------


async def test_too_many_queued_turns_close_with_1008(server: Server) -> None:
    async with frame_socket(server, "/paced/ws") as client:
        await client.send(frame(QUESTION) * 4)
        assert await client.close_code() == 1008


async def test_an_idle_websocket_is_closed_with_1008(server: Server) -> None:
    async with frame_socket(server, "/quick/ws") as client:
        began = time.monotonic()
        texts, code = await client.texts_and_code()
    assert code == 1008
    assert 0.6 < time.monotonic() - began < 2
    assert json.loads(texts[0]) == {"event": "ping", "data": None}


@pytest.mark.parametrize("letter", ["x", "ü"])
async def test_a_message_with_too_many_bytes_closes_with_1009(server: Server, letter: str) -> None:
    async with frame_socket(server, "/quick/ws") as client:
        await client.send(frame(letter.encode() * (1002 // len(letter.encode()))))
        assert await client.close_code() == 1009


async def test_a_failure_outside_of_a_run_closes_with_1011_and_is_logged(server: Server) -> None:
    async with frame_socket(server, "/hard/ws") as client:
        await client.send(frame(QUESTION))
        assert await client.close_code() == 1011
    assert "HardError" in server.wait_for_log("a WebSocket session failed")


async def test_a_handler_that_raises_does_not_close_the_connection(server: Server) -> None:
    async with frame_socket(server, "/handler/token-aborts/ws") as client:
        for _ in range(2):
            await client.send(frame(QUESTION))
            texts = [(await client.receive())[1].decode() for _ in range(2)]
            assert names(texts) == ["error", "end"]


async def test_a_run_beyond_max_runs_gets_error_end_and_1013(server: Server) -> None:
    async with frame_socket(server, "/quick/ws") as client, all_runs_taken(server):
        await client.send(frame(QUESTION))
        texts, code = await client.texts_and_code()
    assert names(texts) == ["error", "end"]
    assert events_of(texts)[0]["data"]["status_code"] == 503
    assert code == 1013


@pytest.mark.parametrize("start", [served, hypercorn], ids=["serve", "hypercorn"])
async def test_on_shutdown_idle_websockets_get_1012_at_once_and_busy_ones_after_their_end(
    start: Any, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(start(APP, tmp_path, QUART_LANARKY_DRAIN_TIMEOUT="1"))
        idle, busy = [
            [await stack.enter_async_context(frame_socket(server, "/paced/ws")) for _ in range(20)]
            for _ in range(2)
        ]
        for client in busy:
            await client.send(frame(QUESTION))
            await client.receive()
        senders = [asyncio.create_task(send_pongs(each)) for each in [*idle, *busy]]
        server.process.terminate()
        for client in idle:
            assert await client.texts_and_code() == ([], 1012)
        for client in busy:
            texts, code = await client.texts_and_code()
            assert (names(texts)[-3:], code) == (["completion", "error", "end"], 1012)
        for sender in senders:
            sender.cancel()


# -- the client ends it --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/quick/ws", "/paced/ws"])
@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (close_frame(1000), 1000),
        (close_frame(1001, b"going away"), 1001),
        (close_frame(4000), 4000),
    ],
    ids=["1000", "1001", "4000"],
)
async def test_a_client_that_closes_gets_its_own_code_back(
    server: Server, path: str, said: bytes, answered: int
) -> None:
    async with frame_socket(server, path) as client:
        await client.send(frame(QUESTION) + frame(QUESTION) + said)
        assert await client.close_code() == answered
        assert await client.was_cut(within=1)


async def test_a_client_that_closes_without_a_code_gets_no_code_back(server: Server) -> None:
    async with frame_socket(server, "/quick/ws") as client:
        await client.send(frame(b"", CLOSE))
        assert await client.receive() == (CLOSE, b"")
        assert await client.was_cut(within=1)


# -- the last frames -----------------------------------------------------------------------


async def close_websockets(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
        await client.post("/close-websockets")


async def send_pongs(client: FrameSocket) -> None:
    """Keep sending, as clients that have not received the close yet."""
    with suppress(ConnectionError):
        while True:
            await client.send(frame(b'{"event": "pong"}'), frame(b"", PONG))
            await asyncio.sleep(0.005)


async def wait_for_completion(client: FrameSocket) -> None:
    while b"completion" not in (await client.receive())[1]:
        pass


async def read_rest_and_answer_close(
    client: FrameSocket, sender: asyncio.Task[None]
) -> tuple[list[str], int | None]:
    """Return the rest of the answer and the code; answer the server's close, as browsers do."""
    texts, code = await client.texts_and_code()
    sender.cancel()
    await client.send(close_frame(1012))
    assert await client.was_cut(within=1)
    return names(texts), code


async def test_a_client_that_is_still_sending_loses_no_frame_when_the_server_closes(
    server: Server,
) -> None:
    for _ in range(REPETITIONS // AT_ONCE):
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            clients = [await enter(frame_socket(server, TALK)) for _ in range(AT_ONCE)]
            senders = [asyncio.create_task(send_pongs(client)) for client in clients]
            for client in clients:
                await client.send(frame(QUESTION))
            # A question that has not been read yet when the server stops is not answered.
            for client in clients:
                await wait_for_completion(client)
            await close_websockets(server)
            # All at once: the server waits a second for the answer to its close.
            answers = await asyncio.gather(*map(read_rest_and_answer_close, clients, senders))
            assert answers == [(ANSWER[1:], 1012)] * AT_ONCE


NODE_CLIENT = """
const [url, path, ...numbers] = process.argv.slice(1);
const [repetitions, atOnce] = numbers.map(Number);
let begun = 0;
const ask = () => new Promise(resolve => {
    const socket = new WebSocket(url.replace("http", "ws") + path), events = [];
    let timer;
    socket.onopen = () => {
        socket.send("x");
        timer = setInterval(() => socket.send('{"event": "pong"}'), 5);
    };
    socket.onmessage = message => {
        const {event} = JSON.parse(message.data);
        if (event === "completion" && !events.length && ++begun % atOnce === 0)
            fetch(url + "/close-websockets", {method: "POST"});
        if (event !== "ping") events.push(event);
    };
    socket.onerror = event => resolve(event.message);
    socket.onclose = ({code, wasClean}) => {
        clearInterval(timer);
        resolve([...events, code, wasClean].join());
    };
});
const answers = {};
for (let done = 0; done < repetitions; done += atOnce)
    for (const answer of await Promise.all(Array.from({length: atOnce}, ask)))
        answers[answer] = (answers[answer] ?? 0) + 1;
console.log(JSON.stringify(answers));
"""


@pytest.mark.skipif(NODE is None, reason="no node: its WebSocket is not tried")
async def test_the_websocket_of_node_loses_no_frame_when_the_server_closes(
    server: Server,
) -> None:
    flags = ["--no-warnings", "--experimental-websocket", "--input-type=module", "-e", NODE_CLIENT]
    arguments = [server.url, TALK, str(REPETITIONS), str(AT_ONCE)]
    answers = await asyncio.to_thread(
        subprocess.run, [NODE, *flags, *arguments], stdout=subprocess.PIPE, timeout=30, check=True
    )
    expected = ",".join([*ANSWER, "1012", "true"])
    assert json.loads(answers.stdout) == {expected: REPETITIONS}


# -- no answer -----------------------------------------------------------------------------


async def test_a_client_that_does_not_answer_the_close_is_disconnected_a_second_later(
    server: Server,
) -> None:
    async def go_on(piece: bytes) -> None:
        async with frame_socket(server, "/paced/ws") as client:
            await client.send(frame(QUESTION) * 4)
            assert await client.close_code() == 1008
            began = time.monotonic()
            sending = asyncio.create_task(keep_sending(client, piece))
            assert await client.was_cut(within=3)
            assert 0.5 < time.monotonic() - began < 2
            sending.cancel()

    pieces = [b"", frame(QUESTION), frame(b"x" * 900), frame(b"x" * 125, PING)]
    await asyncio.gather(*(go_on(piece) for piece in pieces))
    await wait_until(lambda now: now["sessions"] == 0, lambda: vitals(server), 1)


async def keep_sending(client: FrameSocket, piece: bytes) -> None:
    with suppress(ConnectionError):
        while piece:
            await client.send(piece)


async def test_a_client_that_disconnects_without_a_close_frame_leaks_nothing(
    server: Server,
) -> None:
    before = await vitals(server)
    for _ in range(20):
        async with frame_socket(server, "/paced/ws") as client:
            await client.send(frame(QUESTION) * 3)
    remains = ("live", "sessions", "our_tasks", "fds")
    await wait_until(
        lambda now: all(now[name] <= before[name] for name in remains), lambda: vitals(server), 2
    )
    assert httpx.get(f"{server.url}/ping").text == "pong"
