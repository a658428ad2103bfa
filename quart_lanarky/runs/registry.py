"""The live runs of a process: how many may be live, and how they are drained.

This registry is all that lives on the extension. A run is live from the moment on that its
transport registers it until its reader is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, Protocol

from ..errors import ServerBusyError
from .cancellation import CancelGroup, WaitCancelledError
from .run import SHUTTING_DOWN, Run

__all__ = ["RunRegistry", "Session"]

SHUTDOWN_FLUSH_TIMEOUT: Final = 0.3
"""Seconds in which clients get to read the end of runs that a shutdown has cut short."""


class Session(Protocol):
    """A connection that outlives its runs."""

    def shut_down(self) -> None:
        """End it after the run in progress."""

    def force_disconnect(self) -> None:
        """End it now."""


class RunRegistry:
    """What goes on in a process, on one event loop."""

    def __init__(self) -> None:
        self.is_draining = False
        self._runs: set[Run] = set()
        self._sessions: set[Session] = set()
        self._reservations = CancelGroup()  # runs to be, whose chains are being made
        self._waiting: set[asyncio.Event] = set()

    @property
    def count(self) -> int:
        """How many runs are live, and how many are about to be."""
        return len(self._runs) + self._reservations.count

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

    def add(self, run: Run, limit: int | None) -> None:
        """Count `run`, which is about to start."""
        self.check_capacity(limit)
        self._runs.add(run)

    def discard(self, run: Run) -> None:
        """Count `run` no more."""
        self._runs.discard(run)
        self._note_whether_empty()

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
        """Let nothing more in; return when all is over, after `timeout` seconds by force."""
        self.is_draining = True
        self._reservations.cancel()
        for session in list(self._sessions):
            session.shut_down()
        await self._wait_until_empty(timeout)
        for run in list(self._runs):
            run.shut_down()
        await self._wait_until_empty(SHUTDOWN_FLUSH_TIMEOUT)
        for run in list(self._runs):
            run.abort_delivery()
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
