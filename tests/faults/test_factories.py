"""Factories that yield clean up, whatever they hold open and whenever their client leaves."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.faults.clients import connect, cut, post
from tests.faults.frames import close_frame, frame, handshake
from tests.live.clients import ask, text
from tests.servers import Server, hypercorn, served

ASK = {"question": "?"}
CLOSED = {"opened": 1, "after the group": 1, "after a wait": 1, "closed": 1}


@pytest.fixture(scope="module", params=[hypercorn, served], ids=["hypercorn", "serve"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with request.param("tests.faults.cleaning:app", tmp_path_factory.mktemp("cleaning")) as running:
        yield running


@pytest.fixture
def key() -> str:
    return uuid4().hex


async def get(server: Server, path: str) -> Any:
    async with httpx.AsyncClient(base_url=server.url) as client:
        return (await client.get(path)).json()


async def wait_for_steps(server: Server, key: str, expected: dict[str, int]) -> None:
    found = None
    try:
        async with asyncio.timeout(5):
            while (found := await get(server, f"/steps/{key}")) != expected:
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{found} and not {expected}:\n{server.log()}")


async def wait_until_idle(server: Server) -> None:
    idle = {"runs": 0, "factories": 0}
    async with asyncio.timeout(5):
        while await get(server, "/live") != idle:
            await asyncio.sleep(0.02)


async def leave(server: Server, transport: str, path: str, after: bytes) -> None:
    """Ask, and be gone as soon as the answer has `after` in it."""
    reader, writer = await connect(server)
    if transport == "websocket":
        writer.write(handshake(path.replace("?", "/ws?")))
        if after:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(frame(json.dumps(ASK)))
    else:
        accept = "application/json" if transport == "json" else "text/event-stream"
        writer.write(post(path, ASK, Accept=accept))
    if after:
        await reader.readuntil(after)
    else:
        await asyncio.sleep(0.3)  # the factory has begun
    cut(writer)


LEAVING = [
    *(("sse", after) for after in (b"HTTP/1.1 200", b"completion", b"event: end")),
    *(("websocket", after) for after in (b"completion", b'"end"')),
]


@pytest.mark.parametrize(("transport", "after"), LEAVING)
async def test_a_task_group_is_closed_in_its_task_when_the_client_leaves(
    server: Server, key: str, transport: str, after: bytes
) -> None:
    path = f"/session?key={key}&delay=0.05&count=20&cleanup=0.1"
    if b"end" in after:
        path = f"/session?key={key}&cleanup=0.1"
    await leave(server, transport, path, after)
    await wait_for_steps(server, key, CLOSED)
    await wait_until_idle(server)
    assert "Error" not in server.log()


async def test_a_task_group_is_closed_when_the_client_leaves_before_the_json_answer(
    server: Server, key: str
) -> None:
    await leave(server, "json", f"/session?key={key}&delay=0.05&count=40&cleanup=0.1", b"")
    await wait_for_steps(server, key, CLOSED)


@pytest.mark.parametrize("transport", ["sse", "json", "websocket"])
async def test_a_task_group_is_closed_when_the_client_leaves_while_it_is_opened(
    server: Server, key: str, transport: str
) -> None:
    await leave(server, transport, f"/session?key={key}&setup=1", b"")
    await wait_for_steps(server, key, {"opened": 1, "closed": 1})
    await wait_until_idle(server)


async def test_a_task_group_is_closed_after_the_turns_of_a_websocket(
    server: Server, key: str
) -> None:
    reader, writer = await connect(server)
    writer.write(handshake(f"/session/ws?key={key}&cleanup=0.1"))
    await reader.readuntil(b"\r\n\r\n")
    for _ in range(2):
        writer.write(frame(json.dumps(ASK)))
        await reader.readuntil(b'"end"')
    writer.write(close_frame(1000))
    await reader.read()
    writer.close()
    await wait_for_steps(server, key, CLOSED)


@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_a_task_group_is_closed_after_the_whole_answer(
    server: Server, key: str, transport: str
) -> None:
    frames = await ask(server, transport, "/session", ASK, f"?key={key}&cleanup=0.1")
    assert text(frames) == "0 1 2 3 4 "
    await wait_for_steps(server, key, CLOSED)


async def test_a_task_group_that_fails_does_not_cut_the_answer_and_is_logged(
    server: Server, key: str
) -> None:
    frames = await ask(server, "sse", "/failing-session", ASK, f"?key={key}")
    assert [frame["event"] for frame in frames] == [*["completion"] * 10, "end"]
    assert await get(server, f"/steps/{key}") == {"closed": 1}
    server.wait_for_log("failing_session() failed to clean up")
    assert "the reader has failed" in server.log()


async def test_a_run_has_the_context_variables_of_its_factory(server: Server, key: str) -> None:
    frames = await ask(server, "sse", "/naming", {"input": "who?"}, f"?key={key}")
    assert text(frames) == key
    await wait_for_steps(server, key, {"closed": 1})


async def test_a_generator_in_a_thread_is_closed_when_its_thread_is_back(
    server: Server, key: str
) -> None:
    answer = await asyncio.to_thread(
        httpx.post, f"{server.url}/thread?key={key}&setup=3", json=ASK, timeout=10
    )
    assert answer.status_code == 504
    assert await get(server, f"/steps/{key}") == {"opened": 1}
    await wait_for_steps(server, key, {"opened": 1, "closed": 1})
    await wait_until_idle(server)


@pytest.mark.parametrize("path", ["thread", "slow"])
async def test_factories_whose_clients_have_left_count_until_their_threads_end(
    server: Server, key: str, path: str
) -> None:
    await asyncio.gather(
        *(leave(server, "sse", f"/{path}?key={key}&setup=1.2", b"") for _ in range(20))
    )
    await asyncio.sleep(0.1)
    assert (await get(server, "/live"))["runs"] == 20
    refused = await asyncio.to_thread(httpx.post, f"{server.url}/{path}?key={key}", json=ASK)
    assert refused.status_code == 503
    await wait_for_steps(server, key, {"opened": 20, "closed": 20})
    await wait_until_idle(server)
