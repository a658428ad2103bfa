"""The inside of Hypercorn that ASGI does not show; the only module here that knows it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol

from hypercorn.protocol.events import Data
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from quart import Websocket
from quart.signals import websocket_sent
from wsproto.events import TextMessage
from wsproto.utilities import LocalProtocolError

__all__ = ["Server", "defer_sigterm", "detect_server", "send_frames"]

STOP_POLL_TIMEOUT: Final = 1.0
"""Seconds in which a worker learns that its server stops: Hypercorn's look every 0.1 s."""


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
