"""What is beneath Quart: a line that can be hung up, and a server that says when it stops."""

import asyncio
import functools
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from hypercorn.asyncio import serve
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.events import Event
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from quart import Quart, websocket
from quart.signals import websocket_sent

from quart_lanarky.transports import hypercorn as inside
from quart_lanarky.transports.hypercorn import Server, defer_sigterm, detect_server, send_frames
from tests.transports.fake_server import Holder, Stream, send


def test_hypercorn_is_known_by_the_method_with_which_it_sends() -> None:
    stopping = asyncio.Event()
    stream = Stream(context=Holder(terminated=stopping), config=Holder(graceful_timeout=3.0))
    assert detect_server(stream.app_send) == Server(stopping, 3.0)


@pytest.mark.parametrize(
    "unknown",
    [
        send,
        lambda message: None,
        None,
        Stream().app_send,
        Stream(config=Holder(graceful_timeout=3.0)).app_send,
        Stream(context=Holder(), config=Holder(graceful_timeout=3.0)).app_send,
        Stream(context=Holder(terminated=True), config=Holder(graceful_timeout=3.0)).app_send,
        Stream(context=Holder(terminated=asyncio.Event())).app_send,
        Stream(context=Holder(terminated=asyncio.Event()), config=Holder()).app_send,
        [].append,
    ],
)
def test_any_other_server_is_unknown_and_nothing_is_asked_of_it(unknown: object) -> None:
    assert detect_server(unknown) is None


@pytest.mark.parametrize("kind", [HTTPStream, WSStream])
async def test_the_installed_hypercorn_still_says_when_it_stops(kind: Any) -> None:
    config = Config()
    config.graceful_timeout = 7
    context = WorkerContext(None)
    stream = kind(None, config, context, None, False, None, None, send, 1)
    server = detect_server(stream.app_send)
    assert server is not None
    assert server.graceful_timeout == 7
    waiting = asyncio.ensure_future(server.stopping.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    await context.terminated.set()
    await asyncio.wait_for(waiting, 1)


# -- a signal that comes too early ---------------------------------------------------------


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Note when the process would kill itself, instead of doing so; nobody handles the signal."""
    times: list[float] = []
    monkeypatch.setattr(inside.os, "kill", lambda *_: times.append(time.monotonic()))
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield times
    signal.signal(signal.SIGTERM, before)


def raise_sigterm() -> None:
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL  # or it would be all over
    signal.raise_signal(signal.SIGTERM)


def stopping_server() -> Server:
    stopping = asyncio.Event()
    stopping.set()
    return Server(stopping, 3.0)


@pytest.mark.parametrize("when", ["within", "afterwards"])
async def test_sigterm_is_put_off_until_some_seconds_after_the_block(
    killed: list[float], when: str
) -> None:
    with defer_sigterm(stopping_server(), 0.1):
        if when == "within":
            raise_sigterm()
            await asyncio.sleep(0.15)
        assert not killed
        ended_at = time.monotonic()
    if when == "afterwards":
        raise_sigterm()
    await asyncio.sleep(0.2)
    assert [at - ended_at > 0.09 for at in killed] == [True]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("stops", [True, False])
async def test_a_signal_before_the_stop_is_heeded_unless_the_stop_follows(
    killed: list[float], monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    monkeypatch.setattr(inside, "STOP_POLL_TIMEOUT", 0.1)
    server = Server(asyncio.Event(), 3.0)
    with defer_sigterm(server, 60):
        raise_sigterm()
        await asyncio.sleep(0.05)
        assert not killed
        if stops:
            server.stopping.set()
        await asyncio.sleep(0.1)
        assert len(killed) == (not stops)


async def test_without_a_signal_nothing_comes_of_it(killed: list[float]) -> None:
    with defer_sigterm(stopping_server(), 0.01):
        pass
    await asyncio.sleep(0.05)
    assert not killed
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_a_process_that_handles_the_signal_itself_is_left_alone(killed: list[float]) -> None:
    def handle(*_: object) -> None: ...

    signal.signal(signal.SIGTERM, handle)
    with defer_sigterm(stopping_server(), 0.01):
        assert signal.getsignal(signal.SIGTERM) is handle
    await asyncio.sleep(0.05)
    assert signal.getsignal(signal.SIGTERM) is handle
    assert not killed


async def test_in_another_thread_nothing_can_be_put_off(killed: list[float]) -> None:
    def in_thread() -> None:
        with defer_sigterm(stopping_server(), 0.01):
            pass

    await asyncio.to_thread(in_thread)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


# -- frames --------------------------------------------------------------------------------

TEXTS = ["first", "second, with \u00fc and \U0001f600", "x" * 70_000, ""]


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        await websocket.receive()
        await send_frames(websocket._get_current_object(), TEXTS)  # type: ignore[attr-defined]
        await websocket.receive()

    return app


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the server writes to its sockets."""
    written: list[bytes] = []
    protocol_send = TCPServer.protocol_send

    async def note_and_send(self: TCPServer, event: Event) -> None:
        written.append(getattr(event, "data", b""))
        await protocol_send(self, event)

    monkeypatch.setattr(TCPServer, "protocol_send", note_and_send)
    return written


@asynccontextmanager
async def asked(app: Any) -> AsyncIterator[list[str]]:
    """Serve the app, and give what a client of it receives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        config = Config()
        config.bind = [f"fd://{listener.detach()}"]
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
        async with websockets.connect(f"ws://127.0.0.1:{port}/", compression=None) as client:
            await client.send("go")
            yield [str(await client.recv()) for _ in TEXTS]
        stop.set()
        await serving


async def test_frames_are_written_at_once(app: Quart, writes: list[bytes]) -> None:
    async with asked(app) as received:
        assert received == TEXTS
    assert len([data for data in writes if b"first" in data]) == 1
    [together] = [data for data in writes if b"first" in data]
    assert all(text.encode() in together for text in TEXTS)


async def test_who_wants_to_hear_of_each_frame_does(app: Quart) -> None:
    heard: list[str] = []

    async def note(sender: Any, **_: Any) -> None:
        heard.append(sender)

    with websocket_sent.connected_to(note):
        async with asked(app) as received:
            assert received == TEXTS
    assert heard == TEXTS


async def test_who_stands_between_server_and_app_sees_each_frame(app: Quart) -> None:
    seen: list[str] = []

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        @functools.wraps(send)
        async def note_and_send(message: Any) -> None:
            if message["type"] == "websocket.send":
                seen.append(message["text"])
            await send(message)

        await app(scope, receive, note_and_send)

    async with asked(middleware) as received:
        assert received == TEXTS
    assert seen == TEXTS
