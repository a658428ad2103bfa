"""What is patched in Hypercorn is still broken there, and is not in the classes in its place.

A test of Hypercorn's own class fails when that is mended: then the patch can go.
"""

import asyncio
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from hypercorn.asyncio.worker_context import EventWrapper, WorkerContext
from hypercorn.config import Config
from hypercorn.events import RawData
from hypercorn.protocol.events import Data, Request
from hypercorn.protocol.h11 import H2CProtocolRequiredError
from wsproto.frame_protocol import Opcode, RsvBits

from quart_lanarky.serving.hypercorn_patches.patches import PATCHES
from quart_lanarky.transports.hypercorn import hypercorn_version
from tests.faults.frames import CLOSE, CONTINUATION, PING, frame

PACKAGE = "quart_lanarky.serving.hypercorn_patches"
MEGABYTE = 2**20
LIMIT = 1000

Kind = Any
"""One of Hypercorn's classes, or what is put in its place."""


class Server:
    """Stands for what is around a protocol or a stream of Hypercorn's: its tasks, and the app."""

    def __init__(self) -> None:
        self.context = WorkerContext(None)
        self.config = Config()
        self.config.websocket_max_message_size = LIMIT
        self.tasks: list[asyncio.Task[None]] = []
        self.sent: list[Any] = []
        self.received: list[Any] = []
        self.app_send: Any = None

    def spawn(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.tasks.append(asyncio.create_task(function(*arguments)))

    async def spawn_app(self, app: Any, config: Any, scope: Any, send: Any) -> Any:
        self.app_send = send
        return self.receive

    async def receive(self, message: Any) -> None:
        self.received.append(message)

    async def send(self, event: Any) -> None:
        self.sent.append(event)

    async def answer(self, *pieces: bytes, more_body: bool = True) -> None:
        """Answer as an app does."""
        await self.app_send({"type": "http.response.start", "status": 200, "headers": []})
        for body in pieces:
            message = {"type": "http.response.body", "body": body, "more_body": more_body}
            await self.app_send(message)


# -- HTTP/2: the buffer --------------------------------------------------------------------


async def grows_by_all_that_an_app_says(kind: Kind) -> bool:
    buffer = kind(EventWrapper)
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            for _ in range(64):
                await buffer.push(bytes(MEGABYTE // 64))
                await buffer.pop(0)  # the client's window is shut
    return len(buffer.buffer) == MEGABYTE


# -- HTTP/2: streams that were given up ----------------------------------------------------


class H2Connection:
    """A client of HTTP/2 that has asked, and the server's side of its connection."""

    def __init__(self, kind: Kind) -> None:
        self.server = server = Server()
        self.events: list[h2.events.Event] = []
        self.client = h2.connection.H2Connection(h2.config.H2Configuration())
        self.protocol = kind(
            None, server.config, server.context, server, {}, False, None, None, self.send
        )

    async def send(self, event: Any) -> None:
        if isinstance(event, RawData):
            self.events += self.client.receive_data(event.data)

    async def flush(self) -> None:
        """Pass to the server what the client has to send."""
        await self.protocol.handle(RawData(self.client.data_to_send()))
        await asyncio.sleep(0.01)

    async def ask(self) -> Server:
        self.client.initiate_connection()
        head = {":method": "POST", ":path": "/", ":scheme": "http", ":authority": "x"}
        self.client.send_headers(1, list(head.items()))
        request = self.client.data_to_send()
        await self.protocol.initiate()
        await self.protocol.handle(RawData(request))
        return self.server


async def keeps_what_a_reset_stream_has_not_sent(kind: Kind) -> bool:
    connection = H2Connection(kind)
    server = await connection.ask()
    server.spawn(server.answer, bytes(MEGABYTE))
    await asyncio.sleep(0.01)
    connection.client.reset_stream(1)
    await connection.flush()
    return 1 in connection.protocol.stream_buffers


async def leaves_a_client_waiting_whose_answer_breaks_off(kind: Kind) -> bool:
    connection = H2Connection(kind)
    server = await connection.ask()
    await server.answer(b"the first half")
    await server.app_send(None)
    await asyncio.sleep(0.01)
    kinds = (h2.events.StreamReset, h2.events.StreamEnded)
    return not any(isinstance(event, kinds) for event in connection.events)


async def fails_when_a_body_goes_on_after_its_answer(kind: Kind) -> bool:
    connection = H2Connection(kind)
    server = await connection.ask()
    await server.answer(b"too much", more_body=False)
    await server.app_send(None)
    connection.client.send_data(1, b"and more")
    try:
        await connection.flush()
    except KeyError:
        return True
    return False


async def fails_at_a_path_that_is_not_ascii(kind: Kind) -> bool:
    connection = H2Connection(kind)
    connection.client.initiate_connection()
    head = [
        (b":method", b"GET"),
        (b":path", b"/\xff"),
        (b":scheme", b"http"),
        (b":authority", b"x"),
    ]
    connection.client.send_headers(1, head, end_stream=True)
    request = connection.client.data_to_send()
    await connection.protocol.initiate()
    try:
        await connection.protocol.handle(RawData(request))
    except UnicodeDecodeError:
        return True
    return False


# -- HTTP/1.1 ------------------------------------------------------------------------------


async def upgrades_to_h2c(kind: Kind) -> bool:
    server = Server()
    protocol = kind(None, server.config, server.context, server, {}, False, None, None, server.send)
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    answering = asyncio.create_task(protocol.handle(RawData(request)))
    server.tasks.append(answering)
    await asyncio.wait({answering}, timeout=0.05)
    return answering.done() and isinstance(answering.exception(), H2CProtocolRequiredError)


async def fails_at_a_handshake_that_is_not_ascii(kind: Kind) -> bool:
    server = Server()
    protocol = kind(None, server.config, server.context, server, {}, False, None, None, server.send)
    request = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Protocol: \xff\r\n\r\n"
    )
    try:
        await protocol.handle(RawData(request))
    except UnicodeDecodeError:
        return True
    return False


# -- WebSockets ----------------------------------------------------------------------------


async def inflates_without_a_bound(kind: Kind) -> bool:
    deflate = kind()
    compressor = zlib.compressobj(wbits=-15)
    bomb = compressor.compress(bytes(8 * MEGABYTE)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    proto = SimpleNamespace(client=False)
    deflate.frame_inbound_header(proto, Opcode.BINARY, RsvBits(True, False, False), len(bomb))
    tracemalloc.start()
    try:
        deflate.frame_inbound_payload_data(proto, bomb)
        return tracemalloc.get_traced_memory()[1] > MEGABYTE
    finally:
        tracemalloc.stop()


async def handshake(kind: Kind, *, accept: bool = True) -> tuple[Server, Any]:
    """Return the stream of a WebSocket, and its server."""
    server = Server()
    stream = kind(None, server.config, server.context, server, False, None, None, server.send, 1)
    headers = [
        (b"connection", b"upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
        (b"sec-websocket-version", b"13"),
    ]
    await stream.handle(
        Request(1, http_version="1.1", method="GET", raw_path=b"/", headers=headers, state={})
    )
    if accept:
        await server.app_send({"type": "websocket.accept"})
    return server, stream


async def keeps_a_message_that_is_too_long(kind: Kind) -> bool:
    _, stream = await handshake(kind)
    await stream.handle(Data(1, frame(b"x" * LIMIT, fin=False)))
    for _ in range(100):
        await stream.handle(Data(1, frame(b"x" * LIMIT, CONTINUATION, fin=False)))
    return bool(stream.buffer.length > 50 * LIMIT)


async def does_not_say_what_is_wrong_with_a_frame(kind: Kind) -> bool:
    server, stream = await handshake(kind)
    await stream.handle(Data(1, frame(b"\xff")))
    heads = [(e.data[0], e.data[2:4]) for e in server.sent if isinstance(e, Data)]
    return (0x80 | CLOSE, (1007).to_bytes(2)) not in heads


async def takes_all_frames_of_a_read_at_once(kind: Kind) -> bool:
    _, stream = await handshake(kind)
    waiting = asyncio.create_task(asyncio.sleep(0))
    await stream.handle(Data(1, frame(b"", PING) * 1000))
    return not waiting.done()


async def does_not_tell_the_app_of_a_client_that_spoke_too_early(kind: Kind) -> bool:
    server, stream = await handshake(kind, accept=False)
    await stream.handle(Data(1, frame(b"hello")))
    return "websocket.disconnect" not in [message["type"] for message in server.received]


FAULTS: dict[str, list[Callable[[Kind], Awaitable[bool]]]] = {
    "http2:StreamBuffer": [grows_by_all_that_an_app_says],
    "http2:H2Protocol": [
        keeps_what_a_reset_stream_has_not_sent,
        leaves_a_client_waiting_whose_answer_breaks_off,
        fails_when_a_body_goes_on_after_its_answer,
        fails_at_a_path_that_is_not_ascii,
    ],
    "http1:H11Protocol": [upgrades_to_h2c, fails_at_a_handshake_that_is_not_ascii],
    "websockets:PerMessageDeflate": [inflates_without_a_bound],
    "websockets:WSStream": [
        keeps_a_message_that_is_too_long,
        does_not_say_what_is_wrong_with_a_frame,
        takes_all_frames_of_a_read_at_once,
        does_not_tell_the_app_of_a_client_that_spoke_too_early,
    ],
}

each_fault = pytest.mark.parametrize(
    ("replacement", "fault"),
    [(replacement, fault) for replacement, faults in FAULTS.items() for fault in faults],
    ids=lambda value: getattr(value, "__name__", value),
)


@pytest.fixture(autouse=True)
async def _cancel_what_is_left() -> Any:
    """End the tasks that a protocol has started, as the end of its connection would."""
    yield
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


@each_fault
async def test_still_broken_upstream(
    replacement: str, fault: Callable[[Kind], Awaitable[bool]]
) -> None:
    (own,) = resolve_name(f"{PACKAGE}.{replacement}").__bases__
    assert await fault(own), (
        f"Hypercorn {hypercorn_version()} was mended, it no longer {fault.__name__}: "
        f"drop that part of the patch {replacement!r} when no older Hypercorn is supported"
    )


@each_fault
async def test_mended_here(
    replacement: str, fault: Callable[[Kind], Awaitable[bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = resolve_name(f"{PACKAGE}.{replacement}")
    monkeypatch.setattr(kind, "max_message_bytes", LIMIT, raising=False)
    assert not await fault(kind)


def test_each_patch_has_its_faults_here() -> None:
    assert {patch.replacement for patch in PATCHES} == FAULTS.keys()
