"""Factories that yield their chain: each runs in a task of its own, from its start to its end.

What a factory opens before its `yield` it closes after it, and both have to be done by one task:
anyio's task groups and cancel scopes, which MCP sessions and HTTP clients have, insist on it. Nor
may the task be that of the request, which is cancelled when the client leaves: a clean-up that
waits for something would be cut.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import Context, copy_context
from inspect import isgenerator
from typing import Any, Final

from ....transports.admission import hold_slot
from ....transports.threads import FACTORY_THREADS

__all__ = ["YieldingFactory"]

logger = logging.getLogger(__name__)

_running: Final[set[asyncio.Task[None]]] = set()  # the loop itself holds on to none


class YieldingFactory:
    """Runs one generator of a chain factory.

    Args:
        generator: What the factory returned. One of a plain ``def`` is resumed in threads.
        source: The factory's name, for the log.
    """

    def __init__(self, generator: AsyncIterator[Any] | Iterator[Any], source: str) -> None:
        self._generator = generator
        self._source = source
        self._closing = asyncio.Event()
        self._opened: asyncio.Future[tuple[Any, Context]]
        self._opened = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())
        _running.add(self._task)
        self._task.add_done_callback(_running.discard)

    async def open(self) -> Any:
        """Return what it yields, or None if it yields nothing.

        Context variables that it has set are set for the caller as well.

        Raises:
            Exception: Whatever the factory raises.
        """
        try:
            either: set[asyncio.Future[Any]] = {self._task, self._opened}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._abandon()
            raise
        if not self._opened.done():
            self._task.result()  # raises what the factory has raised
            return None
        value, context = self._opened.result()
        _adopt(context)
        return value

    async def close(self) -> None:
        """Resume it after its `yield`, and return when it has cleaned up.

        A cancelled wait does not cancel the clean-up.
        """
        self._closing.set()
        await asyncio.wait({self._task})

    def _abandon(self) -> None:
        """Have it clean up as soon as it can: nobody waits for its chain any more."""
        self._closing.set()
        if self._task.done():
            return
        if isgenerator(self._generator):  # a thread cannot be cancelled
            FACTORY_THREADS.make_room(self._task)
        else:
            self._task.cancel()
        hold_slot(self._task)

    async def _run(self) -> None:
        try:
            chain = await self._resume()
        except SystemExit as error:  # it would end the loop
            raise RuntimeError(f"{self._source} raised SystemExit") from error
        if chain is None:
            await self._discard()
            return
        self._opened.set_result((chain, copy_context()))
        await self._wait_to_close()
        await self._clean_up()

    def _resume(self) -> Awaitable[Any]:
        """Run the generator to its next `yield`; None if it ends before."""
        if isgenerator(self._generator):
            return FACTORY_THREADS.run(next, self._generator, None)
        resume: Callable[..., Awaitable[Any]] = anext
        return resume(self._generator, None)

    async def _wait_to_close(self) -> None:
        try:
            await self._closing.wait()
        except asyncio.CancelledError:
            # By a task group of the factory, one of whose tasks has failed, by `_abandon`, or
            # because the event loop ends. The clean-up is due, and anyio cuts it in a task that
            # counts as cancelled.
            if (task := asyncio.current_task()) is not None:
                task.uncancel()

    async def _clean_up(self) -> None:
        """Run what is after the `yield`; its errors are logged, as the answer was sent already."""
        try:
            more = await self._resume()
        except asyncio.CancelledError:
            logger.error("%s was cancelled while it cleaned up", self._source)  # noqa: TRY400
            raise
        except BaseException:  # asyncio would end the loop for some of them
            logger.exception("%s failed to clean up", self._source)
        else:
            if more is not None:
                logger.error(
                    "%s yields more than once: nothing after its second yield is run", self._source
                )
                await self._discard()

    async def _discard(self) -> None:
        """Close the generator, now rather than when it is collected."""
        generator: Any = self._generator
        if isgenerator(generator):
            await FACTORY_THREADS.run(generator.close)
        elif hasattr(generator, "aclose"):
            await generator.aclose()


def _adopt(context: Context) -> None:
    """Set the context variables of the current task as they are in `context`."""
    here = copy_context()
    for variable, value in context.items():
        if here.get(variable, here) is not value:
            variable.set(value)
