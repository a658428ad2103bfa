"""Clients that read slowly or not at all slow only their own chains."""

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from uuid import uuid4

import httpx
import pytest
from hypercorn.asyncio.worker_context import EventWrapper

from quart_lanarky.protocols.sse import Decoder
from quart_lanarky.serving.hypercorn_patches.http2 import StreamBuffer
from tests.faults.clients import H2Client, Vitals, connect, post, seen, vitals, wait_until
from tests.faults.conftest import Record
from tests.faults.frames import frame, upgrade
from tests.live.clients import stream_events
from tests.servers import Server, served

MEGABYTE = 2**20
TOKEN = 2**16

WATCHED = 1.5  # seconds
SMALL = 2**14

BUFFERED = 8 * MEGABYTE
"""What the kernel and the server take in before a chain notices that its client does not read."""


ReadOn = Callable[[], Awaitable[object]]
"""Takes all that there is, until the server has ended it."""


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("tests.faults.app:app", tmp_path_factory.mktemp("faults")) as server:
        yield server


# -- clients that never read ---------------------------------------------------------------


@asynccontextmanager
async def deaf(server: Server, path: str, question: str) -> AsyncIterator[ReadOn]:
    """Ask over HTTP/1.1 and read nothing."""
    reader, writer = await connect(server, SMALL)
    try:
        writer.write(post(path, {"question": question}))
        yield reader.read
    finally:
        writer.transport.abort()


@asynccontextmanager
async def deaf_on_a_websocket(server: Server, path: str, question: str) -> AsyncIterator[ReadOn]:
    """Ask on a WebSocket and read nothing."""
    reader, writer = await upgrade(server, path.replace("?", "/ws?"), SMALL)
    try:
        writer.write(frame(question))
        yield reader.read
    finally:
        writer.transport.abort()


@asynccontextmanager
async def deaf_on_h2(server: Server, path: str, question: str) -> AsyncIterator[ReadOn]:
    """Open the window as far as it goes, and read nothing."""
    async with H2Client.open(server, window=2**31 - 1) as client:
        client.connection.increment_flow_control_window(2**31 - 65_536)
        stream = client.ask(path, {"question": question})
        yield partial(read_until_reset, client, stream)


@asynccontextmanager
async def stuck_on_h2(server: Server, path: str, question: str) -> AsyncIterator[ReadOn]:
    """Take what fits into the window, and never open it again."""
    async with H2Client.open(server, window=1000) as client:
        stream = client.ask(path, {"question": question})
        yield partial(read_until_reset, client, stream)


@asynccontextmanager
async def teasing_on_h2(server: Server, path: str, question: str) -> AsyncIterator[ReadOn]:
    """Open the window by one byte at a time, and ping: there is always something to do."""
    async with H2Client.open(server, window=1000) as client:
        stream = client.ask(path, {"question": question})

        async def tease() -> None:
            while True:
                client.connection.increment_flow_control_window(1)
                client.connection.increment_flow_control_window(1, stream)
                client.connection.ping(b"anybody?")
                client.flush()
                await asyncio.sleep(0.001)

        teasing = asyncio.create_task(tease())
        try:
            yield partial(read_until_reset, client, stream)
        finally:
            teasing.cancel()


async def read_until_reset(client: H2Client, stream: int) -> None:
    while stream not in client.reset:
        await client.receive()


READERS: dict[str, Callable[[Server, str, str], AbstractAsyncContextManager[ReadOn]]] = {
    "h1": deaf,
    "websocket": deaf_on_a_websocket,
    "h2-deaf": deaf_on_h2,
    "h2-stuck": stuck_on_h2,
    "h2-teasing": teasing_on_h2,
}


async def time_to_first_token(server: Server) -> float:
    async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
        began_at = time.monotonic()
        async with client.stream("POST", "/quick", json={"question": "and me?"}) as response:
            await anext(stream_events(response))
        return time.monotonic() - began_at


@pytest.mark.parametrize("way", READERS)
async def test_a_client_that_never_reads_costs_little_memory_and_delays_no_other(
    faults: Server, way: str, record: Record
) -> None:
    question, before = str(uuid4()), await vitals(faults)
    delays, highest = [], 0
    async with READERS[way](faults, "/large?", question):
        until = time.monotonic() + WATCHED
        while time.monotonic() < until:
            delays.append(await time_to_first_token(faults))
            highest = max(highest, (await vitals(faults))["rss"])
            await asyncio.sleep(WATCHED / 20)
        assert (await vitals(faults))["live"] == 1
        asked = (await seen(faults, question))["asked"]
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(faults), within=1)
    record(
        f"RSS + {(highest - before['rss']) / MEGABYTE:.1f} MiB, {asked * TOKEN / MEGABYTE:.1f} MiB"
        f" made, others' first token after {max(delays) * 1000:.0f} ms at most"
    )
    assert highest - before["rss"] < 20 * MEGABYTE
    assert 0 < asked * TOKEN < BUFFERED
    assert statistics.median(delays) < 0.3
    assert max(delays) < 1
    assert (await seen(faults, question))["stopped_at"]


async def test_unread_data_of_a_reset_http2_stream_is_discarded(
    faults: Server,
) -> None:
    async with H2Client.open(faults) as client:
        client.ask("/large", {"question": "to shut the window of the connection"})
        for _ in range(3):
            streams = [client.ask("/large", {"question": "again"}) for _ in range(20)]
            await wait_until(lambda now: now["live"] == 21, lambda: vitals(faults), within=5)
            await asyncio.sleep(0.2)
            for stream in streams:
                client.connection.reset_stream(stream)
            client.flush()
            await wait_until(lambda now: now["live"] == 1, lambda: vitals(faults), within=5)
        assert (await vitals(faults, "?collect"))["unsent"] < MEGABYTE


# -- clients that read slowly, and get it all ----------------------------------------------


def text_of(body: bytes) -> str:
    events = Decoder().feed(body)
    assert [event.name for event in events[-1:]] == ["end"]
    return "".join(event.json()["token"] for event in events if event.name == "completion")


def book(pages: int) -> str:
    return "".join(f"{word:07} " for word in range(pages * 8192))


@pytest.mark.parametrize(
    ("pages", "window", "step"), [(64, 65_535, None), (8, 2**20, 3000), (2, 500, 100)]
)
async def test_over_http2_slow_readers_get_every_byte(
    faults: Server, pages: int, window: int, step: int | None
) -> None:
    async with H2Client.open(faults, window) as client:
        path = f"/book?pages={pages}"
        streams = [client.ask(path, {"question": "read it to me"}) for _ in range(3)]
        bodies = await client.read(*streams, step=step)
    assert [text_of(body) for body in bodies] == [book(pages)] * 3


async def test_over_http2_a_stuck_stream_blocks_no_other_on_its_connection(
    faults: Server,
) -> None:
    async with H2Client.open(faults, window=10_000) as client:
        client.ask("/large", {"question": "never read"})
        await wait_until(lambda now: now["live"] == 1, lambda: vitals(faults), within=1)
        quick = client.ask("/quick", {"question": "and this?"})
        async with asyncio.timeout(1):
            (body,) = await client.read(quick)
    assert text_of(body) == "0 1 2 "


# -- the buffer ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_the_patched_stream_buffer_loses_no_byte_and_no_wake_up(seed: int) -> None:
    chance = random.Random(seed)
    buffer = StreamBuffer(EventWrapper)
    text = chance.randbytes(MEGABYTE)

    async def write() -> None:
        rest = text
        while rest:
            size = chance.choice([1, 100, SMALL, 100_000])
            await buffer.push(rest[:size])
            rest = rest[size:]
        buffer.set_complete()
        await buffer.drain()

    got = bytearray()
    async with asyncio.timeout(5):
        writing = asyncio.create_task(write())
        while not buffer.complete:
            await asyncio.sleep(0)
            got += await buffer.pop(chance.choice([0, 1, 1000, SMALL]) if got else SMALL)
        await writing
    assert bytes(got) == text


# -- clients that stop reading when their run has ended ------------------------------------


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("tests.faults.impatient:app", tmp_path_factory.mktemp("impatient")) as server:
        yield server


@pytest.mark.parametrize("way", ["h1", "websocket", "h2-stuck"])
async def test_a_client_that_does_not_read_the_rest_of_its_answer_is_disconnected(
    impatient: Server, way: str
) -> None:
    before = await vitals(impatient)

    async def look() -> Vitals:
        return await vitals(impatient, "?collect")

    async with READERS[way](impatient, "/book?pages=3", "?") as read_on:
        await wait_until(lambda now: (now["live"], now["chains"]) == (1, 0), look, within=1)
        await wait_until(lambda now: now["live"] == now["sessions"] == 0, look, within=3)
        await wait_until(lambda now: now["unsent"] == 0, look, within=2)
        await wait_until(lambda now: now["ours"] == before["ours"], look, within=2)
        async with asyncio.timeout(2):  # and it gets the end
            await read_on()
