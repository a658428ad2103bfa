"""The inside of Hypercorn: its shutdown, a deferred SIGTERM, and frames in one write."""

import asyncio
import functools
import logging
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
from hypercorn.middleware import ProxyFixMiddleware
from hypercorn.protocol import events, ws_stream
from hypercorn.protocol.events import Event
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from quart import Quart, websocket
from quart.signals import websocket_sent

from quart_lanarky import LanarkyExtension
from quart_lanarky.transports import hypercorn as inside
from quart_lanarky.transports.connection import current_connection
from quart_lanarky.transports.hypercorn import (
    Server,
    defer_sigterm,
    detect_server,
    has_closed,
    send_frames,
)
from tests.transports.fake_server import Holder, Stream, send


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Be a process that has not logged anything yet."""
    with caplog.at_level(logging.INFO, inside.__name__):
        inside._log_once.cache_clear()
        inside._frame_parts.cache_clear()
        yield caplog
    inside._frame_parts.cache_clear()


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == inside.__name__]


def stream_of_hypercorn(kind: Any = WSStream, config: Config | None = None) -> Any:
    context = WorkerContext(None)
    return kind(None, config or Config(), context, None, False, None, None, send, 1)


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
async def test_the_installed_hypercorn_still_says_when_it_stops(
    kind: Any, log: pytest.LogCaptureFixture
) -> None:
    config = Config()
    config.graceful_timeout = 7
    stream = stream_of_hypercorn(kind, config)
    server = detect_server(stream.app_send)
    assert server is not None
    assert server.graceful_timeout == 7
    waiting = asyncio.ensure_future(server.stopping.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    await stream.context.terminated.set()
    await asyncio.wait_for(waiting, 1)
    assert lines(log) == []


@pytest.mark.parametrize("missing", ["context", "config"])
async def test_a_hypercorn_that_does_not_say_when_it_stops_is_logged_once(
    missing: str, log: pytest.LogCaptureFixture
) -> None:
    stream = stream_of_hypercorn()
    delattr(stream, missing)
    assert [detect_server(stream.app_send) for _ in range(3)] == [None] * 3
    [line] = lines(log)
    assert line.startswith(f"Hypercorn {inside.hypercorn_version()}: WSStream has no `context.")
    assert "seen only when it cuts the streams" in line
    assert "SIGTERM is not deferred" in line


def test_another_server_is_logged_once_and_not_as_a_warning(
    log: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        assert detect_server(send) is None
    [record] = log.records
    assert record.levelno == logging.INFO
    assert "LanarkyExtension.drain()" in record.getMessage()


def test_a_hypercorn_that_does_not_say_whom_it_has_given_up_is_logged_once(
    log: pytest.LogCaptureFixture,
) -> None:
    stream = stream_of_hypercorn()
    assert not has_closed(stream.app_send)
    stream.closed = True
    assert has_closed(stream.app_send)
    assert lines(log) == []
    del stream.closed
    assert [has_closed(stream.app_send) for _ in range(3)] == [False] * 3
    [line] = lines(log)
    assert "WSStream has no `closed`: clients that it gives up are noticed late" in line


def test_the_version_is_returned_or_that_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inside.hypercorn_version()[0].isdigit()

    def fail(name: str) -> str:
        raise inside.PackageNotFoundError(name)

    monkeypatch.setattr(inside, "version", fail)
    assert inside.hypercorn_version() == "(not installed)"


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
async def test_sigterm_is_deferred_until_some_seconds_after_the_block(
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
async def test_a_signal_before_the_stop_terminates_unless_the_stop_follows(
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


async def test_in_another_thread_nothing_is_deferred(killed: list[float]) -> None:
    def in_thread() -> None:
        with defer_sigterm(stopping_server(), 0.01):
            pass

    await asyncio.to_thread(in_thread)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_an_event_loop_without_signals_defers_nothing(
    killed: list[float], monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    """As on Windows."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
    for _ in range(2):
        with defer_sigterm(stopping_server(), 0.01):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    await asyncio.sleep(0.05)
    assert not killed
    assert lines(log) == ["the event loop handles no signals: SIGTERM is not deferred"]


# -- frames --------------------------------------------------------------------------------

TEXTS = ["first", "second, with \u00fc and \U0001f600", "x" * 70_000, ""]


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        await websocket.receive()
        connection = current_connection()
        send = connection and connection.direct_send
        await send_frames(websocket._get_current_object(), TEXTS, send)  # type: ignore[attr-defined]
        await websocket.receive()

    return app


@pytest.fixture
def streaming(app: Quart) -> Quart:
    """The app with the extension."""
    LanarkyExtension(app)
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


def frame_writes(writes: list[bytes]) -> int:
    return len([data for data in writes if any(text.encode() in data for text in TEXTS[:-1])])


async def test_frames_are_written_at_once(
    streaming: Quart, writes: list[bytes], log: pytest.LogCaptureFixture
) -> None:
    async with asked(streaming) as received:
        assert received == TEXTS
    [together] = [data for data in writes if b"first" in data]
    assert all(text.encode() in together for text in TEXTS)
    assert lines(log) == []


async def test_without_the_extension_frames_are_written_one_by_one(
    app: Quart, writes: list[bytes]
) -> None:
    async with asked(app) as received:
        assert received == TEXTS
    assert frame_writes(writes) == len(TEXTS) - 1


async def test_receivers_of_websocket_sent_get_each_frame(streaming: Quart) -> None:
    signalled: list[str] = []

    async def note(sender: Any, **_: Any) -> None:
        signalled.append(sender)

    with websocket_sent.connected_to(note):
        async with asked(streaming) as received:
            assert received == TEXTS
    assert signalled == TEXTS


def noting(app: Any, seen: list[str]) -> Any:
    """Return middleware that notes each frame."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        @functools.wraps(send)
        async def note_and_send(message: Any) -> None:
            if message["type"] == "websocket.send":
                seen.append(message["text"])
            await send(message)

        await app(scope, receive, note_and_send)

    return middleware


@pytest.mark.parametrize("where", ["around the app", "before the extension", "after it"])
async def test_who_stands_between_server_and_app_sees_each_frame(app: Quart, where: str) -> None:
    seen: list[str] = []
    if where == "before the extension":
        app.asgi_app = noting(app.asgi_app, seen)  # type: ignore[method-assign]
    LanarkyExtension(app)
    if where == "after it":
        app.asgi_app = noting(app.asgi_app, seen)  # type: ignore[method-assign]
    served = noting(app, seen) if where == "around the app" else app
    async with asked(served) as received:
        assert received == TEXTS
    assert seen == TEXTS


@pytest.mark.parametrize("is_first", [True, False])
async def test_middleware_that_hands_on_the_frames_of_the_server_costs_no_writes(
    app: Quart, writes: list[bytes], is_first: bool
) -> None:
    """Such as that of Hypercorn, which changes the scope only."""
    if is_first:
        app.asgi_app = ProxyFixMiddleware(app.asgi_app)  # type: ignore[method-assign]
    LanarkyExtension(app)
    if not is_first:
        app.asgi_app = ProxyFixMiddleware(app.asgi_app)  # type: ignore[method-assign]
    async with asked(app) as received:
        assert received == TEXTS
    assert frame_writes(writes) == 1


async def test_a_class_of_the_apps_own_for_websockets_stays_in_use(app: Quart) -> None:
    made: list[str] = []

    class Own(app.asgi_websocket_class):  # type: ignore[misc,name-defined]
        def __init__(self, app: Any, scope: Any) -> None:
            super().__init__(app, scope)
            made.append(scope["path"])

    app.asgi_websocket_class = Own
    LanarkyExtension(app)
    async with asked(app) as received:
        assert received == TEXTS
    assert made == ["/"]


# -- a Hypercorn that lacks something ------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (events, "Data"),
        (ws_stream, "ASGIWebsocketState"),
        (ws_stream, "WSStream"),
    ],
)
async def test_without_a_class_frames_are_written_one_by_one_and_one_line_says_so(
    streaming: Quart,
    writes: list[bytes],
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
) -> None:
    with monkeypatch.context() as patched:
        patched.delattr(module, name)
        assert inside._frame_parts() is None
    async with asked(streaming) as received:
        assert received == TEXTS
    assert frame_writes(writes) == len(TEXTS) - 1
    [line] = lines(log)
    assert line.startswith(f"Hypercorn {inside.hypercorn_version()}: cannot import name {name!r}")
    assert line.endswith("frames of a WebSocket are written one by one")


async def test_classes_that_take_something_else_are_not_used(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "Data", lambda *, stream_id, payload: None)
    assert inside._frame_parts() is None
    assert len(lines(log)) == 1


@pytest.mark.parametrize("missing", ["connection", "state", "closed", "stream_id", "send"])
async def test_without_an_attribute_frames_are_sent_one_by_one_and_one_line_says_so(
    log: pytest.LogCaptureFixture, missing: str
) -> None:
    sent: list[str] = []

    async def note(text: str) -> None:
        sent.append(text)

    stream = stream_of_hypercorn()
    stream.state, stream.connection = ws_stream.ASGIWebsocketState.CONNECTED, object()
    delattr(stream, missing)
    for _ in range(3):
        await send_frames(Holder(send=note), ["x"], stream.app_send)  # type: ignore[arg-type]
    assert sent == ["x"] * 3
    [line] = lines(log)
    assert f"no attribute {missing!r}: frames of a WebSocket are written one by one" in line
