"""The live runs of a process: how many may be live, who reads them, and how they are drained.

This registry is all that lives on the extension. It owns the runs. A reader is a response or a turn
of a WebSocket, and what its leaving means for the run is for a policy to say. The only one so far
is to cancel the run with its last reader (rule 4: a run lives only while somebody wants it).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final, Protocol

from ..errors import ServerBusyError
from ..events import Event
from .cancellation import CancelGroup, WaitCancelledError, raise_if_cancelled
from .run import SHUTTING_DOWN, Run
from .run_locks import RunLocks

__all__ = ["LeavePolicy", "Reader", "RunRegistry", "Session", "cancel_run"]

DELIVERY_TIMEOUT = 30.0
"""Seconds in which a reader has to take what is left of a run that has ended."""

SHUTDOWN_FLUSH_TIMEOUT: Final = 0.3
"""Seconds in which clients get to read the end of runs that a shutdown has cut short."""


class Session(Protocol):
    """A connection that outlives its runs."""

    def shut_down(self) -> None:
        """End it after the run in progress."""

    def force_disconnect(self) -> None:
        """End it now."""


LeavePolicy = Callable[[Run], Awaitable[None]]
"""The policy for a run that its last reader has left."""


async def cancel_run(run: Run) -> None:
    """Cancel a run without readers; return when it has ended."""
    run.stream.abandon()
    await run.close("the client left")


class Reader:
    """Reads the events of a run, for one response or one turn of a WebSocket.

    An async context manager: entering starts the run, if it was not started yet, and gives the
    batches of its events, among them an empty one for each heartbeat.

    Args:
        run: The run.
        registry: The registry that owns it.
        heartbeat: After how many seconds of silence there is an empty batch; None for never.
    """

    def __init__(self, run: Run, registry: RunRegistry, heartbeat: float | None = None) -> None:
        self.run = run
        self._registry = registry
        self._heartbeat = heartbeat
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> AsyncIterator[list[Event]]:
        """Start the run, and return its batches of events."""
        try:
            raise_if_cancelled()
        except asyncio.CancelledError:
            self.discard_unstarted()
            raise
        self._task = asyncio.current_task()
        self._registry.attach(self)
        self.run.start()
        return self.run.stream.batches(heartbeat=self._heartbeat)

    async def __aexit__(self, *_: object) -> None:
        """Leave the run: it was read to its end, or the client is gone."""
        try:
            await self._registry.detach(self)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._task = self._timer = None

    def discard_unstarted(self) -> None:
        """Give the place of the run back: the run is never read."""
        self.run.discard_unstarted()

    def abort(self) -> None:
        """Cancel the task that reads: its client does not take the rest."""
        if self._task is not None:
            self._task.cancel()

    def limit_delivery(self) -> None:
        """Bound the time in which it reads what is left: the run has ended."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(DELIVERY_TIMEOUT, self.abort)


class RunRegistry:
    """The runs of a process and their readers, on one event loop.

    Args:
        on_left: The policy for a run that its last reader has left.

    Attributes:
        locks: What the runs of one thread take in turn.
    """

    def __init__(self, on_left: LeavePolicy = cancel_run) -> None:
        self._on_left = on_left
        self._readers: dict[Run, list[Reader]] = {}
        self.is_draining = False
        self.locks = RunLocks()
        self._runs: set[Run] = set()
        self._sessions: set[Session] = set()
        self._session_slots = 0
        self._reservations = CancelGroup()  # runs to be, whose chains are being made
        self._abandoned: set[asyncio.Future[Any]] = set()  # work that goes on without a client
        self._waiting: set[asyncio.Event] = set()

    @property
    def count(self) -> int:
        """How many runs are live, are about to be, or left work behind that goes on."""
        return len(self._runs) + self._reservations.count + len(self._abandoned)

    # -- letting in ------------------------------------------------------------------------

    def check_capacity(self, limit: int | None) -> None:
        """Raise ServerBusyError unless one more run may begin."""
        if self.is_draining:
            raise ServerBusyError(SHUTTING_DOWN)
        if limit is not None and self.count >= limit:
            raise ServerBusyError("too many runs are live now: try again later")

    @asynccontextmanager
    async def reserve(self, limit: int | None) -> AsyncIterator[None]:
        """Count a run whose chain is being made, and end that when the server is shut down."""
        self.check_capacity(limit)
        try:
            async with self._reservations.scope():
                yield
        except WaitCancelledError as error:
            raise ServerBusyError(SHUTTING_DOWN) from error

    def hold_slot(self, work: asyncio.Future[Any]) -> None:
        """Count `work` until it is done: its client has left, and it could not be stopped."""
        self._abandoned.add(work)
        work.add_done_callback(self._abandoned.discard)

    def add(self, run: Run, limit: int | None) -> None:
        """Count `run`, which is about to start."""
        self.check_capacity(limit)
        self._runs.add(run)

    def remove(self, run: Run) -> None:
        """Count `run` no more."""
        self._runs.discard(run)
        self._note_whether_empty()

    # -- readers ---------------------------------------------------------------------------

    def read(self, run: Run, *, heartbeat: float | None = None) -> Reader:
        """Return a reader for `run`."""
        return Reader(run, self, heartbeat)

    def attach(self, reader: Reader) -> None:
        """Note that `reader` has begun to read."""
        if reader.run not in self._readers:
            self._readers[reader.run] = []
            reader.run.on_end(partial(self._note_end, reader.run))
        self._readers[reader.run].append(reader)
        if reader.run.outcome is not None:
            reader.limit_delivery()

    async def detach(self, reader: Reader) -> None:
        """Note that `reader` has left; if it was the last one, the policy decides about the run."""
        others = self._readers[reader.run]
        others.remove(reader)
        if not others:
            del self._readers[reader.run]
            await self._on_left(reader.run)

    def _note_end(self, run: Run) -> None:
        for reader in self._readers.get(run, ()):
            reader.limit_delivery()

    # -- sessions --------------------------------------------------------------------------

    @contextmanager
    def reserve_session(self, limit: int | None) -> Iterator[None]:
        """Count a connection from its handshake to its end.

        Raises:
            ServerBusyError: There are too many, or the server is shutting down.
        """
        if self.is_draining:
            raise ServerBusyError(SHUTTING_DOWN)
        if limit is not None and self._session_slots >= limit:
            raise ServerBusyError("too many WebSockets are open now: try again later")
        self._session_slots += 1
        try:
            yield
        finally:
            self._session_slots -= 1

    @contextmanager
    def session(self, session: Session) -> Iterator[None]:
        """Tell `session` when the server is shut down."""
        self._sessions.add(session)
        if self.is_draining:
            session.shut_down()
        try:
            yield
        finally:
            self._sessions.discard(session)
            self._note_whether_empty()

    # -- draining --------------------------------------------------------------------------

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  # the runs get an `end`
        """Refuse new runs; return when all have ended, after `timeout` seconds by force."""
        self.is_draining = True
        self._reservations.cancel()
        for session in list(self._sessions):
            session.shut_down()
        await self._wait_until_empty(timeout)
        for run in list(self._runs):
            run.shut_down()
        await self._wait_until_empty(SHUTDOWN_FLUSH_TIMEOUT)
        for reader in [each for readers in self._readers.values() for each in readers]:
            reader.abort()
        for session in list(self._sessions):
            session.force_disconnect()

    async def _wait_until_empty(self, seconds: float) -> None:
        emptied = asyncio.Event()
        self._waiting.add(emptied)
        self._note_whether_empty()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await emptied.wait()
        self._waiting.discard(emptied)

    def _note_whether_empty(self) -> None:
        if not self._runs and not self._sessions:
            for emptied in self._waiting:
                emptied.set()
