"""A client that sends far too much gets an error or a close code; others are not affected."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.clients import connect, cut, vitals, wait_until
from tests.faults.frames import (
    CONTINUATION,
    PING,
    PONG,
    QUESTION,
    FrameSocket,
    frame,
    frame_socket,
)
from tests.live.clients import ask, text
from tests.servers import Server

MB = 2**20
FLOOD = 200 * MB
BOUND = 20 * MB
MESSAGE = 17 * MB  # Hypercorn takes 16
DEADLINE = 40  # seconds in which a flood has to be over

PIECE = b"x" * 65_000
PONG_OF_A_PIECE = b'{"event": "pong"' + b" " * 65_000 + b"}"

PINGS = frame(b"x" * 125, PING) * 500
CHUNK = b"10000\r\n" + b"x" * 2**16 + b"\r\n"

FIXED, CHUNKED = f"Content-Length: {FLOOD}", "Transfer-Encoding: chunked"

CUT_OFF = {"name": "x", "id": "1", "args": '{"a":' + 64_000 * " "}
RAW_CUT_OFF = {"id": "1", "function": {"name": "x", "arguments": CUT_OFF["args"]}}

# -- the effect on other clients -----------------------------------------------------------


@asynccontextmanager
async def others_are_unaffected(server: Server, bound: int = BOUND) -> AsyncIterator[None]:
    """Check that the process grows by less than `bound`, others are served, nothing is leaked."""
    await ask_something_quick(server)
    before = await vitals(server, "?collect")
    process = Path(f"/proc/{server.process.pid}")
    (process / "clear_refs").write_text("5")  # reset the peak of its memory
    is_over = asyncio.Event()
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as others:
        others.create_task(ask_until(is_over, server))
        yield
        is_over.set()
    assert peak_of(process) - before["rss"] < bound
    await ask_something_quick(server)
    names = ("live", "sessions", "our_tasks", "tasks", "fds")
    await wait_until(
        lambda now: all(now[name] <= before[name] for name in names), lambda: vitals(server), 8
    )


def peak_of(process: Path) -> int:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


async def ask_until(is_over: asyncio.Event, server: Server) -> None:
    while not is_over.is_set():
        await ask_something_quick(server)
        await asyncio.sleep(0.05)


async def ask_something_quick(server: Server) -> None:
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        headers = {"Connection": "close"}  # or Hypercorn keeps the connection for 5 seconds
        response = await client.post("/quick", json={"question": "x"}, headers=headers)
    assert response.text.count("event: end") == 1
    assert time.monotonic() - began < 1


# -- truncated JSON ------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["sse", "ws"])
@pytest.mark.parametrize(
    "message",
    [
        {"type": "AIMessageChunk", "tool_call_chunks": [CUT_OFF | {"index": 0}]},
        {"type": "AIMessageChunk", "data": {"content": "", "tool_call_chunks": [CUT_OFF]}},
        {"type": "AIMessageChunk", "additional_kwargs": {"tool_calls": [RAW_CUT_OFF]}},
    ],
)
async def test_truncated_json_does_not_block_other_clients(
    serve: Server, transport: str, message: dict[str, object]
) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as clients:  # of the 20 s that it takes
        asking = ask(serve, transport, "/messages", {"input": [{"content": "", **message}]})
        answer = clients.create_task(asking)
        await asyncio.sleep(0.1)
        async with httpx.AsyncClient(base_url=serve.url, verify=False) as client:
            other = await client.get("/ping", headers={"Connection": "close"}, timeout=None)
        assert other.text == "pong"
    assert text(answer.result()) == "0 1 2 "


# -- WebSockets ----------------------------------------------------------------------------


async def send_repeatedly(client: FrameSocket, piece: bytes, total: int = FLOOD) -> None:
    """Send `piece` until `total` bytes are sent, or the server has disconnected."""
    with suppress(ConnectionError):
        for _ in range(total // len(piece)):
            await client.send(piece)


@asynccontextmanager
async def busy_socket(server: Server, limit: int = 2**16) -> AsyncIterator[FrameSocket]:
    """Open a WebSocket with a turn in progress."""
    async with frame_socket(server, "/paced/ws?delay=0.2", limit) as client:
        await client.send(frame(QUESTION))
        yield client


async def test_two_hundred_megabytes_of_pongs_are_not_buffered_behind_a_turn(
    either: Server,
) -> None:
    async with others_are_unaffected(either), busy_socket(either) as client:
        await send_repeatedly(client, frame(PONG_OF_A_PIECE))
        await client.send(frame(b'{"event": "stop"}'))
        while b'"end"' not in (await client.receive())[1]:
            pass


async def test_two_hundred_megabytes_of_turns_close_the_socket_with_1008(either: Server) -> None:
    async with others_are_unaffected(either), busy_socket(either) as client:
        code = asyncio.create_task(client.close_code())
        await send_repeatedly(client, frame(PIECE))
        assert await code == 1008


async def test_a_client_that_floods_and_does_not_read_is_disconnected(either: Server) -> None:
    async with others_are_unaffected(either), busy_socket(either, limit=1024) as client:
        async with asyncio.timeout(5):
            await send_repeatedly(client, frame(PIECE), total=1000 * FLOOD)


async def test_ten_thousand_turns_at_once_close_the_socket_with_1008(either: Server) -> None:
    async with others_are_unaffected(either), busy_socket(either) as client:
        await client.send(frame(QUESTION) * 10_000)
        assert await client.close_code() == 1008


async def test_ten_thousand_invalid_messages_are_refused_until_the_queue_is_full(
    serve: Server,
) -> None:
    async with others_are_unaffected(serve), frame_socket(serve, "/paced/ws") as client:
        await client.send(frame(b'{"question": ') * 10_000)
        texts, code = await client.texts_and_code()
    assert code == 1008
    assert {json.loads(text)["event"] for text in texts} <= {"error", "end"}


WRONG = b'{"input": [' + b",".join([b"0"] * (MB // 2 - 10)) + b"]}"
"""As many messages as go into a megabyte, each of which is wrong."""


async def test_invalid_messages_of_a_megabyte_get_short_errors(either: Server) -> None:
    async with others_are_unaffected(either), frame_socket(either, "/hanging/model/ws") as client:
        await client.send(frame(b"hang"))
        for _ in range(4):  # which wait for their turn
            await client.send(frame(WRONG))
        await client.send(frame(b'{"event": "stop"}'))
        texts = [(await client.receive())[1] for _ in range(2 + 4 * 2)]
    names = [json.loads(text)["event"] for text in texts]
    assert names == ["completion", "end", *["error", "end"] * 4]
    assert max(map(len, texts)) < 10_000


# The plain server keeps what it takes of one message, and a copy of it while its buffer grows.
@pytest.mark.parametrize(
    ("either", "bound"), [("serve", BOUND), ("hypercorn", BOUND + MESSAGE)], indirect=["either"]
)
async def test_a_message_of_17_megabytes_closes_the_socket_with_1009(
    either: Server, bound: int
) -> None:
    async with others_are_unaffected(either, bound), busy_socket(either) as client:
        await client.send(frame(b"x" * MESSAGE))
        assert await client.close_code() == 1009


async def test_nothing_is_buffered_after_a_message_of_17_megabytes(serve: Server) -> None:
    async with others_are_unaffected(serve), busy_socket(serve) as client:
        code = asyncio.create_task(client.close_code())
        await send_repeatedly(client, frame(b"x" * MESSAGE))
        assert await code == 1009


async def test_an_endless_message_is_closed_with_1009_and_disconnected_a_second_later(
    serve: Server,
) -> None:
    endless = frame(PIECE, CONTINUATION, fin=False)
    async with others_are_unaffected(serve), busy_socket(serve) as client:
        await client.send(frame(b"x", fin=False))
        code = asyncio.create_task(client.close_code())
        await send_repeatedly(client, endless)
        assert await code == 1009
        async with asyncio.timeout(2):
            await send_repeatedly(client, endless, total=1000 * FLOOD)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [(frame(b"\xff"), 1007), (frame(b"", 3), 1002)],
    ids=["bad UTF-8", "bad opcode"],
)
async def test_nothing_is_buffered_after_a_broken_frame(
    serve: Server, broken: bytes, expected: int
) -> None:
    async with others_are_unaffected(serve), busy_socket(serve) as client:
        await client.send(broken)
        assert await client.close_code() == expected
        await send_repeatedly(client, frame(PIECE))


async def test_a_flood_of_pings_is_answered(serve: Server) -> None:
    async with others_are_unaffected(serve), busy_socket(serve) as client:
        reading = asyncio.create_task(client.close_code())
        await send_repeatedly(client, PINGS, total=2 * MB)
        assert not reading.done()
        reading.cancel()


@pytest.mark.parametrize(
    "tiny",
    [frame(b"", PING), frame(b"", PONG), frame(b"", CONTINUATION, fin=False)],
    ids=["pings", "pongs", "fragments"],
)
async def test_a_flood_of_tiny_frames_does_not_block_other_clients(
    serve: Server, tiny: bytes
) -> None:
    """Ten thousand of them come in a single read."""
    async with others_are_unaffected(serve), frame_socket(serve, "/quick/ws") as client:
        reading = asyncio.create_task(client.was_cut(within=10))
        await client.send(frame(b"x", fin=False))
        await send_repeatedly(client, tiny * 1000, total=200_000)
        await ask_something_quick(serve)
        reading.cancel()


async def test_a_flood_of_pings_from_a_client_that_reads_no_pongs_is_not_read(
    serve: Server,
) -> None:
    async with others_are_unaffected(serve), busy_socket(serve, limit=1024) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await send_repeatedly(client, PINGS)


# -- HTTP ----------------------------------------------------------------------------------


async def test_invalid_bodies_of_a_megabyte_get_short_responses(either: Server) -> None:
    async def ask_wrongly(client: httpx.AsyncClient) -> None:
        headers = {"Content-Type": "application/json", "Connection": "close"}
        response = await client.post("/hanging/model", content=WRONG, headers=headers)
        assert response.status_code == 400
        assert len(response.content) < 10_000

    async with others_are_unaffected(either):
        async with httpx.AsyncClient(base_url=either.url, verify=False, timeout=30) as client:
            for _ in range(2):
                await asyncio.gather(*(ask_wrongly(client) for _ in range(2)))


@asynccontextmanager
async def request(server: Server, line: str, length: str) -> AsyncIterator[FrameSocket]:
    """Send the head of a request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        head = f"{line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
        writer.write(head.encode())
        yield FrameSocket(reader, writer, "")
    finally:
        writer.transport.abort()


async def status_of(client: FrameSocket) -> int:
    return int((await client.reader.readuntil(b"\r\n\r\n")).split()[1])


async def test_a_body_of_200_megabytes_is_a_413_before_it_is_sent(either: Server) -> None:
    async with request(either, "POST /quick", FIXED) as client:
        assert await status_of(client) == 413


async def test_an_endless_body_is_a_413_once_it_is_too_long(either: Server) -> None:
    async with request(either, "POST /quick", CHUNKED) as client:
        await client.send(CHUNK * 17)
        async with asyncio.timeout(2):
            assert await status_of(client) == 413


@pytest.mark.parametrize("length", [FIXED, CHUNKED], ids=["fixed", "chunked"])
async def test_a_client_that_sends_200_megabytes_despite_the_413_is_disconnected(
    either: Server, length: str
) -> None:
    async with others_are_unaffected(either), request(either, "POST /quick", length) as client:
        await send_repeatedly(client, CHUNK)
        assert await client.was_cut(within=1)


async def test_many_endless_bodies_are_not_buffered(either: Server) -> None:
    async with others_are_unaffected(either), AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(request(either, "POST /quick", CHUNKED))
            for _ in range(5)
        ]
        await asyncio.gather(*(send_repeatedly(each, CHUNK, 40 * MB) for each in clients))


async def test_the_body_of_a_get_is_not_buffered_while_its_answer_streams(
    either: Server,
) -> None:
    async with (
        others_are_unaffected(either),
        request(either, "GET /paced?question=x", CHUNKED) as client,
    ):
        assert await status_of(client) == 200
        await send_repeatedly(client, CHUNK)
        assert b"completion" in await client.reader.read(1000)


# -- clients that come all at once ---------------------------------------------------------


async def test_five_hundred_clients_that_connect_while_the_process_is_stopped_are_served(
    serve: Server,
) -> None:
    async with AsyncExitStack() as stack:
        serve.process.send_signal(signal.SIGSTOP)
        try:
            async with asyncio.timeout(5):
                connections = [await connect(serve) for _ in range(500)]
        finally:
            serve.process.send_signal(signal.SIGCONT)
        for _, writer in connections:
            stack.callback(cut, writer)
            writer.write(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
    assert {answer.rpartition(b"\r\n")[2] for answer in answers} == {b"pong"}
