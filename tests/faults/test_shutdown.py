"""A server that is told to stop: every stream ends properly, and the process is gone in time."""

import asyncio
import json
import os
import signal
import sys
import time
from asyncio import Semaphore, StreamReader, create_task, gather
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.runnables import RunnableLambda
from quart import Quart
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quart_lanarky import LanarkyExtension
from tests.faults.clients import connect, post
from tests.faults.conftest import Record
from tests.faults.frames import frame, upgrade
from tests.live.clients import Frame, names, socket, stream_events, text
from tests.servers import ROOT, Server, hypercorn, served

QUESTION = {"question": "?"}
ERROR = {"status_code": 503, "detail": "the server is shutting down"}

DRAIN = 0.5

APP = "tests.faults.app:app"
LIGHT = "light:app"
LIGHT_APP = """
import asyncio
import json
import os
import time

from quart import Quart

from quart_lanarky import EventStream, EventStreamResponse, LanarkyExtension, Run
from quart_lanarky.events import completion
from quart_lanarky.settings import current_settings
from quart_lanarky.transports.websocket_session import WebSocketSession

app = Quart(__name__)
app.config["QUART_LANARKY_DRAIN_TIMEOUT"] = json.loads(
    os.environ.get("QUART_LANARKY_DRAIN_TIMEOUT", "0.5")
)
LanarkyExtension(app)


async def paced(send):
    for _ in range(100_000):
        await send("x")
        await asyncio.sleep(0.02)


async def sluggish(send):
    for _ in range(100_000):
        await send("x")
        time.sleep(0.02)
        await asyncio.sleep(0)


async def brief(send):
    for _ in range(15):
        await send("x")
        await asyncio.sleep(0.02)


async def large(send):
    for _ in range(3_000):
        await send("x" * 65_536)


async def stubborn(send):
    await send("x")
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass


async def blocking(send):
    time.sleep(60)


async def thread(send):
    await send("x")
    await asyncio.to_thread(time.sleep, 60)


def new_run(kind):
    stream = EventStream()

    async def send(token):
        await stream.send(completion(token))

    return Run(stream, lambda: globals()[kind](send))


@app.post("/<kind>")
async def answer(kind):
    return EventStreamResponse(new_run(kind))


@app.websocket("/<kind>/ws")
async def talk(kind):
    settings = current_settings()
    await WebSocketSession(lambda _: new_run(kind), settings=settings, mode="json").serve()


@app.get("/ping")
async def ping():
    return str(os.getpid())


@app.before_serving
async def before():
    print("before", flush=True)


@app.while_serving
async def around():
    print("begin", flush=True)
    yield
    print("end", flush=True)


@app.after_serving
async def after():
    print("after", flush=True)
    await asyncio.sleep(float(os.environ.get("SECONDS", "0")))
    print("after that", flush=True)
"""


def drain_timeout(seconds: float) -> dict[str, str]:
    return {"QUART_LANARKY_DRAIN_TIMEOUT": str(seconds)}


def write_light_app(folder: Path) -> dict[str, str]:
    """Write an app that starts soon, for it has no LangChain; return the environment it needs."""
    (folder / "light.py").write_text(LIGHT_APP)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


# -- clients -------------------------------------------------------------------------------


async def up(server: Server) -> str:
    """Wait until the server answers; return its answer."""
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        return (await client.get("/ping")).text


async def read_stream(server: Server, path: str, begun: Semaphore) -> list[Frame]:
    """Read a stream to its end, the last chunk included."""
    async with (
        httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client,
        client.stream("POST", path, json=QUESTION) as response,
    ):
        begun.release()
        return [{"event": e.name, "data": e.json()} async for e in stream_events(response)]


async def talk(
    server: Server, path: str, turns: int, begun: Semaphore
) -> tuple[list[Frame], int | None]:
    """Ask several questions at once; return all frames that came, and the close code."""
    frames: list[Frame] = []
    async with socket(server, path) as connection:
        for _ in range(turns):
            await connection.send(json.dumps(QUESTION))
        if turns:
            frames.append(json.loads(await connection.recv()))
        begun.release()
        with suppress(ConnectionClosed):
            while True:
                frames.append(json.loads(await connection.recv()))
    return frames, connection.close_code


async def ask_for_json(server: Server, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        return await client.post(path, json=QUESTION, headers={"Accept": "application/json"})


async def wait_for(count: int, begun: Semaphore) -> None:
    for _ in range(count):
        await begun.acquire()


@asynccontextmanager
async def obstacle(server: Server, kind: str, path: str) -> AsyncIterator[StreamReader]:
    """Make a request that will not end when it should, and read nothing of its answer."""
    if kind == "websocket":
        reader, writer = await upgrade(server, f"{path}/ws", receive_buffer=4096)
        writer.write(frame(json.dumps(QUESTION)))
    else:
        reader, writer = await connect(server, receive_buffer=4096)
        accept = {"Accept": "application/json"} if kind == "json" else {}
        writer.write(post(path, QUESTION, **accept))
    try:
        yield reader
    finally:
        writer.transport.abort()


async def read_to_the_end(reader: StreamReader) -> bytes:
    received = b""
    with suppress(ConnectionError):
        while data := await reader.read(2**16):
            received += data
    return received


# -- processes -----------------------------------------------------------------------------


async def stop(server: Server, number: signal.Signals = signal.SIGTERM) -> float:
    """Send a signal; return how many seconds later the process was gone."""
    told_at = time.monotonic()
    server.process.send_signal(number)
    await asyncio.to_thread(server.process.wait, 40)
    return time.monotonic() - told_at


def workers_of(server: Server) -> list[int]:
    """Return the ids of the workers' processes, those that are being started included."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [each for each in map(int, children) if "spawn_main" in _command_of(each)]


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""


def check_that_it_went_quietly(server: Server) -> None:
    assert server.process.returncode == 0
    assert "Traceback" not in server.log(), server.log()
    assert "Exception" not in server.log(), server.log()


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
    """A run whose chain is still being made would not be let in when that is done."""
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
            if each not in STALLED:  # those could read, and have been told
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


# -- by hand -------------------------------------------------------------------------------


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
    may be the last to learn of it.
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
    """As systemd sends it: a worker may get it before it knows of the stop."""
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
