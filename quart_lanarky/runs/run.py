"""A run: one task that produces into one stream; its failure, its cancellation and its end.

The registry starts a run, and closes it when a policy says so; a run knows none of its readers.

Whoever ends a run early does it in the same way: the task is cancelled, and the stream ends when
it has stopped, or when the time for that is over.

=================== ============================ ================= ===========
who                 when                         error             outcome
=================== ============================ ================= ===========
the client          ``stop()``                   none              cancelled
the registry        ``close(reason)``            none              cancelled
the run's timeout   it took too long             504               failed
the server          ``shut_down()``              503               cancelled
=================== ============================ ================= ===========

A run whose work returns is ``finished``; or ``interrupted``, if an `interrupt` event was sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Protocol
from uuid import UUID, uuid4

from pydantic import JsonValue

from .. import events
from ..events import Event, Outcome
from .failures import DescribeError, Failure, describe_failure
from .stream import EventStream
from .thread_calls import ThreadCalls, current_thread_calls

__all__ = ["SHUTTING_DOWN", "Produce", "Run", "RunWatcher"]

logger = logging.getLogger(__name__)

Produce = Callable[[], Awaitable[Any]]
"""Does the work of a run, sending events to its stream, and returns the run's result."""

CANCEL_TIMEOUT = 5.0
"""Seconds that a cancelled run gets to clean up before it is left to itself."""

SHUTDOWN_CANCEL_TIMEOUT = 0.2
"""The same when the server is about to exit."""

SHUTTING_DOWN: Final = "the server is shutting down"
"""What is said to a client whose run must end or cannot begin for that."""


class RunWatcher(Protocol):
    """Whoever wants to know of runs, and bounds them."""

    @property
    def timeout(self) -> float | None:
        """How many seconds a run may take."""

    def started(self, run: Run, /) -> None:
        """Note that the run has begun."""

    def ended(self, run: Run, /) -> None:
        """Note that the run has ended and was closed. Called once."""


class Run:
    """One call of a chain, from its start to its `end` event.

    Whatever `produce` does, the stream ends properly: with `end` when it returns, with `error`
    and `end` when it raises. The text of an exception goes to the log, under the run's id, and
    never to the client; that of an HTTP exception, such as `InputError`, is meant for it and does.

    Args:
        stream: Where the events go.
        produce: Does the work. Called once, in the context (of contextvars) in which the run
            was created, so `quart.request` works in it.
        mode: How its tokens are encoded; by default the mode of the stream. The run
            only passes it on.

    Attributes:
        id: The run's id: in the `end` event, in the log, and LangChain's `run_id`.
        result: What `produce` returned; None until then.
        failure: The `error` event that the run ended with, if it did.
        usage: The run's cost, for the `end` event; `produce` may set it.
        outcome: How it ended; None until then.
        reason: Why it did not finish, in a few words for the log; None if it did.
        refusal: The status code that it was refused with, if it was.
        duration: How many seconds it took; 0 until it has ended.
        thread_calls: Its calls in threads, as far as the pool notes them.
        time_to_first_token: Seconds until the first `completion` event; None without one.
        error_describers: Tell what the client is told of exceptions that the work may raise.
        describe_own_error: The same for those of the app's own, which come first; None without.
    """

    error_describers: Sequence[DescribeError] = ()
    describe_own_error: DescribeError | None = None

    def __init__(self, stream: EventStream, produce: Produce, *, mode: str | None = None) -> None:
        self.id: UUID = uuid4()
        self.stream = stream
        self._mode = mode
        self.result: Any = None
        self.failure: Event | None = None
        self.usage: dict[str, JsonValue] | None = None
        self.outcome: Outcome | None = None
        self.reason: str | None = None
        self.refusal: int | None = None
        self.duration = 0.0
        self._produce = produce
        self._context = copy_context()
        self.thread_calls = ThreadCalls()
        self._context.run(current_thread_calls.set, self.thread_calls)
        self._task: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._early: tuple[Outcome, Event | None] | None = None  # how it is to end, if before time
        self._is_prepared = False
        self._watcher: RunWatcher | None = None
        self._end_callbacks: list[Callable[[], object]] = []
        self._started_at = 0.0

    @property
    def mode(self) -> str | None:
        """How its tokens are encoded: its own mode, or that of its stream."""
        return self.stream.mode if self._mode is None else self._mode

    @property
    def time_to_first_token(self) -> float | None:
        """How many seconds the first `completion` event took; None if there was none."""
        at = self.stream.first_token_at
        return None if at is None else at - self._started_at

    def watch(self, watcher: RunWatcher) -> None:
        """Let `watcher` know of this run, and bound it."""
        self._watcher = watcher

    def refuse(self, error: Exception) -> None:
        """Do nothing but fail, when the run is started, as if `error` had been raised then.

        Of the error only its words are kept: it leads to all that its client had sent.
        """
        failure = self._describe(error)
        self.reason = failure.reason
        self._early = ("failed", events.error_event(failure.data))
        self.refusal = failure.data.status_code
        self._log(error, failure)

    async def prepare(self) -> None:
        """Do what may still refuse the run, once: at the latest, it is done when the run starts.

        HTTP does it before the response begins, and can answer with a status code of its own.

        Raises:
            HTTPException: The run is refused.
        """
        if not self._is_prepared:
            self._is_prepared = True
            await self._prepare()

    def release(self) -> None:
        """Give back what `prepare` took; called on every path, also of a run that never starts."""

    async def _prepare(self) -> None:
        """Do nothing; a kind of runs that can be refused for its state does more."""

    def output(self) -> JsonValue:
        """Return the answer for the JSON response, once the run has ended: the result itself."""
        result: JsonValue = self.result
        return result

    def discard_unstarted(self) -> None:
        """Tell the watcher that this run will not start."""
        if self._task is None:
            self.release()
            if self._watcher is not None:
                self._watcher.ended(self)
                self._watcher = None

    def on_end(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when the stream has got its end."""
        self._end_callbacks.append(callback)

    # -- its life --------------------------------------------------------------------------

    def start(self) -> None:
        """Start the work on the running loop, if that was not done yet."""
        if self._task is not None:
            return
        self.stream.open()
        self._started_at = time.monotonic()
        self._task = asyncio.create_task(self._main(), context=self._context)
        # Not at the end of the task's own code: cancelled early enough, a task runs none of it.
        self._task.add_done_callback(self._on_done)
        if self._watcher is not None:
            self._watcher.started(self)
            if self._watcher.timeout is not None:
                self._call_later(self._watcher.timeout, self._time_out, self._watcher.timeout)

    async def close(self, reason: str) -> None:
        """Cancel the work, if it goes on, and release what the run holds.

        Args:
            reason: Why it is cancelled, for the log.
        """
        try:
            self._end_early("cancelled", reason)
            if self._task is not None:
                if self.outcome is None:  # else it has ended, or our patience has
                    await asyncio.wait({self._task}, timeout=CANCEL_TIMEOUT)
                if not self._task.done():
                    logger.warning("run %s ignores its cancellation: left to itself", self.id)
        finally:
            self._finalize()
            self.release()
            for timer in self._timers:
                timer.cancel()
            if self._watcher is not None:
                self._watcher.ended(self)
            self._break_cycles()

    async def _main(self) -> None:
        if self._early is None:
            try:
                await self.prepare()
                self.result = await self._produce()
            except (SystemExit, KeyboardInterrupt) as error:  # asyncio would end the loop
                raise RuntimeError(f"the work raised {type(error).__name__}") from error

    # -- ending it before its time ---------------------------------------------------------

    def stop(self, reason: str = "the client stopped it") -> None:
        """Cancel the work; what was sent stays, and `end` follows.

        A run that has not started yet will end at once when it does.

        Args:
            reason: Why, for the log.
        """
        self._end_early("cancelled", reason)

    def shut_down(self) -> None:
        """Cancel the work, for the server is about to exit: `error` and `end` follow."""
        error = events.error(503, SHUTTING_DOWN)
        self._end_early("cancelled", SHUTTING_DOWN, error, SHUTDOWN_CANCEL_TIMEOUT)

    def _time_out(self, seconds: float) -> None:
        error = events.error(504, f"the run took longer than {seconds:g} seconds")
        self._end_early("failed", "it took too long", error)

    def _end_early(
        self,
        outcome: Outcome,
        reason: str,
        error: Event | None = None,
        cancel_timeout: float | None = None,
    ) -> None:
        """Cancel the work. The first reason counts; the stream ends with or without the task."""
        if self._is_over:
            return
        is_first = self._early is None
        if is_first:
            self._early = (outcome, error)
            self.reason = reason
        if self._task is not None:
            if is_first or self.outcome is not None:  # else it is cleaning up
                self._task.cancel()
            self._call_later(
                CANCEL_TIMEOUT if cancel_timeout is None else cancel_timeout, self._finalize
            )

    def _call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay, callback, *args))

    # -- its end ---------------------------------------------------------------------------

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self.release()
        error = _error_of(task)
        failure = None if error is None else self._describe(error)
        self._finalize(failure)
        if error is not None and failure is not None:
            self._log(error, failure)  # last, for logging handlers may raise (disk full)

    def _describe(self, error: BaseException) -> Failure:
        return describe_failure(error, self.describe_own_error, self.error_describers)

    def _finalize(self, failure: Failure | None = None) -> None:
        """End the stream, whatever has become of the task (rule 2: termination is state).

        The first call counts.
        """
        if self.outcome is not None:
            return
        self.duration = time.monotonic() - self._started_at
        if self._early is not None:
            self.outcome, self.failure = self._early
        elif failure is not None:
            self.outcome, self.reason = "failed", failure.reason
            self.failure = events.error_event(failure.data)
        else:
            self.outcome = "interrupted" if self.stream.is_interrupted else "finished"
        last = [] if self.failure is None else [self.failure]
        self.stream.finish(*last, events.end(self.id, self.usage, self.outcome))
        for callback in self._end_callbacks:
            callback()

    @property
    def _is_over(self) -> bool:
        return self.outcome is not None if self._task is None else self._task.done()

    def _break_cycles(self) -> None:
        """Drop what leads back here: what is in a circle waits for the garbage collector."""
        self._produce = _produce_nothing
        self._task = self._watcher = None
        self._end_callbacks = []

    def _log(self, error: BaseException, failure: Failure) -> None:
        if not self._is_expected(error, failure):
            with suppress(Exception):  # out of a callback it would end the loop
                logger.error("run %s failed", self.id, exc_info=error)

    def _is_expected(self, error: BaseException, failure: Failure) -> bool:
        if isinstance(error, asyncio.CancelledError):
            return self._early is not None
        return failure.is_expected


async def _produce_nothing() -> None:
    """Stand in for work that is done."""


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    try:
        return task.exception()
    except asyncio.CancelledError as cancelled:  # the one with the traceback
        return cancelled
