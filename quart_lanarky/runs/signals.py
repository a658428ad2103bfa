"""Signals that tell an app of its runs, for its metrics, traces and bills.

They are blinker's, as Quart's own signals are. The sender is the app, the argument `run` a
`RunReport`::

    @run_finished.connect
    def count(app, run):
        TOKENS.labels(run.route).inc(run.tokens)

A receiver is called in the event loop, between the tokens of others: it should be quick. One
that is ``async def`` runs as a task of its own. What a receiver raises is logged, and harms
neither the run nor the other receivers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from inspect import iscoroutine
from typing import Any, Final
from uuid import UUID

from blinker import NamedSignal, Namespace
from pydantic import JsonValue

from ..events import Outcome

__all__ = ["RunReport", "publish", "run_cancelled", "run_failed", "run_finished", "run_started"]

logger = logging.getLogger(__name__)

_signals = Namespace()

run_started: NamedSignal = _signals.signal("run-started")
"""A run has begun."""

run_finished: NamedSignal = _signals.signal("run-finished")
"""A run has ended: with its answer, or at an interrupt."""

run_failed: NamedSignal = _signals.signal("run-failed")
"""A run has ended in an error, or took too long."""

run_cancelled: NamedSignal = _signals.signal("run-cancelled")
"""A run was ended: by its client, who stopped it or left, or by shutdown."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What there is to tell of a run. No prompt and no answer is in it.

    Attributes:
        run_id: The run's id: in the `end` event, in the log, and LangChain's `run_id`.
        route: The URL rule of the route, such as `/qa`; None outside of one.
        transport: `"sse"`, `"json"` or `"websocket"`.
        duration: How many seconds it took; 0 when it has only begun.
        tokens: How many `completion` events it had, those that were taken back included. A
            model that does not stream sends its whole answer as one.
        time_to_first_token: Seconds until the first of them; None without one.
        usage: What the model said of the cost, such as `input_tokens`; None if nothing.
        reason: Why it did not finish, in a few words; None if it did.
        outcome: `"finished"`, `"interrupted"`, `"cancelled"` or `"failed"`; None when it has only
            begun.
    """

    run_id: UUID
    route: str | None
    transport: str
    duration: float = 0.0
    tokens: int = 0
    time_to_first_token: float | None = None
    usage: dict[str, JsonValue] | None = None
    reason: str | None = None
    outcome: Outcome | None = None


_tasks: Final[set[asyncio.Task[Any]]] = set()  # the loop itself holds on to none


def publish(signal: NamedSignal, app: object, run: RunReport) -> None:
    """Call the receivers of `signal`; the coroutines that they give run on as tasks."""
    for receiver in signal.receivers_for(app):
        try:
            result = receiver(app, run=run)
        except Exception:
            with suppress(Exception):  # logging handlers may raise (disk full)
                logger.exception("a receiver of %s raised", signal.name)
        else:
            if iscoroutine(result):
                _run_on(signal.name, result)


def _run_on(name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
    async def guarded() -> None:
        try:
            await coroutine
        except Exception:
            with suppress(Exception):
                logger.exception("a receiver of %s raised", name)

    task = asyncio.get_running_loop().create_task(guarded())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
