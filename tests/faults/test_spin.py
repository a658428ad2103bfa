"""Chains that never truly suspend: others are served, and they end on disconnect."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from tests.faults.clients import connect, cut, post, vitals, wait_until
from tests.faults.conftest import Record
from tests.faults.frames import frame, upgrade
from tests.servers import Server, hypercorn

TRANSPORTS = ["sse", "json", "websocket"]

CHAINS = {
    "/eager": "its tokens are sent",
    "/thinking": "its tokens are nobody's business",
    "/quarrelling": "its tokens are not sent, for two models speak at once",
}


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("spin")
    with hypercorn("tests.faults.app:app", folder) as server:
        httpx.get(f"{server.url}/ping")  # now it is up
        yield server


@asynccontextmanager
async def listening(server: Server, transport: str, path: str) -> AsyncIterator[None]:
    """Send a question and read the answer as it arrives; disconnect at the end."""
    if transport == "websocket":
        reader, writer = await upgrade(server, f"{path}/ws")
        writer.write(frame(json.dumps({"question": "go"})))
    else:
        accept = "application/json" if transport == "json" else "text/event-stream"
        reader, writer = await connect(server)
        writer.write(post(path, {"question": "go"}, Accept=accept))

    async def read() -> None:
        with suppress(ConnectionError):
            while await reader.read(2**16):
                pass

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        cut(writer)
        await reading


async def time_of_a_ping(server: Server) -> float:
    async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
        began_at = time.monotonic()
        response = await client.get("/ping", headers={"Connection": "close"})
        assert response.text == "pong"
        return time.monotonic() - began_at


@pytest.mark.parametrize("path", CHAINS)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_chain_that_never_suspends_blocks_no_other_and_ends_on_disconnect(
    faults: Server, transport: str, path: str, record: Record
) -> None:
    async with listening(faults, transport, path):
        await wait_until(lambda now: now["chains"] == 1, lambda: vitals(faults), within=2)
        pings = [await time_of_a_ping(faults) for _ in range(2)]
        record(f"others answered within {max(pings) * 1000:.0f} ms")
        assert max(pings) < 1
    left_at = time.monotonic()
    assert await time_of_a_ping(faults) < 1
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(faults), within=1)
    assert time.monotonic() - left_at < 2
    before = await vitals(faults)
    assert (before["chains"], before["sessions"]) == (0, 0)
    await asyncio.sleep(0.5)
    assert (await vitals(faults))["cpu"] - before["cpu"] < 0.25


async def test_a_chain_that_ignores_its_cancellation_blocks_no_other(
    faults: Server,
) -> None:
    async with listening(faults, "sse", "/regardless"):
        await wait_until(lambda now: now["chains"] == 1, lambda: vitals(faults), within=2)
    assert await time_of_a_ping(faults) < 1
    assert (await vitals(faults))["chains"] == 1
    await wait_until(lambda now: now["live"] == 0, lambda: vitals(faults), within=20)
