"""The WebSocket side: a session that receives, sends, and has a queue of turns between the two.

::

    client ──frames──▶ _receive ──runs──▶ queue of turns ──▶ _send ──frames──▶ client
                          └── {"event": "stop"} stops the oldest turn
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from quart import Websocket, has_websocket_context, websocket

from .. import events
from ..errors import ServerBusyError
from ..events import Event
from ..protocols.base import ClientSignal, Encoder, RouteProtocol
from ..protocols.native.encode import LateModeEncoder, Mode, NativeEncoder
from ..runs.cancellation import raise_if_cancelled
from ..runs.registry import Reader, RunRegistry
from ..runs.run import SHUTTING_DOWN, Run
from ..runs.stream import LOOP_BLOCKED_AFTER, EventStream
from ..settings import Settings
from .admission import current_registry, register_run
from .connection import current_connection, raise_disconnect, unwrap_proxy
from .hypercorn import send_frames

__all__ = ["OpenRun", "WebSocketSession", "WebSocketSink", "answer"]

logger = logging.getLogger(__name__)

CLOSE_TIMEOUT = 1.0
"""Seconds that the client gets to answer the close frame of the server."""

OpenRun = Callable[[dict[str, Any] | str], Run]
"""Makes the run that answers a message, a JSON object or a bare text; may raise InputError."""


async def answer(run: Run) -> None:
    """Run `run` and send its events on the current WebSocket, one frame each, until its end.

    If too many runs are live, or the server is shutting down, that is an `error` and an `end`.
    """
    await _answer(run, LateModeEncoder(run))


async def _answer(run: Run, encoder: Encoder) -> None:
    socket, _ = _current_socket_and_loop()
    connection = current_connection()
    send = None if connection is None else connection.direct_send
    async with _reader_of(run) as batches:
        async for batch in batches:
            await send_frames(socket, encoder.frames(batch or [events.ping()]), send)


def _reader_of(run: Run) -> Reader:
    """Return the reader of `run`; one that is refused is none of the live runs."""
    if run.refusal is None:
        try:
            return register_run(run, "websocket")
        except ServerBusyError as busy:
            run.refuse(busy)
    return RunRegistry().read(run)


class WebSocketSink:
    """Sends events straight to the WebSocket of the current view.

    For handlers used by hand, in a view that talks to its WebSocket itself. Create it in the
    view: `send` then works from any thread and any event loop.

    Args:
        mode: How tokens are encoded; a handler with another mode sets it.
    """

    def __init__(self, mode: Mode = "json") -> None:
        self.mode: Mode = mode
        self._socket_and_loop = _current_socket_and_loop() if has_websocket_context() else None

    async def send(self, event: Event, /) -> None:
        """Send `event` as one frame; wait while the client does not take it.

        Raises:
            RuntimeError: There is no current WebSocket, now or when the sink was created.
        """
        self._socket_and_loop = self._socket_and_loop or _current_socket_and_loop()
        socket, loop = self._socket_and_loop
        [text] = NativeEncoder(self.mode).frames([event])
        if asyncio.get_running_loop() is loop:
            await socket.send(text)
        else:
            future = asyncio.run_coroutine_threadsafe(socket.send(text), loop)
            # Not for ever: the loop may be blocked by the very call that this is part of.
            await asyncio.wait({asyncio.wrap_future(future)}, timeout=LOOP_BLOCKED_AFTER)


def _current_socket_and_loop() -> tuple[Websocket, asyncio.AbstractEventLoop]:
    return unwrap_proxy(websocket), asyncio.get_running_loop()


class _CloseSessionError(Exception):
    """Ends the session with this close code.

    Args:
        code: The close code of RFC 6455.
        reason: Why, for the client's developer.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocketSession:
    """Serves the current WebSocket: every message is a turn, and turns are answered in order.

    It ends when the client leaves, or with one of these close codes:

    ==== =====================================================================================
    1008 too many turns are queued; the client was silent for too long, or does not read
    1009 a message is too long
    1011 the server failed outside of any run
    1012 the server is shutting down
    1013 too many runs are live; the turn was refused
    ==== =====================================================================================

    Args:
        open_run: Makes the run for a message.
        settings: The app's: how long and how many messages may be, how long the client may be
            silent, and after how long a silence of ours it gets a `ping`.
        protocol: How messages are parsed and events encoded.
    """

    def __init__(self, open_run: OpenRun, *, settings: Settings, protocol: RouteProtocol) -> None:
        self._open_run = open_run
        self._settings = settings
        self._protocol = protocol
        self._turns: deque[Run] = deque()  # the first one is in progress
        self._turn_arrived = asyncio.Event()
        self._closing: asyncio.Future[_CloseSessionError]
        self._closing = asyncio.get_running_loop().create_future()
        self._is_shutting_down = False
        self._last_received_at = time.monotonic()
        self._connection = current_connection()

    async def serve(self) -> None:
        """Accept the connection and serve it until either side ends it."""
        raise_if_cancelled()
        await websocket.accept()
        if self._connection is not None and self._connection.closed_by_server:
            self.force_disconnect()
        registry = current_registry() or RunRegistry()
        with registry.session(self):
            receiver = asyncio.create_task(self._receive())
            sender = asyncio.create_task(self._send())
            try:
                sides: set[asyncio.Future[Any]] = {receiver, sender, self._closing}
                await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
                closing = self._closing_after(receiver, sender)
                sender.cancel()
                await asyncio.wait({sender})
                await self._close(closing, receiver)
            finally:
                receiver.cancel()
                sender.cancel()
                await asyncio.gather(receiver, sender, return_exceptions=True)

    def shut_down(self) -> None:
        """End the session with code 1012: at once, or after the turns that are waiting."""
        self._is_shutting_down = True
        self._turn_arrived.set()

    def force_disconnect(self) -> None:
        """End the session now, whatever the client does."""
        if self._connection is not None:
            self._connection.force_disconnect()

    # -- the receiver ----------------------------------------------------------------------

    async def _receive(self) -> None:
        """Take messages, also after the close frame: what is not read would pile up."""
        while True:
            frame = await websocket.receive()
            self._last_received_at = time.monotonic()
            if not self._closing.done():
                try:
                    self._take(frame)
                except _CloseSessionError as closing:
                    self._closing.set_result(closing)

    def _take(self, frame: str | bytes | None) -> None:
        limit = self._settings.max_message_bytes
        if _size_of(frame) > limit:
            raise _CloseSessionError(1009, f"send no more than {limit} bytes at once")
        run = self._run_for(frame)
        if run is not None:
            if len(self._turns) > self._settings.max_queued_turns:
                raise _CloseSessionError(1008, "too many queued turns")
            self._turns.append(run)
            self._turn_arrived.set()

    def _run_for(self, frame: str | bytes | None) -> Run | None:
        """Return the run that answers `frame`, or None where it asks no question."""
        try:
            message = self._protocol.parse_message(frame)
            if message is ClientSignal.STOP:
                self._stop()
            return None if isinstance(message, ClientSignal) else self._open_run(message)
        except Exception as error:  # noqa: BLE001  # whatever it is, the run logs and answers it
            return self._refusal(error)

    def _refusal(self, error: Exception) -> Run:
        """Make a run that fails with `error`: so a bad message is answered in its turn."""
        run = Run(EventStream(), lambda: asyncio.sleep(0))
        run.refuse(error)
        return run

    def _stop(self) -> None:
        if self._turns:
            self._turns[0].stop()

    # -- the sender ------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._wait_for_turn()
            run = self._turns[0]
            await _answer(run, self._protocol.new_encoder())
            self._turns.popleft()
            self._last_received_at = time.monotonic()
            if run.refusal == ServerBusyError.code and not self._is_shutting_down:
                raise _CloseSessionError(1013, "too many runs are live now: try again later")

    async def _wait_for_turn(self) -> None:
        while not self._turns:
            if self._is_shutting_down:
                raise _CloseSessionError(1012, SHUTTING_DOWN)
            self._turn_arrived.clear()
            try:
                async with asyncio.timeout(self._check_interval()):
                    await self._turn_arrived.wait()
            except TimeoutError:
                await self._ping_or_close()

    def _check_interval(self) -> float | None:
        limits = (self._settings.heartbeat, self._settings.idle_timeout)
        return min((limit for limit in limits if limit is not None), default=None)

    async def _ping_or_close(self) -> None:
        silence = time.monotonic() - self._last_received_at
        idle = self._settings.idle_timeout
        if idle is not None and silence >= idle:
            raise _CloseSessionError(1008, f"no word and no pong for {idle:g} seconds")
        if self._settings.heartbeat is not None:
            for frame in self._protocol.new_encoder().frames([events.ping()]):
                await websocket.send(frame)

    # -- the end ---------------------------------------------------------------------------

    def _closing_after(
        self, receiver: asyncio.Task[None], sender: asyncio.Task[None]
    ) -> _CloseSessionError:
        """Return the close code, or raise what tells Quart that the client has left."""
        if self._closing.done():
            return self._closing.result()
        side = sender if sender.done() else receiver
        error = None if side.cancelled() else side.exception()
        if isinstance(error, _CloseSessionError):
            return error
        if side.cancelled():
            return _CloseSessionError(1008, "the client does not read")
        raise_disconnect(error)
        logger.error("a WebSocket session failed", exc_info=error)
        return _CloseSessionError(1011, "internal error")

    async def _close(self, closing: _CloseSessionError, receiver: asyncio.Task[None]) -> None:
        """Send the close frame, and read on until the client has answered it.

        Were the connection cut before, the client could lose the last frames: TCP resets what
        is cut while there is something to read.
        """
        if not self._closing.done():
            self._closing.set_result(closing)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await websocket.close(closing.code, closing.reason)
                await asyncio.wait({receiver})
        except TimeoutError:
            self.force_disconnect()


def _size_of(frame: str | bytes | None) -> int:
    return len(frame.encode("utf-8", "replace") if isinstance(frame, str) else frame or b"")
