"""A thousand clients disconnect at random moments, in every possible way, and leak nothing."""

import asyncio
import json
import random
import time
from asyncio import StreamWriter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from uuid import uuid4

import pytest

from tests.faults.clients import H2Client, Vitals, connect, cut, post, seen, vitals, wait_until
from tests.faults.conftest import Record
from tests.faults.frames import close_frame, frame, handshake, upgrade
from tests.live.clients import ask, text
from tests.servers import Server, hypercorn, served

PRESENT = 100  # concurrent clients
STREAMS = 5  # of an HTTP/2 connection

SLEEP = 2.0  # seconds that a thread is busy

PATH = "/paced?delay=0.05"

Client = Callable[[Server, str], Awaitable[None]]
Disconnect = Callable[[StreamWriter], None]


@pytest.fixture(scope="module", params=[hypercorn, served], ids=["hypercorn", "serve"])
def faults(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with request.param(
        "tests.faults.app:app", tmp_path_factory.mktemp("faults"), SLEEP=str(SLEEP)
    ) as server:
        yield server


async def read_some(read: Callable[[], Awaitable[object]]) -> None:
    """Read a random part of the answer, or none of it."""
    for _ in range(random.randrange(5)):
        await read()


async def wait_briefly() -> None:
    await asyncio.sleep(random.random() * 0.1)


def end(writer: StreamWriter) -> None:
    """Disconnect with an end of file (FIN)."""
    writer.close()


def close_websocket(writer: StreamWriter) -> None:
    """Send a close frame and disconnect without waiting for the answer."""
    writer.write(close_frame(1000))
    writer.close()


def stream(disconnect: Disconnect) -> Client:
    async def connect_and_disconnect(server: Server, question: str) -> None:
        reader, writer = await connect(server)
        writer.write(post(PATH, {"question": question}))
        await read_some(partial(reader.read, 2**14))
        disconnect(writer)

    return connect_and_disconnect


def json_response(disconnect: Disconnect) -> Client:
    async def connect_and_disconnect(server: Server, question: str) -> None:
        _, writer = await connect(server)
        writer.write(post(PATH, {"question": question}, Accept="application/json"))
        await read_some(wait_briefly)
        disconnect(writer)

    return connect_and_disconnect


def websocket(disconnect: Disconnect) -> Client:
    async def connect_and_disconnect(server: Server, question: str) -> None:
        reader, writer = await connect(server)
        writer.write(handshake(PATH.replace("?", "/ws?")))
        if random.random() > 0.1:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(frame(question))
            await read_some(partial(reader.read, 2**14))
        disconnect(writer)

    return connect_and_disconnect


async def reset_streams(server: Server, question: str) -> None:
    async with H2Client.open(server) as client:
        for _ in range(STREAMS):
            number = client.ask(PATH, {"question": question})
            await read_some(client.receive)
            client.connection.reset_stream(number)
        client.flush()
        await read_some(wait_briefly)


WAYS: dict[str, Client] = {
    "sse-fin": stream(end),
    "sse-rst": stream(cut),
    "json-fin": json_response(end),
    "json-rst": json_response(cut),
    "websocket-fin": websocket(end),
    "websocket-rst": websocket(cut),
    "websocket-close": websocket(close_websocket),
    "h2-reset": reset_streams,
}


async def connect_and_disconnect_all(server: Server, clients: int, question: str) -> None:
    each = clients // len(WAYS)
    crowd = [
        way
        for way in WAYS.values()
        for _ in range(each // STREAMS if way is reset_streams else each)
    ]
    random.shuffle(crowd)
    slots = asyncio.Semaphore(PRESENT)

    async def connect_and_disconnect(way: Client) -> None:
        async with slots:
            await way(server, question)

    await asyncio.gather(*map(connect_and_disconnect, crowd))


async def check_that_nothing_remains(server: Server, question: str, before: Vitals) -> float:
    """Check that all runs end within a second; return the seconds that it took."""

    def is_idle(now: Vitals) -> bool:
        return (
            now["chains"] == now["live"] == now["sessions"] == 0
            and now["opened"] == now["closed"]
            and now["ours"] == before["ours"]
            and now["tasks"] <= before["tasks"]
            and now["busy_threads"] <= before["busy_threads"]
            and now["fds"] <= before["fds"]
        )

    left_at = time.monotonic()
    await wait_until(is_idle, lambda: vitals(server), within=1)
    seconds = time.monotonic() - left_at
    asked = (await seen(server, question))["asked"]
    await asyncio.sleep(0.2)
    assert (await seen(server, question))["asked"] == asked
    return seconds


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("faults", "clients"),
    [(hypercorn, 200), (served, 1000)],
    ids=["hypercorn", "serve"],
    indirect=["faults"],
)
async def test_nothing_remains_of_a_thousand_disconnected_clients(
    faults: Server, clients: int, record: Record
) -> None:
    before, log, plateau = await vitals(faults), faults.log(), 0
    for number in range(4):
        question = f"crowd {number}"
        await connect_and_disconnect_all(faults, clients, question)
        seconds = await check_that_nothing_remains(faults, question, before)
        assert (await seen(faults, question))["asked"] > clients / 2
        after = await vitals(faults, "?collect")
        if after["rss"] <= plateau * 1.1:
            break
        plateau = after["rss"]
    else:
        pytest.fail("the process grows with every crowd")
    record(
        f"{clients} clients gone, all over after {seconds:.2f} s, {after['fds']} descriptors of"
        f" {before['fds']}, RSS {after['rss'] / max(plateau, 1):.2f} of its plateau"
    )
    assert faults.log() == log
    assert after["opened"] > clients / 2  # some disconnected before a chain was made


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_no_chain_is_called_for_a_client_that_disconnects_at_once(
    faults: Server, accept: str
) -> None:
    before, question = await vitals(faults), str(uuid4())
    for _ in range(20):
        _, writer = await connect(faults)
        writer.write(post(PATH, {"question": question}, Accept=accept))
        writer.close()
    await check_that_nothing_remains(faults, question, before)


@pytest.mark.parametrize("transport", ["sse", "json", "websocket"])
async def test_no_chain_is_called_after_a_disconnect_that_the_factory_swallowed(
    faults: Server, transport: str
) -> None:
    before, question = await vitals(faults), str(uuid4())
    _, writer = await connect(faults)
    if transport == "websocket":
        writer.write(handshake("/overlooking/ws"))
    else:
        accept = "application/json" if transport == "json" else "text/event-stream"
        writer.write(post("/overlooking", {"question": question}, Accept=accept))
    await wait_until(lambda now: now["live"] == 1, lambda: vitals(faults), within=1)
    cut(writer)
    await check_that_nothing_remains(faults, question, before)
    assert (await seen(faults, question))["asked"] == 0


async def test_no_chain_is_called_for_an_http2_stream_that_is_reset_at_once(
    faults: Server,
) -> None:
    before, question = await vitals(faults), str(uuid4())
    async with H2Client.open(faults) as client:
        for _ in range(20):
            stream = client.ask(PATH, {"question": question})
            client.connection.reset_stream(stream)
        client.flush()
        await asyncio.sleep(0.1)
    await check_that_nothing_remains(faults, question, before)


async def test_a_client_that_sends_before_its_websocket_is_accepted_leaks_nothing(
    faults: Server,
) -> None:
    before, question = await vitals(faults), str(uuid4())
    for _ in range(20):
        _, writer = await connect(faults)
        writer.write(handshake("/paced/ws") + frame(question))
        writer.close()
    await check_that_nothing_remains(faults, question, before)


@pytest.mark.parametrize("faults", [served], ids=["serve"], indirect=True)
async def test_a_client_that_sends_before_its_websocket_is_accepted_is_disconnected(
    faults: Server,
) -> None:
    reader, writer = await connect(faults)
    writer.write(handshake("/paced/ws") + frame("let me in"))
    async with asyncio.timeout(1):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()


@pytest.mark.parametrize("faults", [served], ids=["serve"], indirect=True)
@pytest.mark.parametrize("path", ["/thread", "/chatty-thread"])
async def test_events_from_a_thread_after_a_disconnect_are_discarded(
    faults: Server, path: str
) -> None:
    async def look() -> Vitals:
        return await vitals(faults)

    inputs, before, log = {"question": "go"}, await look(), faults.log()
    _, talker = await upgrade(faults, f"{path}/ws")
    talker.write(frame(json.dumps(inputs)))
    writers = [talker]
    for accept in ("text/event-stream", "application/json"):
        writers.append((await connect(faults))[1])
        writers[-1].write(post(path, inputs, Accept=accept))
    busy = before["busy_threads"] + len(writers)
    await wait_until(lambda now: (now["chains"], now["busy_threads"]) == (3, busy), look, within=1)
    for writer in writers:
        cut(writer)
    left = await wait_until(lambda now: now["chains"] == now["sessions"] == 0, look, within=1)
    assert left["busy_threads"] == busy  # threads cannot be stopped
    assert left["live"] == len(writers)  # and count until they end
    assert text(await ask(faults, "sse", "/quick", {"question": "another"})) == "0 1 2 "
    await wait_until(
        lambda now: now["busy_threads"] < busy - 2 and now["live"] == 0, look, within=SLEEP + 1
    )
    assert faults.log() == log
