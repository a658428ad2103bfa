"""Send events from code that cannot await: what a tool or a node calls to say something."""

from __future__ import annotations

import asyncio

from ....events import Event
from ....runs.stream import EventSink, EventStream

__all__ = ["SyncSender"]


class SyncSender:
    """Sends the events of one handler in their order, from code that can await and that cannot.

    Args:
        sink: Where they go.
    """

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._unsent: set[asyncio.Task[None]] = set()

    async def send(self, event: Event) -> None:
        """Send `event` after all that were given to `send_soon` before."""
        loop = asyncio.get_running_loop()
        if earlier := [task for task in self._unsent if task.get_loop() is loop]:
            await asyncio.wait(earlier)
        await self._sink.send(event)

    def send_soon(self, event: Event) -> None:
        """Send `event`; a thread waits for a slow client, and a coroutine cannot.

        Raises:
            BufferError: Far more waits for the client than may.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # in a thread
            asyncio.run(self._sink.send(event))
            return
        if isinstance(self._sink, EventStream):
            self._sink.put(event)
        else:
            task = loop.create_task(self._send(event))
            self._unsent.add(task)
            task.add_done_callback(self._unsent.discard)

    async def _send(self, event: Event) -> None:
        await self._sink.send(event)
