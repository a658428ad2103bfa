"""The rules that hold everywhere, each shown once on a real server, under the name it has."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langchain_core.runnables import Runnable
from quart import Quart

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.protocols.sse import Decoder
from tests.live.clients import ask, stream_events, text
from tests.live.models import SECRET
from tests.servers import Server, hypercorn

TRANSPORTS = ["sse", "ws"]


RUN_TIMEOUT = 6


@asynccontextmanager
async def unread_stream(server: Server, path: str) -> AsyncIterator[httpx.Response]:
    """Open a stream, and read nothing of it before its model waits."""
    question = str(uuid4())
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=20) as client,
        client.stream("GET", path, params={"question": question}) as response,
    ):
        assert await asked_until_it_waits(server, question) < 4_000
        yield response


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limit = {"QUART_LANARKY_RUN_TIMEOUT": str(RUN_TIMEOUT)}
    folder = tmp_path_factory.mktemp("rules")
    with hypercorn("tests.faults.app:app", folder, **limit) as running:
        yield running


async def seen(server: Server, question: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        answer: dict[str, Any] = (await client.get(f"/seen/{question}")).json()
    return answer


async def asked_until_it_waits(server: Server, question: str) -> int:
    """Return how many tokens the model was asked for when it is asked for no more."""
    before, asked = -1, 0
    while not 0 < asked == before:
        await asyncio.sleep(0.3)
        before, asked = asked, (await seen(server, question))["asked"]
    return asked


async def ask_anyhow(server: Server, transport: str, question: str) -> None:
    if transport != "json":
        await ask(server, transport, "/paced", {"question": question})
    async with httpx.AsyncClient(base_url=server.url) as client:
        accept = {"Accept": "application/json"}
        await client.post("/paced", json={"question": question}, headers=accept)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_rule_1_all_state_belongs_to_a_run(server: Server, transport: str) -> None:
    questions = [str(uuid4()) for _ in range(20)]
    answers = await asyncio.gather(
        *(ask(server, transport, "/echo", {"question": question}) for question in questions)
    )
    for question, frames in zip(questions, answers, strict=True):
        assert text(frames) == "".join(f"{question}:{number} " for number in range(20))


async def test_rule_2_termination_is_state_and_a_full_buffer_can_always_be_closed(
    faulty: Server,
) -> None:
    async with unread_stream(faulty, "/wide") as response:
        await asyncio.sleep(RUN_TIMEOUT)  # all buffers on the way are full
        events = [event async for event in stream_events(response)]
    assert [event.name for event in events[-2:]] == ["error", "end"]
    assert events[-2].json()["status_code"] == 504
    assert all(event.name == "completion" for event in events[:-2])


async def test_rule_3_the_producer_waits_and_nothing_is_dropped(faulty: Server) -> None:
    async with unread_stream(faulty, "/wide") as response:
        events = [event async for event in stream_events(response)]
    assert [event.json().get("token", "").strip() for event in events] == [
        *(str(number) for number in range(4_000)),
        "",
    ]


@pytest.mark.parametrize("transport", [*TRANSPORTS, "json"])
async def test_rule_4_a_run_ends_with_its_reader(server: Server, transport: str) -> None:
    question = str(uuid4())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask_anyhow(server, transport, question), 0.5)
    left_at = time.monotonic()
    while (await seen(server, question))["stopped_at"] is None:
        assert time.monotonic() - left_at < 1
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("path", ["/sync-chain", "/sync-llm", "/sync-model"])
async def test_rule_5_handlers_work_from_any_thread_and_any_event_loop(
    server: Server, transport: str, path: str
) -> None:
    question = str(uuid4())
    frames = await ask(server, transport, path, {"question": question})
    assert text(frames) == "".join(f"{question}:{number} " for number in range(300))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_rule_6_nothing_leaks_and_the_log_has_it_under_the_runs_id(
    server: Server, transport: str
) -> None:
    frames = await ask(server, transport, "/failing", {"question": "go"}, "?after=2")
    assert frames[-2]["data"] == {"status_code": 500, "detail": "Internal Server Error"}
    assert SECRET not in str(frames)
    assert SECRET in server.wait_for_log(f"run {frames[-1]['data']['run_id']} failed")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("path", ["/silent", "/sync-model", "/echo"])
async def test_rule_7_exactly_once(server: Server, transport: str, path: str) -> None:
    question = str(uuid4())
    frames = await ask(server, transport, path, {"question": question})
    events = [frame["event"] for frame in frames]
    assert (events.count("end"), events[-1]) == (1, "end")
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        accept = {"Accept": "application/json"}
        answer = await client.post(path, json={"question": question}, headers=accept)
    assert text(frames) == answer.json()["output"]


async def test_rule_8_nothing_is_called_at_import() -> None:
    called: list[str] = []

    def needs_a_key(key: str) -> Runnable[Any, Any]:
        called.append(key)
        raise RuntimeError(SECRET)

    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/chat", needs_a_key)
    app.post("/other")(stream_chain(needs_a_key))
    document = await app.test_client().get("/openapi.json")
    assert {"/chat", "/other"} <= set((await document.get_json())["paths"])
    assert called == []


async def test_rule_9_flush_at_once_then_at_most_every_window(server: Server) -> None:
    question = str(uuid4())
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=20) as client,
        client.stream("GET", "/gated", params={"question": question}) as response,
    ):
        first = await anext(stream_events(response))  # while its model waits for the gate
        assert first.json() == {"token": "first"}
        await client.post(f"/gate/{question}")
    tokens = [f"{number} " for number in range(200)]
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=20) as client,
        client.stream("POST", "/recite/json", json={"question": json.dumps(tokens)}) as response,
    ):
        decoder = Decoder()
        writes = [decoder.feed(data) async for data in response.aiter_raw()]
    assert len(writes) < 20
    assert [event.json().get("token") for write in writes for event in write][:-1] == tokens
