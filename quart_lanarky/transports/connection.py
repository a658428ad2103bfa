"""The server beneath Quart: what ASGI does not say, and what Quart leaves to it.

Three things that long streams need and no framework passes on: to end a WebSocket whose client
does not answer the server's close, to know that the server is stopping while there is still
time to tell the clients, and to write several frames at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol

from hypercorn.protocol.events import Data
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from quart import Websocket, has_request_context, has_websocket_context, request, websocket
from quart.signals import websocket_sent
from quart.wrappers import base
from wsproto.events import TextMessage
from wsproto.utilities import LocalProtocolError

from ..runs.cancellation import CancelGroup, WaitCancelledError

__all__ = [
    "CONNECTION_KEY",
    "ClientConnection",
    "Server",
    "current_connection",
    "defer_sigterm",
    "detect_server",
    "raise_disconnect",
    "send_frames",
]

_DISCONNECT: Final[type[Exception] | None] = getattr(base, "ClientDisconnectedError", None)
"""What Quart raises where the client has left, from 0.23 on. Before, it only cancels."""

CONNECTION_KEY: Final = "quart_lanarky.connection"
"""The key in the ASGI scope of a connection."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds in which a server ends a connection whose app has returned."""

QUIET_PERIOD: Final = 0.05
"""Seconds without a message after which there will be no more."""

STOP_POLL_TIMEOUT: Final = 1.0
"""Seconds in which a worker learns that its server stops: Hypercorn's look every 0.1 s."""

_discarding: Final[set[asyncio.Task[None]]] = set()  # the loop itself holds on to none

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class ClientConnection:
    """The incoming side of a connection: it can be hung up, and a body on it can be bounded.

    Quart 0.23 waits for the client after the view has returned, and keeps all that arrives: for
    ever, if the client so likes. Hypercorn, where an app has returned and left messages behind,
    waits for ever for somebody to take them.

    Args:
        receive: ASGI's.
        kind: The type of the connection: `"http"` or `"websocket"`.
        send: ASGI's.

    Attributes:
        max_body: How many bytes of a request's body are passed on. None for any number.
    """

    def __init__(self, receive: Receive, kind: str = "websocket", send: object = None) -> None:
        self._receive = receive
        self._disconnect = {"type": f"{kind}.disconnect", "code": 1006}
        self._stream = getattr(send, "__self__", None)
        self._is_disconnected = False
        self._disconnecting = CancelGroup()
        self.max_body: int | None = None
        self._body_size = 0
        self._body_was_cut = False
        self._body_ended = asyncio.Event()
        self._has_ended = False

    def __deepcopy__(self, memo: object) -> ClientConnection:
        """Return the line itself: middleware that copies a scope still means this connection."""
        return self

    @property
    def body_is_too_large(self) -> bool:
        """Whether the client has sent more than `max_body` allows; the rest is not kept."""
        return self.max_body is not None and self._body_size > self.max_body

    async def receive(self) -> Mapping[str, Any]:
        """Return what the client sent, or that it has left; a body that is too large ends early."""
        while True:
            message = await self._next()
            if not message.get("more_body", False):
                self._body_ended.set()
            self._body_size += len(message.get("body", b""))
            if message["type"] != "http.request" or not self.body_is_too_large:
                return message
            if not self._body_was_cut:
                self._body_was_cut = True
                return {"type": "http.request", "body": b"", "more_body": False}

    async def wait_for_body(self, seconds: float) -> None:
        """Wait until the client has sent its body, kept or not.

        A client whose connection is closed while it sends may lose the answer: TCP resets what
        is cut while there is something to read.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._body_ended.wait()

    async def _next(self) -> Mapping[str, Any]:
        """Return what the client sent, or that it has left, if we hung up."""
        if self._is_disconnected:
            return self._disconnect
        try:
            async with self._disconnecting.scope():
                return await self._take()
        except WaitCancelledError:
            return self._disconnect

    @property
    def closed_by_server(self) -> bool:
        """Whether the server has given the client up, and says so to nobody.

        Hypercorn does when a client speaks before it was accepted.
        """
        return getattr(self._stream, "closed", False) is True

    def force_disconnect(self) -> None:
        """Take the client for gone: Quart ends the connection, and the server cuts it."""
        self._is_disconnected = True
        self._disconnecting.cancel()

    def discard_input(self) -> None:
        """Take what still comes, and drop it, until the server has ended the connection.

        And a moment longer: of what it has read at once Hypercorn passes on all.
        """
        task = asyncio.create_task(self._discard())
        _discarding.add(task)
        task.add_done_callback(_discarding.discard)

    async def _discard(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while True:
                    is_over = self._has_ended or self.closed_by_server
                    async with asyncio.timeout(QUIET_PERIOD if is_over else None):
                        await self._take()

    async def _take(self) -> Mapping[str, Any]:
        message = await self._receive()
        self._has_ended = self._has_ended or message["type"].endswith(".disconnect")
        return message


def current_connection() -> ClientConnection | None:
    """Return the line of the current connection, if the extension has seen it come in."""
    if not has_request_context() and not has_websocket_context():
        return None
    asking = websocket if has_websocket_context() else request
    return asking.scope.get(CONNECTION_KEY)  # type: ignore[return-value]


async def send_frames(socket: Websocket, texts: Sequence[str]) -> None:
    """Send each text as a frame of its own, all in one write where the server lets us.

    ASGI has a message for each frame, which costs a write of its own. So Hypercorn's stream is
    asked itself, unless somebody stands between it and Quart, or wants to hear of each frame.
    """
    stream = _stream_of(socket)
    if stream is None:
        for text in texts:
            await socket.send(text)
    else:
        with suppress(LocalProtocolError):  # we have said goodbye
            data = b"".join([stream.connection.send(TextMessage(text)) for text in texts])
            await stream.send(Data(stream_id=stream.stream_id, data=data))


def _stream_of(socket: Websocket) -> WSStream | None:
    """Return Hypercorn's stream, if it takes frames and nobody would miss them."""
    send = next(iter(getattr(getattr(socket, "_send", None), "args", ())), None)
    if getattr(send, "__globals__", {}).get("__name__") == "quart.asgi":
        send = getattr(send, "__wrapped__", None)  # Quart 0.23 has its own errors for the OS's
    stream = getattr(send, "__self__", None)
    if not isinstance(stream, WSStream) or websocket_sent.receivers:
        return None
    is_open = stream.state is ASGIWebsocketState.CONNECTED and not stream.closed
    return stream if is_open else None  # else Quart knows what to do


def raise_disconnect(error: BaseException | None) -> None:
    """Raise `error` if it says that the client has left, which only Quart has to know."""
    if _DISCONNECT is not None and isinstance(error, _DISCONNECT):
        raise error


class _Flag(Protocol):
    def is_set(self) -> bool: ...

    async def wait(self) -> object: ...


class Server(NamedTuple):
    """What Hypercorn has to say of itself.

    Attributes:
        stopping: Is set when it has begun to stop.
        graceful_timeout: How many seconds later it cuts what still goes on.
    """

    stopping: _Flag
    graceful_timeout: float


def detect_server(send: object) -> Server | None:
    """Return the Hypercorn behind an ASGI connection; None if it is another server.

    ASGI tells an app that its server stops when all is over. Hypercorn's `send` is a method of
    the stream, which knows it from the start. Where a new version hides that, streams are cut
    after the graceful timeout, as those of all apps are; a test would tell.
    """
    stream = getattr(send, "__self__", None)
    stopping: Any = getattr(getattr(stream, "context", None), "terminated", None)
    timeout = getattr(getattr(stream, "config", None), "graceful_timeout", None)
    if not hasattr(stopping, "wait") or timeout is None:
        return None
    return Server(stopping, timeout)


@contextmanager
def defer_sigterm(server: Server, seconds: float) -> Iterator[None]:
    """Let nobody kill this worker of `server` within the block, nor for some `seconds` after it.

    The `hypercorn` command with several workers tells all of them to stop, and then kills them by
    SIGTERM as soon as the first one has exited, whatever the others still have to say. A busy one
    may not even have looked yet whether it has to stop. systemd sends the signal to all at once.

    A signal that no stop follows is heeded, a little late. A process that handles the signal
    itself is left alone.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    was_told = asyncio.Event()

    def take_note() -> None:
        was_told.set()
        loop.call_later(STOP_POLL_TIMEOUT, heed)

    def heed() -> None:
        if not server.stopping.is_set():
            _terminate_if(was_told)

    loop.add_signal_handler(signal.SIGTERM, take_note)
    try:
        yield
    finally:
        loop.call_later(seconds, _terminate_if, was_told)


def _terminate_if(was_told: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    if was_told.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
