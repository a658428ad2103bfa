"""Two runs on one thread, over a real server."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.servers import Server, hypercorn


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("threads")
    with hypercorn("tests.live.threads_app:app", folder) as running:
        running.wait_until_running()
        yield running


@pytest.fixture(params=["application/json", "text/event-stream"])
def accept(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def ask(server: Server, path: str, accept: str, text: str = "hi") -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
        return await client.post(path, json={"messages": text}, headers={"Accept": accept})


async def ask_while_busy(server: Server, path: str, accept: str) -> tuple[Any, Any]:
    busy = asyncio.create_task(ask(server, path, accept, "wait"))
    await asyncio.sleep(0.3)
    second = await ask(server, path, accept)
    return await busy, second


async def nothing_is_locked(server: Server) -> None:
    async with asyncio.timeout(5), httpx.AsyncClient(base_url=server.url) as client:
        while (await client.get("/locked")).json() != {"count": 0}:
            await asyncio.sleep(0.05)


async def test_a_second_run_waits(threads: Server, accept: str) -> None:
    first, second = await ask_while_busy(threads, f"/wait?thread_id=w{accept[0]}", accept)
    assert '"1"' in first.text
    assert '"3"' in second.text
    await nothing_is_locked(threads)


async def test_a_second_run_is_refused(threads: Server, accept: str) -> None:
    first, second = await ask_while_busy(threads, f"/reject?thread_id=r{accept[0]}", accept)
    assert '"1"' in first.text
    assert (second.status_code, second.json()["status_code"]) == (409, 409)
    assert '"3"' in (await ask(threads, f"/reject?thread_id=r{accept[0]}", accept)).text
    await nothing_is_locked(threads)


async def test_a_second_run_cancels_the_first(threads: Server) -> None:
    accept = "text/event-stream"
    first, second = await ask_while_busy(threads, "/cancel?thread_id=c", accept)
    assert '"outcome": "cancelled"' in first.text
    assert '"outcome": "finished"' in second.text
    await nothing_is_locked(threads)


async def test_a_client_that_leaves_while_it_waits_is_not_waited_for(threads: Server) -> None:
    busy = asyncio.create_task(ask(threads, "/wait?thread_id=l", "application/json", "wait"))
    await asyncio.sleep(0.2)
    leaving = asyncio.create_task(ask(threads, "/wait?thread_id=l", "text/event-stream"))
    await asyncio.sleep(0.2)
    leaving.cancel()
    assert (await busy).json() == {"output": "1"}
    third = await ask(threads, "/wait?thread_id=l", "application/json")
    assert third.json() == {"output": "3"}
    await nothing_is_locked(threads)


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("wait", ["completion", "end"]),
        ("reject", ["error", "end"]),
        ("cancel", ["completion", "end"]),
    ],
)
async def test_a_websocket_meets_a_run_of_http(
    threads: Server, way: str, expected: list[str]
) -> None:
    path = f"/{way}?thread_id=ws-{way}"
    busy = asyncio.create_task(ask(threads, path, "text/event-stream", "wait"))
    await asyncio.sleep(0.3)
    async with connect(f"{threads.ws_url}/{way}/ws?thread_id=ws-{way}") as socket:
        await socket.send(json.dumps({"messages": "hi"}))
        got: list[Any] = [json.loads(await asyncio.wait_for(socket.recv(), 10)) for _ in expected]
        assert [each["event"] for each in got] == expected
        if way == "reject":
            assert got[0]["data"]["status_code"] == 409
        await busy
        await socket.send(json.dumps({"messages": "again"}))
        assert json.loads(await asyncio.wait_for(socket.recv(), 10))["event"] == "completion"
    await nothing_is_locked(threads)
