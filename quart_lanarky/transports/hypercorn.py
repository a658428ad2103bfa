"""The inside of Hypercorn that ASGI does not show; the only module here that knows it.

Known are 0.17.3 to 0.18. Nothing here is needed: what another version, another server or middleware
does not show is done without, and one line in the log says what is missing and what follows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NamedTuple, Protocol

from quart import Websocket
from quart.signals import websocket_sent

__all__ = [
    "Server",
    "defer_sigterm",
    "detect_server",
    "has_closed",
    "hypercorn_version",
    "send_frames",
]

logger = logging.getLogger(__name__)

STOP_POLL_TIMEOUT: Final = 1.0
"""Seconds in which a worker learns that its server stops: Hypercorn's look every 0.1 s."""


def hypercorn_version() -> str:
    """Return Hypercorn's version, for the log."""
    try:
        return version("hypercorn")
    except PackageNotFoundError:
        return "(not installed)"


@cache
def _log_once(level: int, message: str) -> None:
    logger.log(level, "%s", message)


def _log_missing(missing: str, consequence: str) -> None:
    _log_once(logging.WARNING, f"Hypercorn {hypercorn_version()}: {missing}: {consequence}")


def _stream_of(send: object) -> Any:
    """Return what `send` is a method of: with Hypercorn, its stream."""
    return getattr(send, "__self__", None)


def _is_of_hypercorn(stream: object) -> bool:
    """Tell whether `stream` has to have what is looked for; only asked when it has not."""
    return any(kind.__module__.partition(".")[0] == "hypercorn" for kind in type(stream).__mro__)


_ONE_BY_ONE: Final = "frames of a WebSocket are written one by one"


class _FrameParts(NamedTuple):
    """What frames are made of, to write several at once."""

    stream: type[Any]
    connected: object
    message: Callable[[str], Any]
    data: Callable[..., Any]
    closed_error: type[Exception]


@cache
def _frame_parts() -> _FrameParts | None:
    try:
        from hypercorn.protocol.events import Data
        from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
        from wsproto.events import TextMessage
        from wsproto.utilities import LocalProtocolError

        Data(stream_id=1, data=TextMessage("").data.encode())  # as below
        connected = ASGIWebsocketState.CONNECTED
    except (ImportError, AttributeError, TypeError) as error:
        _log_missing(str(error), _ONE_BY_ONE)
        return None
    return _FrameParts(WSStream, connected, TextMessage, Data, LocalProtocolError)


async def send_frames(socket: Websocket, texts: Sequence[str], send: object = None) -> None:
    """Send each text as a frame of its own, all in one write where the server lets us.

    ASGI has a message for each frame, which costs a write of its own. So Hypercorn's stream is
    called directly, unless a receiver of `websocket_sent` wants each frame.

    Args:
        socket: Where the frames go.
        texts: What they say.
        send: The server's own, if nobody stands between it and Quart.
    """
    parts = None if send is None or websocket_sent.receivers else _frame_parts()
    stream = _stream_of(send)
    if parts is None or not _takes_frames(stream, parts):
        for text in texts:
            await socket.send(text)
        return
    with suppress(parts.closed_error):  # we have closed
        data = b"".join([stream.connection.send(parts.message(text)) for text in texts])
        await stream.send(parts.data(stream_id=stream.stream_id, data=data))


def _takes_frames(stream: Any, parts: _FrameParts) -> bool:
    """Tell whether `stream` is an open WebSocket of Hypercorn's; Quart deals with any other."""
    if not isinstance(stream, parts.stream):
        return False
    try:
        if stream.state is not parts.connected or stream.closed:
            return False
        _ = stream.connection, stream.send, stream.stream_id
    except AttributeError as error:
        _log_missing(str(error), _ONE_BY_ONE)
        return False
    return True


def has_closed(send: object) -> bool:
    """Tell whether the server has given the client up, which it says to nobody.

    Hypercorn does when a client sends before it was accepted.
    """
    stream = _stream_of(send)
    closed = getattr(stream, "closed", None)
    if closed is None and _is_of_hypercorn(stream):
        kind = type(stream).__name__
        _log_missing(f"{kind} has no `closed`", "clients that it gives up are noticed late")
    return closed is True


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


_LATE: Final = (
    "that the server stops is seen only when it cuts the streams, and SIGTERM is not deferred; "
    "`quart_lanarky.serve`, or a call of `LanarkyExtension.drain()` before, ends them properly"
)


def detect_server(send: object) -> Server | None:
    """Return the Hypercorn behind an ASGI connection; None if it is another server.

    ASGI tells an app that its server stops when all is over. Hypercorn's `send` is a method of
    the stream, which knows it from the start. Where a new version hides that, streams are cut
    after the graceful timeout, as those of all apps are; a test would tell.
    """
    stream = _stream_of(send)
    stopping: Any = getattr(getattr(stream, "context", None), "terminated", None)
    timeout = getattr(getattr(stream, "config", None), "graceful_timeout", None)
    if hasattr(stopping, "wait") and hasattr(stopping, "is_set") and timeout is not None:
        return Server(stopping, timeout)
    if _is_of_hypercorn(stream):
        kind = type(stream).__name__
        _log_missing(f"{kind} has no `context.terminated`, or no `config.graceful_timeout`", _LATE)
    else:
        _log_once(logging.INFO, f"the server is not Hypercorn, or middleware hides it: {_LATE}")
    return None


@contextmanager
def defer_sigterm(server: Server, seconds: float) -> Iterator[None]:
    """Delay SIGTERM inside the block and for `seconds` after it.

    The `hypercorn` command with several workers tells all of them to stop, and then kills them by
    SIGTERM as soon as the first one has exited, whatever the others still have to say. A busy one
    may not even have looked yet whether it has to stop. systemd sends the signal to all at once.

    A signal that no stop follows terminates the process, a little late. A process that handles the
    signal itself is left alone. It takes an event loop that handles signals, as those of POSIX do.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    loop = asyncio.get_running_loop()
    received = asyncio.Event()

    def take_note() -> None:
        received.set()
        loop.call_later(STOP_POLL_TIMEOUT, terminate_unless_stopping)

    def terminate_unless_stopping() -> None:
        if not server.stopping.is_set():
            _terminate_if(received)

    try:
        loop.add_signal_handler(signal.SIGTERM, take_note)
    except NotImplementedError:  # on Windows, where no process is told anything by SIGTERM
        _log_once(logging.INFO, "the event loop handles no signals: SIGTERM is not deferred")
        yield
        return
    try:
        yield
    finally:
        loop.call_later(seconds, _terminate_if, received)


def _terminate_if(received: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    if received.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
