"""Locks that runs hold: of the runs that need the same thing, one is live at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Literal, Protocol, get_args

from ..errors import ConfigurationError, ThreadBusyError

__all__ = ["OnBusy", "RunLock", "RunLocks", "Stoppable", "check_on_busy"]

OnBusy = Literal["wait", "reject", "cancel"]
"""What a run does that finds another one live: wait for it, give up, or cancel it."""


class Stoppable(Protocol):
    """A run, as another one that waits for it sees it."""

    def stop(self, reason: str = ..., /) -> None:
        """Cancel it."""


def check_on_busy(on_busy: str) -> None:
    """Raise ConfigurationError, a ValueError, for anything but a value of `OnBusy`."""
    if on_busy not in get_args(OnBusy):
        names = ", ".join(map(repr, get_args(OnBusy)))
        raise ConfigurationError(f"on_busy= is one of {names}, not {on_busy!r}")


class RunLocks:
    """Locks by key, each of which one run holds at a time; first come, first served.

    A key is kept only while a run holds its lock. It works on one event loop.
    """

    def __init__(self) -> None:
        # By key, the locks that are held or waited for; the first one is held.
        self._queues: dict[Hashable, dict[RunLock, asyncio.Future[None]]] = {}

    @property
    def count(self) -> int:
        """How many keys are locked."""
        return len(self._queues)

    async def acquire(self, lock: RunLock) -> None:
        """Return when `lock` is the first of its key."""
        queue = self._queues.setdefault(lock.key, {})
        if queue and lock.on_busy == "reject":
            raise ThreadBusyError
        ahead = list(queue) if lock.on_busy == "cancel" else []
        turn = queue[lock] = asyncio.get_running_loop().create_future()
        for other in ahead:
            other.run.stop("a newer run on its thread takes its place")
        if len(queue) == 1:
            return
        try:
            await turn
        except BaseException:
            self.release(lock)
            raise

    def release(self, lock: RunLock) -> None:
        """Give `lock` back, or stop waiting for it; the next one has it."""
        queue = self._queues.get(lock.key, {})
        if lock not in queue:
            return
        was_first = next(iter(queue)) is lock
        del queue[lock]
        if not queue:
            del self._queues[lock.key]
        elif was_first:
            turn = next(iter(queue.values()))
            if not turn.done():
                turn.set_result(None)


class RunLock:
    """The lock of one run.

    Args:
        locks: The locks of the process.
        key: What only one run may use at a time.
        run: The run.
        on_busy: What it does when another run has the lock.
    """

    def __init__(
        self, locks: RunLocks, key: Hashable, run: Stoppable, on_busy: OnBusy = "wait"
    ) -> None:
        self.key = key
        self.run = run
        self.on_busy: OnBusy = on_busy
        self._locks = locks
        self._is_acquired = False

    async def acquire(self) -> None:
        """Take the lock, once; according to `on_busy` this waits.

        Raises:
            ThreadBusyError: Another run has it, and `on_busy` is `"reject"`. It is a 409.
        """
        if not self._is_acquired:
            await self._locks.acquire(self)
            self._is_acquired = True

    def release(self) -> None:
        """Give the lock back, if the run has it."""
        self._locks.release(self)
