"""Servers that are stopped while clients are connected: a light app, clients, checks."""

import asyncio
import json
import os
import signal
import time
from asyncio import Semaphore, StreamReader
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from websockets.exceptions import ConnectionClosed

from tests.faults.clients import connect, post
from tests.faults.frames import frame, upgrade
from tests.live.clients import Frame, socket, stream_events
from tests.servers import ROOT, Server

QUESTION = {"question": "?"}


DRAIN = 0.5


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
from quart_lanarky.protocols.native.protocol import NativeProtocol
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
    native = NativeProtocol("json")
    await WebSocketSession(lambda _: new_run(kind), settings=settings, protocol=native).serve()


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
