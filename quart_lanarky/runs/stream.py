"""The stream of one run: events in from anywhere, events out to one reader.

::

    a handler, on any thread or loop ──send()──▶ EventStream ──batches()──▶ the transport

Everything that decides how a stream lives and ends is in this file:

========== ============================= =============================================
state      entered by                    `send` then
========== ============================= =============================================
OPEN       creation                      waits while the buffer is full
FINISHED   ``finish(*last)``, the run    discards; the reader still gets all, and `last`
ABANDONED  ``abandon()``, the reader     discards; there is no reader any more
========== ============================= =============================================

The end is a state and not an item in the buffer (rule 2: termination is state), so that a full
buffer can always be closed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from enum import Enum
from math import inf
from typing import Protocol

from ..events import COMPLETION, INTERRUPT, Event

__all__ = ["DEFAULT_BUFFER_EVENTS", "DEFAULT_FLUSH_INTERVAL", "EventSink", "EventStream"]

DEFAULT_BUFFER_EVENTS = 256
DEFAULT_FLUSH_INTERVAL = 0.01

MAX_BUFFERED_CHARACTERS = 2**18
"""How much text may wait for the reader: a bound on events alone is none on memory (rule 3: the
producer waits, and memory per run is bounded)."""

MOST_OVERFULL = 16
"""How many times as much may wait as the stream holds, if code writes that cannot wait."""

WIDEST_WINDOW = 0.05
"""Seconds that tokens wait at most for each other while the event loop lags behind."""

LAGS_PER_WINDOW = 10
"""How much wider than the loop's lag the window is: a write costs as much as many tokens."""

EVENTS_PER_TURN = 16
"""After how many events a producer that never suspends lets others have their turn."""

LOOP_BLOCKED_AFTER = 1.0
"""Seconds without an answer after which another thread takes the reader's loop for blocked."""

_POLL = 0.005


class EventSink(Protocol):
    """Where a handler sends its events: an `EventStream`, or straight to a WebSocket."""

    async def send(self, event: Event, /) -> None:
        """Take `event`, waiting while there is no room for it."""


class _State(Enum):
    OPEN = "open"
    FINISHED = "finished"
    ABANDONED = "abandoned"


class EventStream:
    """A bounded stream of events with one producing and one reading side.

    `send` works from any thread and any event loop, because LangChain calls handlers from
    both. All other methods belong to the loop of the reader.

    Args:
        max_events: How many events may wait for the reader before `send` waits.
        flush_interval: The flush window in seconds: the first event of a burst leaves at
            once, those that follow within the window leave together. While the
            event loop lags behind, the window is wider, unless it is 0.

    Attributes:
        tokens: How many `completion` events were sent into it.
        first_token_at: When the first of them was, on the clock of `time.monotonic`.
        mode: How its tokens are encoded; a handler used by hand sets it.
        is_interrupted: Whether an `interrupt` event was sent into it: its graph waits.
    """

    def __init__(
        self,
        *,
        max_events: int = DEFAULT_BUFFER_EVENTS,
        flush_interval: float = DEFAULT_FLUSH_INTERVAL,
    ) -> None:
        self._max_events = max_events
        self._window = _Window(flush_interval)
        self.tokens = 0
        self.mode: str | None = None
        self.is_interrupted = False
        self.first_token_at: float | None = None
        self._events: deque[Event] = deque()
        self._characters = 0
        self._came_at = 0.0  # when the first event of the next batch came
        self._last: tuple[Event, ...] = ()
        self._state = _State.OPEN
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arrived = asyncio.Event()  # there is an event, or an end, to read
        self._room = asyncio.Event()  # the buffer was emptied, or there is no reader any more
        self._pressing = asyncio.Event()  # waiting for the window would gain nothing
        self._answered = threading.Event()  # the loop ran since another thread last asked
        self._answered.set()
        self._asked_at = 0.0

    # -- both sides ------------------------------------------------------------------------

    def open(self) -> None:
        """Bind the stream to the running loop, on which it will be read.

        Called by the run before its producer starts; a stream may be created anywhere.
        """
        self._loop = asyncio.get_running_loop()
        if self._events:
            self._arrived.set()

    @property
    def is_open(self) -> bool:
        """Whether events sent now still reach the reader."""
        return self._state is _State.OPEN

    def _is_full(self) -> bool:
        is_much = (
            len(self._events) >= self._max_events or self._characters >= MAX_BUFFERED_CHARACTERS
        )
        return is_much and self.is_open

    # -- the producing side ----------------------------------------------------------------

    async def send(self, event: Event, /) -> None:
        """Put `event` into the stream; wait while it is full.

        Once the stream has ended the event is discarded: it comes from a thread that could
        not be killed.
        """
        if asyncio.get_running_loop() is not self._loop:
            await self._send_from_afar(event)
            return
        while self._is_full():
            self._room.clear()
            await self._room.wait()
        if not self.is_open:
            # A producer that never suspends would never notice that it was cancelled.
            await asyncio.sleep(0)
            return
        self._put(event)
        self._arrived.set()
        if self._is_full():
            self._pressing.set()
        if len(self._events) % EVENTS_PER_TURN == 0:
            await asyncio.sleep(0)

    async def _send_from_afar(self, event: Event) -> None:
        """Send from another thread's loop, where the reader's asyncio objects must not be used.

        The reader's loop may be blocked by the very call that we are part of (a synchronous
        ``invoke`` in a coroutine). Waiting for it would then hang the process, so the bound
        is given up for as long as that loop does not answer.
        """
        while self._is_full() and not self._loop_is_blocked():  # noqa: ASYNC110  # two loops
            await asyncio.sleep(_POLL)
        if self.is_open:
            self._put(event)
            self._call_on_loop(self._arrived)

    def put(self, event: Event, /) -> None:
        """Put `event` into the stream from code on an event loop that cannot wait for room.

        Raises:
            BufferError: The stream is fuller than such code may make it.
        """
        if not self.is_open:
            return
        if (
            len(self._events) >= MOST_OVERFULL * self._max_events
            or self._characters >= MOST_OVERFULL * MAX_BUFFERED_CHARACTERS
        ):
            raise BufferError(
                "more was written at once than may wait for the client: write less, or await "
                "something between, such as asyncio.sleep"
            )
        self._put(event)
        self._call_on_loop(self._arrived)

    def _put(self, event: Event) -> None:
        if event.name == COMPLETION:
            self.tokens += 1
            if self.first_token_at is None:
                self.first_token_at = time.monotonic()
        elif event.name == INTERRUPT:
            self.is_interrupted = True
        if not self._events:
            self._came_at = time.monotonic()
        self._characters += event.size
        self._events.append(event)

    def _loop_is_blocked(self) -> bool:
        now = time.monotonic()
        if self._answered.is_set():
            self._asked_at = now
            self._answered.clear()
            self._call_on_loop(self._answered)
        return now - self._asked_at > LOOP_BLOCKED_AFTER

    def _call_on_loop(self, flag: asyncio.Event | threading.Event) -> None:
        with suppress(RuntimeError):  # the loop is closed, and so is the app
            if self._loop is not None:
                self._loop.call_soon_threadsafe(flag.set)

    def finish(self, *last: Event) -> None:
        """End the stream: the reader gets what is buffered, then `last`; the first call counts."""
        if self.is_open:
            self._last = last
            self._end(_State.FINISHED)

    # -- the reading side ------------------------------------------------------------------

    async def batches(self, *, heartbeat: float | None = None) -> AsyncIterator[list[Event]]:
        """Yield the events, those that are ready together as one list, until the end.

        What becomes of the stream when the iteration is left is for its reader's registry to say.

        Args:
            heartbeat: Yield an empty list whenever there was no event for so many seconds.
        """
        pulse = _Pulse(heartbeat, self._arrived)
        try:
            while True:
                # Suspends in every round, for only the loop can raise the flag again: a reader
                # that never suspends could not be cancelled, and would starve all others.
                asked_at = time.monotonic()
                await self._arrived.wait()
                await self._window.wait(self._pressing)
                finished = self._state is _State.FINISHED  # asked before the buffer is emptied
                batch = self._take()
                if finished:
                    batch += self._last
                if batch:
                    self._window.begin(max(asked_at, self._came_at))
                if batch or pulse.is_due():
                    yield batch
                    pulse.rest()
                if finished or self._state is _State.ABANDONED:
                    return
        finally:
            pulse.stop()

    def _take(self) -> list[Event]:
        """Empty the buffer, one by one: another thread may append meanwhile."""
        if self.is_open:  # the flags of a stream that has ended stay up
            self._arrived.clear()
            self._pressing.clear()
        batch = [self._events.popleft() for _ in range(len(self._events))]
        self._characters = 0  # or too few, for a moment: never too many, which would not pass
        self._room.set()
        return batch

    def abandon(self) -> None:
        """Stop reading: what is buffered is dropped, and producers that wait go on."""
        if self._state is not _State.ABANDONED:
            self._end(_State.ABANDONED)
            self._events.clear()

    def _end(self, state: _State) -> None:
        self._state = state
        self._arrived.set()
        self._room.set()
        self._pressing.set()


class _Window:
    """Holds back what follows a batch, so that one write is made of many events.

    Where the loop has more to do than it can, each write that is saved makes it lag less. That it
    lags is seen by how late a batch is taken; a single time may be chance.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._opens_at = 0.0  # the first batch leaves at once
        self._last_lag = 0.0

    async def wait(self, pressing: asyncio.Event) -> None:
        """Wait until the window is over, or waiting any longer would gain nothing."""
        delay = self._opens_at - time.monotonic()
        if delay > 0 and not pressing.is_set():
            timer = asyncio.get_running_loop().call_later(delay, pressing.set)
            try:
                await pressing.wait()
            finally:
                timer.cancel()

    def begin(self, ready_at: float) -> None:
        """Begin anew: a batch was taken that could have been at `ready_at`, or when it opened."""
        now = time.monotonic()
        lag = now - max(ready_at, self._opens_at)
        steady_lag = min(lag, self._last_lag)
        self._last_lag = lag
        widened = min(LAGS_PER_WINDOW * steady_lag, WIDEST_WINDOW) if self._interval else 0
        self._opens_at = now + max(self._interval, widened)


class _Pulse:
    """Raises a flag when nothing was sent for a while: one timer, however many events there are."""

    def __init__(self, interval: float | None, flag: asyncio.Event) -> None:
        self._interval = interval or inf
        self._flag = flag
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.rest()
        if interval is not None:
            self._timer = self._loop.call_at(self._due_at, self._beat)

    def rest(self) -> None:
        """Count anew: something was sent."""
        self._due_at = self._loop.time() + self._interval

    def is_due(self) -> bool:
        """Tell whether nothing was sent for the whole interval."""
        return self._loop.time() >= self._due_at

    def stop(self) -> None:
        """Raise the flag no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        if self.is_due():
            self._flag.set()
            again_at = self._loop.time() + self._interval
        else:
            again_at = self._due_at
        self._timer = self._loop.call_at(again_at, self._beat)
