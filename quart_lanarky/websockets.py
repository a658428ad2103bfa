"""The WebSocket side: a session with one reader, one writer and a queue of turns between them.

::

    client ──frames──▶ reader ──runs──▶ queue of turns ──▶ writer ──frames──▶ client
                          └── {"event": "stop"} stops the oldest turn
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from quart import Websocket, has_websocket_context, websocket

from .events import Event, Mode
from .messages import STOP, parse_message
from .runs import Run
from .streams import LOOP_BLOCKED_AFTER, EventStream

__all__ = ["OpenRun", "WebSocketSession", "WebSocketSink", "answer", "encode"]

OpenRun = Callable[[dict[str, Any] | str], Run]
"""Makes the run that answers a message, a JSON object or a bare text; may raise InputError."""


def encode(event: Event) -> str:
    """Return `event` as the text of one frame: a JSON object of the event's name and data."""
    data = event.data if event.is_json else json.dumps(event.data)
    return f'{{"event": {json.dumps(event.name)}, "data": {data}}}'


async def answer(run: Run) -> None:
    """Run `run` and send its events on the current WebSocket, one frame each, until its end."""
    async with run:
        async for batch in run.stream.batches():
            for event in batch:
                await websocket.send(encode(event))


class WebSocketSink:
    """Sends events straight to the WebSocket of the current view.

    For handlers used by hand, in a view that talks to its WebSocket itself. Create it in the
    view: `send` then works from any thread and any event loop.
    """

    def __init__(self) -> None:
        self._home = _current_home() if has_websocket_context() else None

    async def send(self, event: Event, /) -> None:
        """Send `event` as one frame; wait while the client does not take it.

        Raises:
            RuntimeError: There is no current WebSocket, now or when the sink was created.
        """
        self._home = self._home or _current_home()
        socket, loop = self._home
        if asyncio.get_running_loop() is loop:
            await socket.send(encode(event))
        else:
            future = asyncio.run_coroutine_threadsafe(socket.send(encode(event)), loop)
            # Not for ever: the loop may be blocked by the call that we are part of.
            await asyncio.wait({asyncio.wrap_future(future)}, timeout=LOOP_BLOCKED_AFTER)


def _current_home() -> tuple[Websocket, asyncio.AbstractEventLoop]:
    # Quart types the proxy as what it stands for, and names no other way to get at that.
    socket: Websocket = websocket._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    return socket, asyncio.get_running_loop()


class WebSocketSession:
    """Serves the current WebSocket: every message is a turn, and turns are answered in order.

    Args:
        open_run: Makes the run for a message.
        max_queued_turns: How many turns may wait behind the one in progress; a client that
            sends more is disconnected with code 1008.
        mode: How the `end` event of a refused message travels.
    """

    def __init__(self, open_run: OpenRun, *, max_queued_turns: int, mode: Mode) -> None:
        self._open_run = open_run
        self._max_turns = max_queued_turns + 1
        self._mode: Mode = mode
        self._turns: deque[Run] = deque()  # the first one is in progress
        self._turn_arrived = asyncio.Event()

    async def serve(self) -> None:
        """Accept the connection and serve it until the client leaves."""
        await websocket.accept()
        tasks = [asyncio.create_task(side) for side in (self._read(), self._write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises what ended it
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        while True:
            run = self._run_for(await websocket.receive())
            if run is None:
                self._stop()
            elif len(self._turns) < self._max_turns:
                self._turns.append(run)
                self._turn_arrived.set()
            else:
                await websocket.close(1008, "too many queued turns")
                return

    def _run_for(self, frame: str | bytes | None) -> Run | None:
        """Return the run that answers `frame`, or None where the client wants to stop."""
        try:
            message = parse_message(frame)
            return None if message == STOP else self._open_run(message)
        except Exception as error:  # noqa: BLE001  # whatever it is, the run logs and answers it
            return self._refusal(error)

    async def _write(self) -> None:
        while True:
            await self._turn_arrived.wait()
            await answer(self._turns[0])
            self._turns.popleft()
            if not self._turns:
                self._turn_arrived.clear()

    def _refusal(self, error: Exception) -> Run:
        """Make a run that fails with `error`: so a bad message is answered in its turn."""

        async def refuse() -> None:
            raise error

        return Run(EventStream(), refuse, mode=self._mode)

    def _stop(self) -> None:
        if self._turns:
            self._turns[0].stop()
