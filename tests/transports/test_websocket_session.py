"""The WebSocket side: how a session goes and ends."""

import asyncio
import gc
import json
import time
import weakref
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Self

import pytest
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.errors import InputError
from quart_lanarky.events import Event, completion
from quart_lanarky.protocols.native.encode import Mode
from quart_lanarky.protocols.native.protocol import NativeProtocol
from quart_lanarky.runs import registry
from quart_lanarky.runs.registry import RunRegistry
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.settings import Settings, current_settings
from quart_lanarky.transports import websocket_session as websockets
from quart_lanarky.transports.websocket_session import WebSocketSession, WebSocketSink


async def test_a_sink_without_a_websocket_says_so_when_it_is_used() -> None:
    with pytest.raises(RuntimeError, match="websocket context"):
        await WebSocketSink().send(Event("end", ""))


# -- a session -----------------------------------------------------------------------------
#
# Here with the messages of ASGI; `live/` and `faults/` have real sockets.

SECRET = "sk-the-text-of-an-exception"
HI = completion("hi")


class Large:
    """What a client has sent."""


class Turns:
    """Makes the runs of a session: the text of a message says what its run is to do."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.running: list[object] = []
        self.large: list[weakref.ref[Large]] = []
        self.released = asyncio.Event()

    def open_run(self, message: dict[str, Any] | str) -> Run:
        self.asked.append(message)
        if message == "bad":
            raise InputError("no such question")
        if message == "bad and large":
            self._refuse_large()
        if message == "broken":
            raise RuntimeError(SECRET)
        stream = EventStream(flush_interval=0)
        return Run(stream, lambda: self._work(message, stream))

    def _refuse_large(self) -> None:
        large = Large()
        self.large.append(weakref.ref(large))
        raise InputError("too strange") from ValueError(large)

    async def _work(self, message: object, stream: EventStream) -> None:
        self.running.append(message)
        try:
            await stream.send(HI)
            if message == "fail":
                raise RuntimeError(SECRET)
            if message != "hi":
                await self.released.wait()
        finally:
            self.running.remove(message)


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def lanarky() -> LanarkyExtension:
    return LanarkyExtension()


@pytest.fixture
def app(lanarky: LanarkyExtension, turns: Turns, monkeypatch: pytest.MonkeyPatch) -> Quart:
    app = Quart(__name__)
    app.config |= {"QUART_LANARKY_HEARTBEAT": None, "QUART_LANARKY_MAX_QUEUED_TURNS": 2}
    lanarky.init_app(app)
    monkeypatch.setattr(websockets, "CLOSE_TIMEOUT", 0.05)  # the test client never answers

    @app.websocket("/ws")
    async def talk() -> None:
        session = WebSocketSession(
            turns.open_run, settings=current_settings(), protocol=NativeProtocol("json")
        )
        await session.serve()

    return app


class Socket:
    """A client of a WebSocket that speaks ASGI; Quart's own does not say how it was closed."""

    def __init__(self, app: Quart, path: str = "/ws", *, closed_by_server: bool = False) -> None:
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._received: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = closed_by_server  # as Hypercorn's streams have it
        scope: Any = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 7),
            "server": ("127.0.0.1", 80),
            "subprotocols": [],
            "extensions": {},
            "state": {},
        }
        self._serve: Any = partial(app, scope, self._sent.get, self._note)

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._serve())
        assert (await self._received.get())["type"] == "websocket.accept"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sent.put({"type": "websocket.disconnect", "code": 1000})
        await self._serving

    async def _note(self, message: Any) -> None:
        await self._received.put(message)

    async def send(self, message: str | bytes | None) -> None:
        key = "text" if isinstance(message, str) else "bytes"
        other = "bytes" if key == "text" else "text"
        await self._sent.put({"type": "websocket.receive", key: message, other: None})

    async def frame(self) -> dict[str, Any]:
        """Return the next frame."""
        message = await self._received.get()
        assert message["type"] == "websocket.send", message
        frame: dict[str, Any] = json.loads(message["text"])
        return frame

    async def answer(self) -> list[str]:
        """Return the names of the events up to the next `end`."""
        names: list[str] = []
        while not names or names[-1] != "end":
            names.append((await self.frame())["event"])
        return names

    async def has_ended(self) -> None:
        """Wait until the app has nothing more to do with it, though the client is still there."""
        await asyncio.wait_for(asyncio.shield(self._serving), 5)

    async def close(self) -> tuple[list[str], int, str]:
        """Return the names of the events up to the close, its code and its reason."""
        names: list[str] = []
        while (message := await self._received.get())["type"] == "websocket.send":
            names.append(json.loads(message["text"])["event"])
        assert message["type"] == "websocket.close"
        return names, message["code"], message["reason"]


@pytest.fixture
async def socket(app: Quart) -> AsyncIterator[Socket]:
    async with asyncio.timeout(10), Socket(app) as socket:
        yield socket


ANSWER = ["completion", "end"]
BUSY = "too many runs are live now: try again later"
LEAVING = "the server is shutting down"


async def settle(lanarky: LanarkyExtension) -> None:
    """Wait until no run is live, which is soon: `end` has been sent a moment before."""
    async with asyncio.timeout(5):
        while lanarky.registry.count:
            await asyncio.sleep(0.01)


async def test_every_message_is_a_turn(socket: Socket, turns: Turns) -> None:
    for message in ("hi", '{"question": "hi"}', " hi"):
        turns.released.set()
        await socket.send(message)
        assert await socket.answer() == ANSWER
    assert turns.asked == ["hi", {"question": "hi"}, " hi"]


async def test_a_pong_is_no_turn(socket: Socket, turns: Turns) -> None:
    await socket.send('{"event": "pong"}')
    await socket.send("hi")
    await socket.send(' {"event":"pong"} ')
    assert await socket.answer() == ANSWER
    assert turns.asked == ["hi"]


@pytest.mark.parametrize(
    "message", ['{"event": "ping"}', '{"event": "pong", "data": null}', '{"event": "stop", "n": 1}']
)
async def test_what_only_looks_like_a_sign_is_a_turn(
    socket: Socket, turns: Turns, message: str
) -> None:
    turns.released.set()
    await socket.send(message)
    assert await socket.answer() == ANSWER
    assert turns.asked == [json.loads(message)]


@pytest.mark.parametrize(
    ("message", "status", "detail"),
    [
        ("bad", 400, "no such question"),
        ("{", 400, "not valid JSON"),
        (b"\x00", 400, "text frames"),
        (b"", 400, "text frames"),
        ("broken", 500, "Internal Server Error"),
        ("fail", 500, "Internal Server Error"),
    ],
)
async def test_a_turn_that_fails_is_answered_and_the_session_lives_on(
    socket: Socket,
    lanarky: LanarkyExtension,
    caplog: pytest.LogCaptureFixture,
    message: str | bytes,
    status: int,
    detail: str,
) -> None:
    await socket.send(message)
    event = await socket.frame()
    while event["event"] != "error":
        event = await socket.frame()
    assert event["data"]["status_code"] == status
    assert detail in event["data"]["detail"]
    assert SECRET not in str(event)
    assert (SECRET in caplog.text) is (status == 500)
    assert await socket.answer() == ["end"]
    await socket.send("hi")
    assert await socket.answer() == ANSWER
    await settle(lanarky)


async def test_of_a_bad_message_that_waits_for_its_turn_only_the_refusal_is_kept(
    socket: Socket, turns: Turns
) -> None:
    for message in ("hang", "bad and large", "bad and large"):
        await socket.send(message)
    assert (await socket.frame())["event"] == "completion"
    while len(turns.large) < 2:
        await asyncio.sleep(0.01)
    gc.collect()  # a traceback and its frames lead to each other
    assert [large() for large in turns.large] == [None, None]
    turns.released.set()
    assert await socket.answer() == ["end"]
    for _ in range(2):
        error = await socket.frame()
        assert error["data"] == {"status_code": 400, "detail": "too strange"}
        assert await socket.answer() == ["end"]


async def test_what_fails_before_its_turn_is_logged_under_the_id_that_its_end_has(
    socket: Socket, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    await socket.send("hang")
    await socket.send("broken")
    assert (await socket.frame())["event"] == "completion"
    while not caplog.records:
        await asyncio.sleep(0.01)
    assert SECRET in caplog.text
    turns.released.set()
    assert await socket.answer() == ["end"]
    assert (await socket.frame())["data"]["status_code"] == 500
    assert (await socket.frame())["data"]["run_id"] in caplog.text
    assert len(caplog.records) == 1


async def test_a_quiet_session_is_pinged_and_one_that_answers_is_kept(app: Quart) -> None:
    app.config |= {"QUART_LANARKY_HEARTBEAT": 0.1, "QUART_LANARKY_IDLE_TIMEOUT": 0.8}
    async with asyncio.timeout(10), Socket(app) as socket:
        for _ in range(10):
            assert await socket.frame() == {"event": "ping", "data": None}
            await socket.send('{"event": "pong"}')
        await socket.send("hi")
        names = await socket.answer()
    assert [name for name in names if name != "ping"] == ANSWER


async def test_a_quiet_turn_is_pinged_and_not_held_against_the_client(
    app: Quart, turns: Turns
) -> None:
    app.config |= {"QUART_LANARKY_HEARTBEAT": 0.05, "QUART_LANARKY_IDLE_TIMEOUT": 0.5}
    async with asyncio.timeout(10), Socket(app) as socket:
        await socket.send("hang")
        names = [(await socket.frame())["event"] for _ in range(13)]
        turns.released.set()
        assert (await socket.answer())[-1] == "end"
        assert (await socket.frame())["event"] == "ping"  # its silence counts from here
    assert names == ["completion", *["ping"] * 12]


@pytest.mark.parametrize("heartbeat", [None, 0.05])
async def test_a_client_that_is_silent_for_too_long_is_left_with_1008(
    app: Quart, heartbeat: float | None
) -> None:
    app.config |= {"QUART_LANARKY_HEARTBEAT": heartbeat, "QUART_LANARKY_IDLE_TIMEOUT": 0.2}
    began = time.monotonic()
    async with asyncio.timeout(10), Socket(app) as socket:
        names, code, reason = await socket.close()
    assert (code, reason) == (1008, "no word and no pong for 0.2 seconds")
    assert set(names) == ({"ping"} if heartbeat else set())
    assert time.monotonic() - began > 0.19


async def test_without_an_idle_timeout_a_client_may_be_silent(app: Quart) -> None:
    app.config |= {"QUART_LANARKY_HEARTBEAT": 0.02, "QUART_LANARKY_IDLE_TIMEOUT": None}
    async with asyncio.timeout(10), Socket(app) as socket:
        for _ in range(10):
            assert (await socket.frame())["event"] == "ping"


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        *(("x" * 100, True), ("x" * 101, False), ("ä" * 50, True), ("ä" * 51, False)),
        (b"x" * 101, False),
    ],
)
async def test_a_message_of_too_many_bytes_closes_the_session_with_1009(
    app: Quart, turns: Turns, message: str | bytes, fits: bool
) -> None:
    app.config["QUART_LANARKY_MAX_MESSAGE_BYTES"] = 100
    turns.released.set()
    async with asyncio.timeout(10), Socket(app) as socket:
        await socket.send(message)
        if fits:
            assert await socket.answer() == ANSWER
        else:
            assert await socket.close() == ([], 1009, "send no more than 100 bytes at once")
    assert turns.asked == ([message] if fits else [])


async def test_after_its_close_a_session_answers_nothing(
    app: Quart, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websockets, "CLOSE_TIMEOUT", 0.3)
    app.config["QUART_LANARKY_MAX_MESSAGE_BYTES"] = 100
    async with asyncio.timeout(10), Socket(app) as socket:
        for message in ("x" * 101, "hi", "x" * 101, "{"):
            await socket.send(message)
        assert await socket.close() == ([], 1009, "send no more than 100 bytes at once")
        await socket.has_ended()
    assert turns.asked == []


async def test_a_session_ends_though_its_client_does_not_answer_the_close(socket: Socket) -> None:
    for _ in range(4):
        await socket.send("hang")
    assert (await socket.close())[1] == 1008
    await socket.has_ended()


async def test_turns_wait_up_to_a_bound_and_then_the_session_is_closed_with_1008(
    socket: Socket, turns: Turns
) -> None:
    for message in ("hang", "second", "third"):
        await socket.send(message)
    assert (await socket.frame())["event"] == "completion"
    await asyncio.sleep(0.05)
    assert turns.running == ["hang"]
    await socket.send("one too many")
    assert await socket.close() == ([], 1008, "too many queued turns")
    assert turns.running == []


async def test_a_turn_that_is_not_admitted_gets_503_and_the_session_is_closed_with_1013(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    app.config["QUART_LANARKY_MAX_RUNS"] = 1
    async with (
        asyncio.timeout(10),
        Socket(app) as first,
        Socket(app) as second,
    ):
        await first.send("hang")
        assert (await first.frame())["event"] == "completion"
        await second.send("hi")
        error = await second.frame()
        assert (error["event"], error["data"]["status_code"]) == ("error", 503)
        assert await second.close() == (["end"], 1013, BUSY)
        await first.send('{"event": "stop"}')
        assert await first.answer() == ["end"]
        await settle(lanarky)


async def test_what_fails_outside_of_any_run_closes_the_session_with_1011_and_is_logged(
    socket: Socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(run: Run, _: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(websockets, "_answer", fail)
    await socket.send("hi")
    assert await socket.close() == ([], 1011, "internal error")
    assert "a WebSocket session failed" in caplog.text
    assert SECRET in caplog.text


async def test_a_shutdown_ends_a_quiet_session_at_once_with_1012(
    socket: Socket, lanarky: LanarkyExtension
) -> None:
    await socket.send("hi")
    assert await socket.answer() == ANSWER
    draining = asyncio.create_task(lanarky.drain(60))
    assert await socket.close() == ([], 1012, LEAVING)
    await asyncio.wait_for(draining, 5)


async def test_a_shutdown_lets_the_turn_in_progress_finish_and_refuses_those_that_wait(
    socket: Socket, lanarky: LanarkyExtension, turns: Turns
) -> None:
    for message in ("hang", "waiting"):
        await socket.send(message)
    assert (await socket.frame())["event"] == "completion"
    draining = asyncio.create_task(lanarky.drain(60))
    await asyncio.sleep(0.05)
    assert turns.running == ["hang"]
    turns.released.set()
    assert await socket.close() == (["end", "error", "end"], 1012, LEAVING)
    await asyncio.wait_for(draining, 5)


async def test_a_shutdown_that_is_over_ends_the_turn_with_503_and_the_session_with_1012(
    socket: Socket, lanarky: LanarkyExtension, turns: Turns
) -> None:
    await socket.send("hang")
    assert (await socket.frame())["event"] == "completion"
    draining = asyncio.create_task(lanarky.drain(0.05))
    error = await socket.frame()
    assert (error["event"], error["data"]["status_code"]) == ("error", 503)
    assert await socket.close() == (["end"], 1012, LEAVING)
    await asyncio.wait_for(draining, 5)
    assert turns.running == []


async def test_a_session_ends_by_a_forced_disconnect_whatever_its_client_does(
    app: Quart, turns: Turns
) -> None:
    sessions: list[WebSocketSession] = []
    ended = asyncio.Event()

    @app.websocket("/held")
    async def hold() -> None:
        sessions.append(
            WebSocketSession(
                turns.open_run, settings=current_settings(), protocol=NativeProtocol("json")
            )
        )
        try:
            await sessions[0].serve()
        finally:
            ended.set()

    async with asyncio.timeout(5), Socket(app, "/held") as socket:
        await socket.send("hang")
        assert (await socket.frame())["event"] == "completion"
        sessions[0].force_disconnect()
        await ended.wait()
    assert turns.running == []


async def test_a_session_whose_client_the_server_has_given_up_ends_at_once(app: Quart) -> None:
    async with asyncio.timeout(5), Socket(app, closed_by_server=True) as socket:
        await socket.has_ended()


async def test_a_client_that_does_not_read_is_left_with_1008(
    socket: Socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait_for_ever(run: Run, _: object) -> None:
        async with RunRegistry().read(run):
            await asyncio.Event().wait()

    monkeypatch.setattr(registry, "DELIVERY_TIMEOUT", 0.05)
    monkeypatch.setattr(websockets, "_answer", wait_for_ever)
    await socket.send("hi")
    assert await socket.close() == ([], 1008, "the client does not read")


async def test_a_client_that_leaves_takes_its_turns_with_it_and_is_nothing_to_log(
    app: Quart, lanarky: LanarkyExtension, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    before = asyncio.all_tasks()
    async with asyncio.timeout(5), Socket(app) as socket:
        for message in ("hang", "second"):
            await socket.send(message)
        assert (await socket.frame())["event"] == "completion"
    assert (turns.running, lanarky.registry.count) == ([], 0)
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:  # what still comes is taken for a moment longer
            await asyncio.sleep(0.01)
    assert not caplog.records


@pytest.mark.parametrize("mode", ["text", "json"])
async def test_a_message_that_is_refused_is_answered_in_the_mode_of_the_session(
    turns: Turns, mode: Mode
) -> None:
    app = Quart(__name__)

    @app.websocket("/ws")
    async def talk() -> None:
        await WebSocketSession(
            turns.open_run, settings=Settings(), protocol=NativeProtocol(mode)
        ).serve()

    async with asyncio.timeout(5), Socket(app) as socket:
        await socket.send("bad")
        error, end = [await socket.frame() for _ in range(2)]
    assert error["data"] == {"status_code": 400, "detail": "no such question"}
    assert end["event"] == "end"
    assert end["data"] if mode == "json" else end["data"] == ""
    assert mode == "text" or end["data"]["outcome"] == "failed"


async def test_a_session_works_without_the_extension(turns: Turns) -> None:
    app = Quart(__name__)

    @app.websocket("/ws")
    async def talk() -> None:
        await WebSocketSession(
            turns.open_run, settings=Settings(), protocol=NativeProtocol("json")
        ).serve()

    async with asyncio.timeout(5), Socket(app) as socket:
        await socket.send("hi")
        assert await socket.answer() == ANSWER
