"""A process that serves an app on an event loop of its own."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import parent_process
from typing import Any, Final

import hypercorn.asyncio
from hypercorn.config import Config

from ..extension import GRACEFUL_TIMEOUT_MARGIN
from ..transports.threads import ChainThreadPool, shut_down_threads
from .access_log import use_access_logger
from .app_location import extension_of, quart_app_of, settings_of
from .hypercorn_patches.patches import patch_hypercorn
from .tuning import loop_factory, tune_gc

__all__ = ["EXIT_TIMEOUT", "SERVER_CLOSE_TIMEOUT", "Worker"]

logger = logging.getLogger(__name__)

SERVER_CLOSE_TIMEOUT: Final = 0.5
"""Seconds after the drain timeout in which clients are told, and Hypercorn closes."""


EXIT_TIMEOUT: Final = 0.2
"""Seconds after that in which what does not end by itself is left behind."""


THREADS: Final = 64
"""How many synchronous chains and tools may run at once; factories have threads of their own."""


BACKLOG: Final = 1024
"""How many connections wait for a process that has no time now; the system loses any others."""


class Worker:
    """Serves an app in this process, on an event loop of its own.

    Its signals are handled by the event loop, or where that handles none, as on Windows, by Python.

    Args:
        app: The app, or an ASGI application around it.
        config: Hypercorn's; it is changed.
        stop: The signals that end it.
        force_stop: Those that end the wait for the runs, once it has been told to stop.
        on_start: Called when it serves.
    """

    def __init__(
        self,
        app: Any,
        config: Config,
        *,
        stop: tuple[signal.Signals, ...],
        force_stop: tuple[signal.Signals, ...],
        on_start: Callable[[], object] = lambda: None,
    ) -> None:
        self._app = app
        self._stop = stop
        self._force_stop = force_stop
        self._on_start = on_start
        self._settings = settings_of(app)
        self._config = config
        # Later than `_serve` cuts what is left: so that is done in one place.
        config.graceful_timeout = self._settings.drain_timeout + GRACEFUL_TIMEOUT_MARGIN
        config.websocket_max_message_size = self._settings.max_message_bytes
        use_access_logger(config)
        config.backlog = max(config.backlog, BACKLOG)
        self._new_loop = loop_factory(config.worker_class)
        config.workers = 1  # whatever it was: Hypercorn warns of any other number here

    def run(self) -> None:
        """Serve until told to stop; leave the process if threads will not let it end."""
        patch_hypercorn(self._settings.max_message_bytes)
        before = set(threading.enumerate())
        with (
            _handlers_restored({*self._stop, *self._force_stop}),
            asyncio.Runner(loop_factory=self._new_loop) as runner,
        ):
            pool = ChainThreadPool(THREADS, thread_name_prefix="quart_lanarky")
            runner.get_loop().set_default_executor(pool)
            runner.run(self._serve())
            with exit_unless_done_within(EXIT_TIMEOUT):
                pool.shutdown(wait=False, cancel_futures=True)
                shut_down_threads()
                runner.close()
                for thread in set(threading.enumerate()) - before:
                    if not thread.daemon:
                        thread.join()

    async def _serve(self) -> None:
        stopping, force_stopped = asyncio.Event(), asyncio.Event()
        self._listen(stopping, force_stopped)
        serving = asyncio.create_task(
            hypercorn.asyncio.serve(
                self._app,
                self._config,
                shutdown_trigger=partial(self._drain, stopping, force_stopped),
            )
        )
        await _first_of(serving, stopping)
        await _first_of(
            serving, force_stopped, timeout=self._settings.drain_timeout + SERVER_CLOSE_TIMEOUT
        )
        if force_stopped.is_set():
            await asyncio.wait({serving}, timeout=SERVER_CLOSE_TIMEOUT)
        if serving.done():
            serving.result()  # raises what kept it from starting
        else:
            await self._cut(serving)

    def _listen(self, stopping: asyncio.Event, force_stopped: asyncio.Event) -> None:
        def on_signal(number: signal.Signals) -> None:
            if stopping.is_set() and number in self._force_stop:
                force_stopped.set()
            if number in self._stop:
                stopping.set()

        loop = asyncio.get_running_loop()
        for number in {*self._stop, *self._force_stop}:
            _call_on_signal(loop, number, partial(on_signal, number))
        parent = parent_process()
        if parent is not None:  # a worker does not outlive its supervisor
            with suppress(NotImplementedError):  # Windows has none
                loop.add_reader(parent.sentinel, _once(loop, parent.sentinel, stopping.set))

    async def _drain(self, stopping: asyncio.Event, force_stopped: asyncio.Event) -> None:
        """Return when Hypercorn may stop: when all runs have ended, or at a second signal."""
        tune_gc()
        self._on_start()
        try:
            await stopping.wait()
        finally:  # cancelled, if Hypercorn stops by itself: after `max_requests`
            stopping.set()
        extension = extension_of(self._app)
        if extension is not None:
            draining = asyncio.create_task(extension.drain(self._settings.drain_timeout))
            await _first_of(draining, force_stopped)
            if not draining.done():
                draining.cancel()
                await extension.drain(0)

    async def _cut(self, serving: asyncio.Task[None]) -> None:
        """End what Hypercorn waits for: from Python 3.12 on this has no time limit."""
        logger.warning("some clients kept their connections open: they are cut")
        asyncio.get_running_loop().set_exception_handler(_ignore)  # all that fails now is known
        serving.cancel()
        current = asyncio.current_task()
        for _ in range(3):  # Hypercorn's own clean-up waits for the client as well
            for task in asyncio.all_tasks() - {current}:
                task.cancel()
            await asyncio.sleep(0.01)
        if serving.done() and not serving.cancelled():
            serving.exception()
        app = quart_app_of(self._app)
        if app is not None and not app.shutdown_event.is_set():  # Hypercorn did not get that far
            with suppress(Exception):  # Quart has logged it
                async with asyncio.timeout(EXIT_TIMEOUT):
                    await app.shutdown()


def _call_on_signal(
    loop: asyncio.AbstractEventLoop, number: signal.Signals, call: Callable[[], object]
) -> None:
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(call))


@contextmanager
def _handlers_restored(numbers: Iterable[signal.Signals]) -> Iterator[None]:
    """Handle signals afterwards as before: an event loop that is closed cannot."""
    handlers = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # else it is not Python's
                signal.signal(number, handler)


async def _first_of(
    task: asyncio.Task[Any],
    sign: asyncio.Event,
    timeout: float | None = None,  # noqa: ASYNC109  # the task goes on
) -> None:
    """Wait until the task has ended, or the sign is given, or the time is over."""
    waiting = asyncio.create_task(sign.wait())
    await asyncio.wait({task, waiting}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _ignore(*_: object) -> None: ...


def _once(loop: asyncio.AbstractEventLoop, fd: int, call: Callable[[], None]) -> Callable[[], None]:
    def called() -> None:
        loop.remove_reader(fd)
        call()

    return called


@contextmanager
def exit_unless_done_within(seconds: float) -> Iterator[None]:
    """Leave behind what nothing can stop: threads, and tasks that ignore their cancellation."""
    timer = threading.Timer(seconds, _exit_at_once)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _exit_at_once() -> None:
    logger.warning("threads or tasks that cannot be stopped are left behind")
    atexit._run_exitfuncs()  # noqa: SLF001  # what else has to be flushed; os._exit() skips it
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
