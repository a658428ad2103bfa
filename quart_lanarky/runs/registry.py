"""The live runs of a process: how many are let in, what is told of them, how they are drained.

This registry is all that lives on the extension. A run is live from the moment on that its
transport takes it (`register_run`) until its reader is done with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from blinker import NamedSignal
from quart import Quart, current_app, has_app_context, has_websocket_context, request, websocket

from ..errors import ServerBusyError
from ..settings import EXTENSION_KEY, Settings, current_settings
from .cancellation import CancelGroup, WaitCancelledError
from .run import SHUTTING_DOWN, Outcome, Run
from .signals import RunReport, publish, run_cancelled, run_failed, run_finished, run_started

__all__ = [
    "RunRegistry",
    "Session",
    "Transport",
    "current_registry",
    "register_run",
    "reserve_slot",
]

logger = logging.getLogger("quart_lanarky.runs")

Transport = Literal["sse", "json", "websocket"]

SHUTDOWN_FLUSH_TIMEOUT: Final = 0.3
"""Seconds in which clients get to read the end of runs that a shutdown has cut short."""

_SIGNALS: Final[dict[Outcome, NamedSignal]] = {
    "finished": run_finished,
    "failed": run_failed,
    "cancelled": run_cancelled,
}


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


@dataclass(frozen=True)
class _Watcher:
    """What is bounded, logged and told of one run."""

    live: RunRegistry
    app: Quart
    settings: Settings
    route: str | None
    transport: Transport

    @property
    def timeout(self) -> float | None:
        return self.settings.run_timeout

    @property
    def heartbeat(self) -> float | None:
        return self.settings.heartbeat

    def started(self, run: Run) -> None:
        with suppress(Exception):  # a log that is full raises: that is no reason not to answer
            publish(run_started, self.app, RunReport(run.id, self.route, self.transport))

    def ended(self, run: Run) -> None:
        self.live.discard(run)
        if run.outcome is not None:
            with suppress(Exception):
                publish(_SIGNALS[run.outcome], self.app, self._report(run))
                self._log(run)

    def _report(self, run: Run) -> RunReport:
        return RunReport(
            run_id=run.id,
            route=self.route,
            transport=self.transport,
            duration=run.duration,
            tokens=run.stream.tokens,
            time_to_first_token=run.time_to_first_token,
            usage=run.usage,
            reason=run.reason,
        )

    def _log(self, run: Run) -> None:
        """Write one line for the run, with no word of a prompt or an answer in it."""
        first = run.time_to_first_token
        logger.info(
            "run %s %s%s: route %s, %s, %d tokens in %.3f s%s, usage %s",
            run.id,
            run.outcome,
            f" ({run.reason})" if run.reason else "",
            self.route,
            self.transport,
            run.stream.tokens,
            run.duration,
            "" if first is None else f", the first after {first:.3f} s",
            run.usage,
        )


def current_registry() -> RunRegistry | None:
    """Return the registry of the current app; None if that has no extension."""
    if not has_app_context() or EXTENSION_KEY not in current_app.extensions:
        return None
    live: RunRegistry = current_app.extensions[EXTENSION_KEY].registry
    return live


def register_run(run: Run, transport: Transport) -> None:
    """Count `run` among the live runs of the current app, if that has the extension.

    Raises:
        ServerBusyError: There are too many, or the server is shutting down.
    """
    live = current_registry()
    if live is None:
        return
    settings = current_settings()
    live.add(run, settings.max_runs)
    app: Quart = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    rule = websocket.url_rule if has_websocket_context() else request.url_rule
    run.watch(_Watcher(live, app, settings, None if rule is None else rule.rule, transport))


@asynccontextmanager
async def reserve_slot(settings: Settings) -> AsyncIterator[None]:
    """Count a run whose chain is being made, before anything costly is done.

    Raises:
        ServerBusyError: There are too many, or the server is shutting down.
    """
    live = current_registry()
    if live is None:
        yield
        return
    async with live.reserve(settings.max_runs):
        yield
