"""Threads for chain factories and API specs, apart from those in which chains run.

LangChain runs synchronous chains in the default pool of the event loop. They go on there when
their clients have left: many of them would keep all new requests waiting, and the API docs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Final, TypeVar

from ..runs.thread_calls import current_thread_calls
from .admission import hold_slot

__all__ = ["FACTORY_THREADS", "SPEC_THREADS", "ChainThreadPool", "ThreadPool", "shut_down_threads"]

_T = TypeVar("_T")


class _GrowingExecutor(ThreadPoolExecutor):
    """A pool in which a thread that goes on for nobody takes no place of others."""

    def make_room(self, call: Future[Any] | asyncio.Future[Any]) -> None:
        """Let there be one thread more until `call` ends, which cannot be stopped."""
        self._change_size(1)
        call.add_done_callback(lambda _: self._change_size(-1))

    def _change_size(self, by: int) -> None:
        with self._shutdown_lock:  # the pool's own
            self._max_workers += by
            if by > 0 and not self._shutdown:
                self._adjust_thread_count()  # for what waits


class ThreadPool:
    """A pool of threads that is opened when it is first used.

    Args:
        name: What the names of its threads begin with.
        size: How many threads it has at most.
        grows: Whether it has one thread more for each call that goes on when its caller has left.
            `QUART_LANARKY_MAX_RUNS` bounds how many these are.
    """

    def __init__(self, name: str, size: int, *, grows: bool = False) -> None:
        self._name = name
        self._size = size
        self._grows = grows
        self._executor: _GrowingExecutor | None = None

    async def run(self, function: Callable[..., _T], *args: Any) -> _T:
        """Return what `function` returns; it is called in a thread, with the current context.

        If the wait is cancelled, the thread goes on, and counts among the live runs until it ends.
        """
        if self._executor is None:
            self._executor = _GrowingExecutor(self._size, thread_name_prefix=self._name)
        executor = self._executor
        call = partial(_without_stop_iteration, function, *args)
        submitted = executor.submit(copy_context().run, call)
        returned = asyncio.wrap_future(submitted)
        try:
            return await asyncio.shield(returned)
        except asyncio.CancelledError:
            if not submitted.cancel():  # it has begun
                if self._grows:
                    executor.make_room(submitted)
                hold_slot(returned)
            raise

    def make_room(self, work: asyncio.Future[Any]) -> None:
        """Have one thread more until `work` is done, which waits for one on behalf of nobody."""
        if self._executor is not None:
            self._executor.make_room(work)

    def shut_down(self) -> None:
        """Let the threads end when they have done what they have begun."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


class ChainThreadPool(_GrowingExecutor):
    """The default pool of an event loop, in which LangChain runs synchronous chains and tools.

    It notes the calls of each run, and grows by those that go on when their run has ended.
    `QUART_LANARKY_MAX_RUNS` bounds how many these are.
    """

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        """Call `fn` in a thread."""
        call = super().submit(fn, *args, **kwargs)
        calls = current_thread_calls.get()
        if calls is not None:
            calls.add(call, self.make_room)
        return call


def _without_stop_iteration(function: Callable[..., _T], *args: Any) -> _T:
    try:
        return function(*args)
    except StopIteration as error:  # which no future can hold: the wait would never end
        raise RuntimeError("the call raised StopIteration") from error


FACTORY_THREADS: Final = ThreadPool("quart_lanarky_factory", 64, grows=True)
"""For chain factories that are a plain ``def``."""

SPEC_THREADS: Final = ThreadPool("quart_lanarky_specs", 1)
"""For building the API specs, which is done once at a time."""


def shut_down_threads() -> None:
    """Let all these threads end; a server calls it before it exits."""
    FACTORY_THREADS.shut_down()
    SPEC_THREADS.shut_down()
