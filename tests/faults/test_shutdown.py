"""A server that is stopped: every stream ends properly, and the process exits in time."""

import asyncio
import os
import signal
import sys
import time
from asyncio import Semaphore, StreamReader, create_task, gather
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.runnables import RunnableLambda
from quart import Quart
from websockets.exceptions import InvalidStatus

from quart_lanarky import LanarkyExtension
from tests.faults.conftest import Record
from tests.faults.stopping import (
    DRAIN,
    LIGHT,
    QUESTION,
    check_that_it_went_quietly,
    drain_timeout,
    obstacle,
    read_stream,
    stop,
    talk,
    up,
    workers_of,
    write_light_app,
)
from tests.live.clients import names, socket, text
from tests.servers import Server, hypercorn, served

ERROR = {"status_code": 503, "detail": "the server is shutting down"}


APP = "tests.faults.app:app"


# -- clients -------------------------------------------------------------------------------


async def ask_for_json(server: Server, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        return await client.post(path, json=QUESTION, headers={"Accept": "application/json"})


async def wait_for(count: int, begun: Semaphore) -> None:
    for _ in range(count):
        await begun.acquire()


async def read_to_the_end(reader: StreamReader) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            received += data
    return received


# -- processes -----------------------------------------------------------------------------


# -- `serve` -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("workers", "loop"),
    [(0, "asyncio"), (1, "asyncio"), (2, "asyncio"), (0, "uvloop"), (1, "uvloop")],
)
async def test_on_sigterm_a_hundred_clients_get_the_end_and_the_process_exits_in_time(
    tmp_path: Path, workers: int, loop: str, record: Record
) -> None:
    with served(APP, tmp_path, workers, loop=loop, **drain_timeout(DRAIN)) as server:
        begun = Semaphore(0)
        await up(server)
        documents = [create_task(ask_for_json(server, "/paced")) for _ in range(5)]
        streams = [create_task(read_stream(server, "/paced", begun)) for _ in range(50)]
        all_turns = [0] * 20 + [1] * 15 + [3] * 15
        talks = [create_task(talk(server, "/paced/ws", turns, begun)) for turns in all_turns]
        await wait_for(100, begun)

        seconds = await stop(server)
        record(f"gone {seconds:.2f} s after SIGTERM, with a DRAIN_TIMEOUT of {DRAIN} s")

        for frames in await gather(*streams):
            assert names(frames) == ["completion", "error", "end"]
            assert frames[-2]["data"] == ERROR
        for turns, (frames, code) in zip(all_turns, await gather(*talks), strict=True):
            assert code == 1012
            first = ["completion", "error", "end"] if turns else []
            assert names(frames) == first + ["error", "end"] * (turns - 1)
        for response in await gather(*documents):
            assert (response.status_code, response.json()) == (503, ERROR)
        assert seconds < DRAIN + 1
        check_that_it_went_quietly(server)


async def test_live_runs_finish_during_shutdown_and_new_ones_are_refused(tmp_path: Path) -> None:
    with served(APP, tmp_path, **drain_timeout(10)) as server:
        begun = Semaphore(0)
        await up(server)
        path = "/paced{}?delay=0.02&count=40"
        stream = create_task(read_stream(server, path.format(""), begun))
        conversation = create_task(talk(server, path.format("/ws"), 1, begun))
        document = create_task(ask_for_json(server, path.format("")))
        async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
            plain = create_task(client.get("/slow/1.2"))
            await wait_for(2, begun)

            stopping = create_task(stop(server))
            await asyncio.sleep(0.2)

            refused = await client.post("/quick", json=QUESTION)
            assert (refused.status_code, refused.json()) == (503, ERROR)
            assert int(refused.headers["Retry-After"]) > 0
            with pytest.raises(InvalidStatus) as refusal:
                await socket(server, "/quick/ws").__aenter__()
            assert refusal.value.response.status_code == 503

            whole = "".join(f"{number} " for number in range(40))
            frames = await stream
            assert (text(frames), names(frames)) == (whole, ["completion", "end"])
            frames, code = await conversation
            assert (text(frames), names(frames), code) == (whole, ["completion", "end"], 1012)
            assert (await document).json() == {"output": whole}
            assert (await plain).text == "done"
        assert await stopping < 4  # as soon as all is done
        check_that_it_went_quietly(server)


async def test_runs_that_have_not_started_are_refused_at_once_on_shutdown(tmp_path: Path) -> None:
    """A run whose chain is still being made would not be admitted after that."""
    with served(APP, tmp_path, **drain_timeout(10)) as server:
        await up(server)
        document = create_task(ask_for_json(server, "/slow-to-make"))
        handshake = create_task(socket(server, "/slow-to-make/ws").__aenter__())
        await asyncio.sleep(0.3)
        stopping = create_task(stop(server))
        assert (await document).status_code == 503
        assert int((await document).headers["Retry-After"]) > 0
        with pytest.raises(InvalidStatus, match="503"):
            await handshake
        del handshake  # and its connection
        assert await stopping < 2
        check_that_it_went_quietly(server)


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_second_sigterm_ends_the_drain(tmp_path: Path, workers: int) -> None:
    environment = write_light_app(tmp_path) | drain_timeout(30)
    with served(LIGHT, tmp_path, workers, **environment) as server:
        begun = Semaphore(0)
        await up(server)
        stream = create_task(read_stream(server, "/paced", begun))
        conversation = create_task(talk(server, "/paced/ws", 1, begun))
        await wait_for(2, begun)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        assert server.process.poll() is None
        assert await stop(server) < 1
        assert names(await stream) == ["completion", "error", "end"]
        frames, code = await conversation
        assert (names(frames), code) == (["completion", "error", "end"], 1012)
        check_that_it_went_quietly(server)


@pytest.mark.parametrize(
    ("workers", "number"), [(0, signal.SIGINT), (1, signal.SIGINT), (1, signal.SIGTERM)]
)
async def test_a_signal_to_all_processes_lets_streams_finish(
    tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    """A terminal sends SIGINT to all of them, and a service manager SIGTERM."""
    environment = write_light_app(tmp_path) | drain_timeout(2)
    with served(LIGHT, tmp_path, workers, **environment) as server:
        begun = Semaphore(0)
        await up(server)
        streams = [create_task(read_stream(server, p, begun)) for p in ("/brief", "/paced")]
        await wait_for(2, begun)
        for pid in workers_of(server):
            os.kill(pid, number)
        assert 2 <= await stop(server, number) < 2 + 1
        brief, paced = await gather(*streams)
        assert names(brief) == ["completion", "end"]
        assert names(paced) == ["completion", "error", "end"]
        check_that_it_went_quietly(server)


async def test_sigint_while_workers_are_being_started_is_no_error(tmp_path: Path) -> None:
    with served(LIGHT, tmp_path, 2, **write_light_app(tmp_path)) as server:
        deadline = time.monotonic() + 30
        while len(pids := workers_of(server)) < 2:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # they are importing
        for pid in pids:
            os.kill(pid, signal.SIGINT)
        assert await stop(server, signal.SIGINT) < DRAIN + 1
        check_that_it_went_quietly(server)


# -- obstacles -----------------------------------------------------------------------------

STALLED = ["stream /large", "websocket /large"]
STUBBORN = ["stream /stubborn", "websocket /stubborn", "json /stubborn"]
IN_A_THREAD = ["stream /thread", "websocket /thread", "json /thread"]


@pytest.mark.parametrize("obstacles", [STALLED, STUBBORN, IN_A_THREAD])
async def test_neither_clients_nor_chains_nor_threads_keep_the_process_from_exiting(
    tmp_path: Path, obstacles: list[str]
) -> None:
    with served(APP, tmp_path, SLEEP="60", **drain_timeout(DRAIN)) as server:
        await check_that_it_exits_in_spite_of(obstacles, server)


async def test_neither_clients_nor_chains_nor_threads_keep_workers_from_exiting(
    tmp_path: Path,
) -> None:
    obstacles = [*STALLED, *STUBBORN[:2], *IN_A_THREAD[:2]]
    with served(LIGHT, tmp_path, 2, **write_light_app(tmp_path)) as server:
        await check_that_it_exits_in_spite_of(obstacles, server)


async def check_that_it_exits_in_spite_of(obstacles: list[str], server: Server) -> None:
    begun = Semaphore(0)
    await up(server)
    async with AsyncExitStack() as stack:
        opened = [obstacle(server, *each.split()) for each in obstacles]
        readers = [await stack.enter_async_context(each) for each in opened]
        stream = create_task(read_stream(server, "/paced", begun))
        conversation = create_task(talk(server, "/paced/ws", 1, begun))
        await wait_for(2, begun)
        await asyncio.sleep(0.3)
        assert await stop(server) < DRAIN + 1
        assert names(await stream) == ["completion", "error", "end"]
        frames, code = await conversation
        assert (names(frames), code) == (["completion", "error", "end"], 1012)
        for each, reader in zip(obstacles, readers, strict=True):
            if each not in STALLED:  # those could read, and got the end
                assert b"the server is shutting down" in await read_to_the_end(reader)
    check_that_it_went_quietly(server)


# -- Quart's own functions around serving --------------------------------------------------


@pytest.mark.parametrize("is_stalled", [False, True])
async def test_serving_functions_are_called_once_even_if_clients_are_disconnected(
    tmp_path: Path, is_stalled: bool
) -> None:
    with served(LIGHT, tmp_path, **write_light_app(tmp_path), SECONDS="0.1") as server:
        await up(server)
        async with AsyncExitStack() as stack:
            if is_stalled:
                await stack.enter_async_context(obstacle(server, "stream", "/large"))
                await asyncio.sleep(0.2)
            assert await stop(server) < DRAIN + 1
        lines = Counter(server.log().splitlines())
        for line in ("before", "begin", "end", "after", "after that"):
            assert lines[line] == 1, (line, server.log())
        check_that_it_went_quietly(server)


@pytest.mark.parametrize("is_stalled", [False, True])
async def test_an_after_serving_function_that_hangs_does_not_keep_the_process_from_exiting(
    tmp_path: Path, is_stalled: bool
) -> None:
    with served(LIGHT, tmp_path, **write_light_app(tmp_path), SECONDS="60") as server:
        await up(server)
        async with AsyncExitStack() as stack:
            if is_stalled:
                await stack.enter_async_context(obstacle(server, "stream", "/large"))
                await asyncio.sleep(0.2)
            assert await stop(server) < DRAIN + 1
        check_that_it_went_quietly(server)


# -- drain -------------------------------------------------------------------------------


async def test_drain_can_be_called_before_another_server_is_stopped() -> None:
    async def hang(_: Any) -> str:
        await asyncio.Event().wait()
        return ""

    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/hanging", RunnableLambda(hang))
    client = app.test_client()
    answering = create_task(client.get("/hanging?input=x"))
    while not lanarky.registry.count:
        await asyncio.sleep(0.01)

    started_at = time.monotonic()
    await lanarky.drain(0.2)
    assert 0.2 <= time.monotonic() - started_at < 1

    answer = await (await answering).get_data(as_text=True)
    assert "event: error" in answer
    assert "event: end" in answer
    assert lanarky.registry.count == 0
    refused = await client.get("/hanging?input=x")
    assert refused.status_code == 503
    assert await refused.get_json() == ERROR


# -- the plain `hypercorn` command ---------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_under_the_hypercorn_command_every_client_gets_the_end(
    tmp_path: Path, workers: int
) -> None:
    environment = write_light_app(tmp_path) | drain_timeout(DRAIN)
    with hypercorn(LIGHT, tmp_path, workers, **environment) as server:
        begun = Semaphore(0)
        await up(server)
        streams = [create_task(read_stream(server, "/paced", begun)) for _ in range(8)]
        all_turns = [0] * 4 + [1] * 4 + [3] * 4
        talks = [create_task(talk(server, "/paced/ws", turns, begun)) for turns in all_turns]
        await wait_for(20, begun)
        seconds = await stop(server)
        for frames in await gather(*streams):
            assert names(frames) == ["completion", "error", "end"]
        for turns, (frames, code) in zip(all_turns, await gather(*talks), strict=True):
            assert code == 1012
            assert [each["event"] for each in frames].count("end") == turns
        assert seconds < 3 + 1  # Hypercorn's graceful_timeout, and its own exit
        check_that_it_went_quietly(server)


@pytest.mark.parametrize("kind", ["paced", "sluggish"])
@pytest.mark.parametrize("transport", ["sse", "ws"])
async def test_under_the_hypercorn_command_the_exit_of_an_idle_worker_ends_no_other(
    tmp_path: Path, transport: str, kind: str
) -> None:
    """The command kills the workers by SIGTERM as soon as the first one has exited.

    A worker looks ten times a second whether it has to stop, or less often if it is busy: it
    may be the last to notice.
    """
    environment = write_light_app(tmp_path) | drain_timeout(1)
    with hypercorn(LIGHT, tmp_path, 2, **environment) as server:
        begun = Semaphore(0)
        await up(server)
        if transport == "sse":
            stream = create_task(read_stream(server, f"/{kind}", begun))
        else:
            conversation = create_task(talk(server, f"/{kind}/ws", 1, begun))
        await wait_for(1, begun)
        assert await stop(server) < 3 + 1
        frames = await stream if transport == "sse" else (await conversation)[0]
        assert names(frames) == ["completion", "error", "end"]


@pytest.mark.parametrize("workers", [1, 2])
async def test_under_the_hypercorn_command_a_signal_to_all_processes_ends_no_stream_early(
    tmp_path: Path, workers: int
) -> None:
    """As systemd sends it: a worker may get it before it has noticed the stop."""
    environment = write_light_app(tmp_path) | drain_timeout(1)
    with hypercorn(LIGHT, tmp_path, workers, **environment) as server:
        begun = Semaphore(0)
        await up(server)
        stream = create_task(read_stream(server, "/paced", begun))
        await wait_for(1, begun)
        for pid in workers_of(server):
            os.kill(pid, signal.SIGTERM)
        assert await stop(server) < 3 + 1
        assert names(await stream) == ["completion", "error", "end"]


async def test_under_the_hypercorn_command_the_shorter_of_both_timeouts_applies(
    tmp_path: Path,
) -> None:
    environment = write_light_app(tmp_path) | drain_timeout(0.2)
    with hypercorn(LIGHT, tmp_path, **environment) as server:
        begun = Semaphore(0)
        await up(server)
        stream = create_task(read_stream(server, "/paced", begun))
        await wait_for(1, begun)
        assert await stop(server) < 1.2
        assert names(await stream) == ["completion", "error", "end"]


@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="from Python 3.12 on Hypercorn waits for such a client"
)
async def test_under_the_hypercorn_command_a_client_that_does_not_read_is_disconnected(
    tmp_path: Path,
) -> None:
    with hypercorn(LIGHT, tmp_path, **write_light_app(tmp_path)) as server:
        await up(server)
        async with obstacle(server, "stream", "/large"):
            await asyncio.sleep(0.3)
            assert await stop(server) < 3 + 1
        assert server.process.returncode == 0
