"""Admission of runs: how many there may be, and what is logged and signalled of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from blinker import NamedSignal
from quart import Quart, current_app, has_app_context, has_websocket_context, request, websocket

from ..events import Outcome
from ..runs.failures import ErrorTable
from ..runs.registry import Reader, RunRegistry
from ..runs.run import Run
from ..runs.signals import RunReport, publish, run_cancelled, run_failed, run_finished, run_started
from ..settings import EXTENSION_KEY, Settings, current_settings
from .connection import unwrap_proxy

__all__ = [
    "Transport",
    "current_owner_function",
    "current_registry",
    "hold_slot",
    "register_run",
    "reserve_session",
    "reserve_slot",
]

logger = logging.getLogger("quart_lanarky.runs")

Transport = Literal["sse", "json", "websocket"]


_SIGNALS: Final[dict[Outcome, NamedSignal]] = {
    "finished": run_finished,
    "interrupted": run_finished,
    "failed": run_failed,
    "cancelled": run_cancelled,
}


@dataclass(frozen=True)
class _Watcher:
    """Bounds one run, logs it, and sends its signals to the app."""

    registry: RunRegistry
    app: Quart
    settings: Settings
    route: str | None
    transport: Transport

    @property
    def timeout(self) -> float | None:
        return self.settings.run_timeout

    def started(self, run: Run) -> None:
        with suppress(Exception):  # logging handlers may raise (disk full); answer all the same
            publish(run_started, self.app, RunReport(run.id, self.route, self.transport))

    def ended(self, run: Run) -> None:
        self.registry.remove(run)
        for call in run.thread_calls.abandon():
            _hold_slot(self.registry, asyncio.wrap_future(call))
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
            outcome=run.outcome,
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


class _Extension(Protocol):
    """What is needed here of the extension."""

    registry: RunRegistry
    error_table: ErrorTable
    owner: Callable[[Any], Any] | None


def _current_extension() -> _Extension | None:
    if not has_app_context() or EXTENSION_KEY not in current_app.extensions:
        return None
    extension: _Extension = current_app.extensions[EXTENSION_KEY]
    return extension


def current_registry() -> RunRegistry | None:
    """Return the registry of the current app; None if that has no extension."""
    extension = _current_extension()
    return None if extension is None else extension.registry


def current_owner_function() -> Callable[[Any], Any] | None:
    """Return the function `owner=` of the current app's extension, if it has one."""
    extension = _current_extension()
    return None if extension is None else extension.owner


def register_run(run: Run, transport: Transport) -> Reader:
    """Count `run` among the live runs of the current app, if that has the extension.

    Returns:
        Its reader: the run starts when that is entered.

    Raises:
        ServerBusyError: There are too many, or the server is shutting down.
    """
    extension = _current_extension()
    if extension is None:
        return RunRegistry().read(run)
    registry, settings = extension.registry, current_settings()
    run.describe_own_error = extension.error_table.describe
    registry.add(run, settings.max_runs)
    app = unwrap_proxy(current_app)
    rule = websocket.url_rule if has_websocket_context() else request.url_rule
    run.watch(_Watcher(registry, app, settings, None if rule is None else rule.rule, transport))
    return registry.read(run, heartbeat=settings.heartbeat)


def reserve_session(settings: Settings) -> AbstractContextManager[None]:
    """Count a WebSocket, from its handshake on; a context manager.

    Entering it raises ServerBusyError if there are too many, or the server is shutting down.
    """
    registry = current_registry()
    return nullcontext() if registry is None else registry.reserve_session(settings.max_sessions)


@asynccontextmanager
async def reserve_slot(settings: Settings) -> AsyncIterator[None]:
    """Count a run whose chain is being made, before anything costly is done.

    Raises:
        ServerBusyError: There are too many, or the server is shutting down.
    """
    registry = current_registry()
    if registry is None:
        yield
        return
    async with registry.reserve(settings.max_runs):
        yield


def hold_slot(work: asyncio.Future[Any]) -> None:
    """Count `work` of the current request, which could not be stopped, until it is done."""
    _hold_slot(current_registry(), work)


def _hold_slot(registry: RunRegistry | None, work: asyncio.Future[Any]) -> None:
    work.add_done_callback(_log_failure)
    if registry is not None:
        registry.hold_slot(work)


def _log_failure(work: asyncio.Future[Any]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        logger.warning("what went on after its client had left has failed", exc_info=error)
