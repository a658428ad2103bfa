"""The calls of a run in threads: nothing can stop one, so it may go on when its run has ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["ThreadCalls", "current_thread_calls"]


class ThreadCalls:
    """The calls that one run makes in the threads of a pool that notes them here."""

    def __init__(self) -> None:
        self._calls: dict[Future[Any], Callable[[Future[Any]], object]] = {}

    def add(self, call: Future[Any], on_abandon: Callable[[Future[Any]], object]) -> None:
        """Note a call, until it is done; any thread may.

        Args:
            call: The call.
            on_abandon: Called with it if it goes on when the run has ended.
        """
        self._calls[call] = on_abandon
        call.add_done_callback(self._forget)

    def abandon(self) -> list[Future[Any]]:
        """Return the calls that go on, of which the pool is told; those that wait are cancelled."""
        calls = list(self._calls.items())
        going_on = [(call, note) for call, note in calls if not call.cancel() and not call.done()]
        for call, note in going_on:
            note(call)
        return [call for call, _ in going_on]

    def _forget(self, call: Future[Any]) -> None:
        self._calls.pop(call, None)


current_thread_calls: Final[ContextVar[ThreadCalls | None]] = ContextVar(
    "current_thread_calls", default=None
)
"""Those of the run that the current code is part of."""
