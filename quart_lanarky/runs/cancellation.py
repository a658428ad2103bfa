"""Cancel groups of waits from outside without one task per wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["CancelGroup", "WaitCancelledError", "raise_if_cancelled", "renew_cancellation"]


class WaitCancelledError(Exception):
    """The wait was cancelled with its group."""


class CancelGroup:
    """Cancels a group of waits at once. All of them are on one event loop."""

    def __init__(self) -> None:
        self._waits: set[asyncio.Timeout] = set()

    @property
    def count(self) -> int:
        """How many waits there are now."""
        return len(self._waits)

    def cancel(self) -> None:
        """Cancel the waits that there are now; it has no effect on later ones."""
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def scope(self) -> AsyncIterator[None]:
        """Make what is waited for in the block a wait of this group.

        Raises:
            WaitCancelledError: The group was cancelled.
        """
        wait = asyncio.timeout(None)
        self._waits.add(wait)
        try:
            async with wait:
                yield
        except TimeoutError as error:
            if not wait.expired():  # of another timeout
                raise
            raise WaitCancelledError from error
        finally:
            self._waits.discard(wait)


def raise_if_cancelled() -> None:
    """Re-raise a cancellation of the current task that was swallowed upstream.

    `asyncio.wait_for` does in Python 3.11, in which Quart reads the body, when the client leaves
    as soon as it has sent that.
    """
    if (task := asyncio.current_task()) is not None and task.cancelling():
        raise asyncio.CancelledError


def renew_cancellation() -> None:
    """Cancel the current task again if its cancellation was swallowed: it ends at its next wait.

    For where nothing may be raised. The task does not count as cancelled once more, for whoever
    cancelled it, such as `asyncio.timeout`, takes back one request only.
    """
    if (task := asyncio.current_task()) is not None and task.cancelling():
        task.uncancel()
        task.cancel()
