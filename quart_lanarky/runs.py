"""A run: one task that produces into one stream; its failure, its cancellation and its end.

A transport owns the run that it sends, as an async context manager: entering starts the task,
leaving cancels it. So a run cannot outlive its reader (rule 4), and nothing is started that
nobody owns yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from pydantic import JsonValue

from . import events
from .errors import InputError
from .events import Event, Mode
from .streams import EventStream

__all__ = ["Produce", "Run"]

logger = logging.getLogger(__name__)

Produce = Callable[[], Awaitable[Any]]
"""Does the work of a run, sending events to its stream, and returns the run's result."""

CANCEL_TIMEOUT = 5.0
"""Seconds that a cancelled run gets to clean up before it is left to itself."""


class Run:
    """One call of a chain, from its start to its `end` event.

    Whatever `produce` does, the stream ends properly: with `end` when it returns, with `error`
    and `end` when it raises. The text of an exception goes to the log, under the run's id, and
    never to the client (rule 6); an `InputError` is about the client's own words and does.

    Args:
        stream: Where the events go.
        produce: Does the work. Called once, in the context (of contextvars) in which the run
            was created, so `quart.request` works in it.
        mode: How the `end` event travels.

    Attributes:
        id: The run's id: in the `end` event, in the log, and LangChain's `run_id`.
        result: What `produce` returned; None until then.
        failure: The `error` event that the run ended with, if it did.
        usage: The run's cost, for the `end` event; `produce` may set it.
    """

    def __init__(self, stream: EventStream, produce: Produce, *, mode: Mode = "json") -> None:
        self.id: UUID = uuid4()
        self.stream = stream
        self.result: Any = None
        self.failure: Event | None = None
        self.usage: dict[str, JsonValue] | None = None
        self._produce = produce
        self._mode: Mode = mode
        self._context = copy_context()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    async def __aenter__(self) -> Self:
        """Start the run."""
        self.stream.open()
        self._task = asyncio.create_task(self._main(), context=self._context)
        # Not at the end of the task's own code: cancelled early enough, a task runs none of it.
        self._task.add_done_callback(self._finish)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the run: its reader is gone, or has read it to the end."""
        self.stream.abandon()
        self.stop()
        if self._task is not None:
            _, pending = await asyncio.wait({self._task}, timeout=CANCEL_TIMEOUT)
            if pending:
                logger.warning("run %s ignores its cancellation and was left to itself", self.id)

    def stop(self) -> None:
        """Cancel the work, as the client asked; what was sent stays, and `end` follows.

        A run that has not started yet will end at once when it does.
        """
        self._stopped = True
        if self._task is not None:
            self._task.cancel()

    async def _main(self) -> None:
        if not self._stopped:
            self.result = await self._produce()

    def _finish(self, task: asyncio.Task[None]) -> None:
        """End the stream (rule 2), whatever has become of the task."""
        error = _error_of(task)
        if error is not None and not (self._stopped and isinstance(error, asyncio.CancelledError)):
            event = self._explain(error)
            # To who asked it to stop, how it stopped is no news.
            self.failure = None if self._stopped else event
        last = [] if self.failure is None else [self.failure]
        self.stream.finish(*last, events.end(self.id, self.usage, self._mode))

    def _explain(self, error: BaseException) -> Event:
        """Log `error` under the run's id; return what the client gets to know of it (rule 6)."""
        if isinstance(error, InputError):
            return events.error(400, error.detail)
        logger.error("run %s failed", self.id, exc_info=error)
        return events.error(500, "Internal Server Error")


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    try:
        return task.exception()
    except asyncio.CancelledError as cancelled:  # the one with the traceback
        return cancelled
