"""`serve`: an app under Hypercorn, which stops without cutting a stream.

::

    SIGTERM ─▶ drain: new runs get 503, live ones end ─▶ Hypercorn closes ─▶ what is left is cut

With workers, this process only watches over theirs: it starts one anew when it dies, and stops all
of them when it is told to.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import copy
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from socket import socket
from types import ModuleType
from typing import Any, Final, NamedTuple

import hypercorn.asyncio
from hypercorn.config import Config
from hypercorn.utils import load_application
from quart import Quart

from ..errors import ConfigurationError
from ..extension import GRACEFUL_TIMEOUT_MARGIN, LanarkyExtension
from ..settings import EXTENSION_KEY, Settings
from .hypercorn_patches import patch_hypercorn
from .tuning import loop_factory, tune_gc

__all__ = ["serve"]

logger = logging.getLogger(__name__)

SERVER_CLOSE_TIMEOUT: Final = 0.5
"""Seconds after the drain timeout in which clients are told, and Hypercorn closes."""

EXIT_TIMEOUT: Final = 0.2
"""Seconds after that in which what does not end by itself is left behind."""

THREADS: Final = 64
"""How many synchronous chains, factories and tools may run at once."""

BACKLOG: Final = 1024
"""How many connections wait for a process that has no time now; the system loses any others."""

FORCE_STOP_SIGNAL: Final = signal.SIGUSR1
"""What the supervisor sends when it is told to stop again.

Not another SIGTERM: a service manager sends that to all processes at once, and the supervisor
sends it as well.
"""

MAX_FAILED_STARTS: Final = 3
"""How many workers in a row may die before they serve."""


def serve(
    app: Any,
    *,
    bind: str | list[str] = "127.0.0.1:8000",
    workers: int = 0,
    config: Config | None = None,
) -> None:
    """Serve an app with Hypercorn until the process gets SIGTERM or SIGINT.

    Then new runs are answered with status 503, and live ones get the app's
    `QUART_LANARKY_DRAIN_TIMEOUT` to finish. Those that take longer end with an `error` (503) and
    an `end`; WebSockets are closed with code 1012. A second signal ends the wait. Threads that
    cannot be stopped are left behind when the process exits.

    Hypercorn gets the limits of the app (`QUART_LANARKY_MAX_MESSAGE_BYTES`), and what it lacks
    is mended, HTTP/2's back-pressure before all: see “What holds” in the documentation. The garbage
    collector leaves alone what is there before the first request, and looks at the rest less often.

    Call it in the main thread, with no event loop running.

    Args:
        app: The app, an ASGI application around it, or (as the `hypercorn` command takes it)
            where to import it from, such as `"package.module:app"`.
        bind: Where to listen: `"host:port"`, `"unix:path"`, `"fd://number"`, or a list of them.
        workers: How many processes serve. 0 serves in this process. With 1 and more, a process
            that dies is started anew; each imports the app for itself, so that `app` must be a
            global of a module, and the call belongs below ``if __name__ == "__main__":``.
        config: Hypercorn's own configuration, for TLS, logs and the rest: ``worker_class =
            "uvloop"`` takes the faster event loop. Its `bind`, `workers` and `graceful_timeout`
            do not count, and its `backlog` is 1024 at least.

    Raises:
        ConfigurationError: `app` is no global of a module, and there are workers; or uvloop is
            wanted and not installed.
        SystemExit: Workers die before they serve.
    """
    config = Config() if config is None else copy(config)
    config.bind = bind
    loaded = load_application(app, 0).app if isinstance(app, str) else app  # type: ignore[attr-defined]
    if workers == 0:
        both = (signal.SIGTERM, signal.SIGINT)
        _Worker(loaded, config, stop=both, force_stop=both).run()
    else:
        location = _location_of(app)
        _Supervisor(location, config, workers, _settings_of(loaded).drain_timeout).run()
    # All that the app has imported is no garbage: looking for some would take half a second.
    gc.freeze()


# -- a process that serves -----------------------------------------------------------------


class _Worker:
    """Serves an app in this process, on an event loop of its own.

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
        self._settings = _settings_of(app)
        self._config = config
        # Later than `_serve` cuts what is left: so that is done in one place.
        config.graceful_timeout = self._settings.drain_timeout + GRACEFUL_TIMEOUT_MARGIN
        config.websocket_max_message_size = self._settings.max_message_bytes
        config.backlog = max(config.backlog, BACKLOG)
        self._new_loop = loop_factory(config.worker_class)
        config.workers = 1  # whatever it was: Hypercorn warns of any other number here

    def run(self) -> None:
        """Serve until told to stop; leave the process if threads will not let it end."""
        patch_hypercorn(self._settings.max_message_bytes)
        before = set(threading.enumerate())
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            pool = ThreadPoolExecutor(THREADS, thread_name_prefix="quart_lanarky")
            runner.get_loop().set_default_executor(pool)
            runner.run(self._serve())
            with _exit_unless_done_within(EXIT_TIMEOUT):
                pool.shutdown(wait=False, cancel_futures=True)
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
            loop.add_signal_handler(number, on_signal, number)
        parent = parent_process()
        if parent is not None:  # a worker does not outlive its supervisor
            loop.add_reader(parent.sentinel, _once(loop, parent.sentinel, stopping.set))

    async def _drain(self, stopping: asyncio.Event, force_stopped: asyncio.Event) -> None:
        """Return when Hypercorn may stop: when all runs have ended, or at a second signal."""
        tune_gc()
        self._on_start()
        try:
            await stopping.wait()
        finally:  # cancelled, if Hypercorn stops by itself: after `max_requests`
            stopping.set()
        extension = _extension_of(self._app)
        if extension is not None:
            draining = asyncio.create_task(extension.drain(self._settings.drain_timeout))
            await _first_of(draining, force_stopped)
            if not draining.done():
                draining.cancel()
                await extension.drain(0)

    async def _cut(self, serving: asyncio.Task[None]) -> None:
        """End what Hypercorn waits for: from Python 3.12 on it waits for every client, for ever."""
        logger.warning("some clients did not let go of their connections: they are cut")
        asyncio.get_running_loop().set_exception_handler(_ignore)  # all that fails now is known
        serving.cancel()
        current = asyncio.current_task()
        for _ in range(3):  # Hypercorn's own clean-up waits for the client as well
            for task in asyncio.all_tasks() - {current}:
                task.cancel()
            await asyncio.sleep(0.01)
        if serving.done() and not serving.cancelled():
            serving.exception()
        app = _quart_of(self._app)
        if app is not None and not app.shutdown_event.is_set():  # Hypercorn did not get that far
            with suppress(Exception):  # Quart has logged it
                async with asyncio.timeout(EXIT_TIMEOUT):
                    await app.shutdown()


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
def _exit_unless_done_within(seconds: float) -> Iterator[None]:
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


# -- the process that watches over them ----------------------------------------------------


class _AppLocation(NamedTuple):
    """Where a worker finds the app."""

    module: str
    name: str


class _Supervisor:
    """Keeps a number of workers alive, on sockets that they share."""

    def __init__(
        self, location: _AppLocation | str, config: Config, workers: int, drain_timeout: float
    ) -> None:
        self._location = location
        self._config = config
        self._workers = workers
        self._stop_timeout = drain_timeout + SERVER_CLOSE_TIMEOUT + EXIT_TIMEOUT + 0.1
        self._context = get_context("spawn")
        self._processes: dict[BaseProcess, Connection] = {}  # and how it says that it serves
        self._failed_starts = 0
        self._is_stopping = False

    def run(self) -> None:
        """Watch over the workers until told to stop."""
        self._config.workers = 1  # or others could bind the port as well: SO_REUSEPORT
        created = self._config.create_sockets()
        sockets = (created.secure_sockets, created.insecure_sockets)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        ensure_running()  # else the first process has it started, which unblocks SIGINT
        try:
            while not self._is_stopping:
                while len(self._processes) < self._workers:
                    self._start(sockets)
                wait([process.sentinel for process in self._processes], timeout=0.1)
                self._reap()
        finally:
            self._end_all()
            for each in [*sockets[0], *sockets[1]]:
                each.close()
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise SystemExit("the workers die before they serve: see the log")

    def _stop(self, *_: object) -> None:
        """Pass the first signal on, and the second as one to hurry."""
        for process in self._processes:
            _tell(process, FORCE_STOP_SIGNAL if self._is_stopping else signal.SIGTERM)
        self._is_stopping = True

    def _start(self, sockets: tuple[list[socket], list[socket]]) -> None:
        started, tell = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work, args=(self._location, self._config, *sockets, tell), daemon=False
        )
        # Which the process inherits: it is a while until it can ignore what is the supervisor's.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            tell.close()
        self._processes[process] = started

    def _reap(self) -> None:
        """Forget the workers that died."""
        for process, started in list(self._processes.items()):
            if process.is_alive() or self._is_stopping:
                continue
            del self._processes[process]
            self._failed_starts = 0 if _has_started(started) else self._failed_starts + 1
            if self._failed_starts >= MAX_FAILED_STARTS:
                self._is_stopping = True
            logger.error("worker %s died (exit code %s)", process.pid, process.exitcode)

    def _end_all(self) -> None:
        for process in self._processes:
            _tell(process, signal.SIGTERM)
        deadline = time.monotonic() + self._stop_timeout
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _tell(process: BaseProcess, number: signal.Signals) -> None:
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)


def _has_started(started: Connection) -> bool:
    """Tell whether a worker that has died had said that it serves."""
    with started, suppress(EOFError, OSError):
        started.recv_bytes()
        return True
    return False


def _work(
    location: _AppLocation | str,
    config: Config,
    secure: list[socket],
    insecure: list[socket],
    tell: Connection,
) -> None:
    """Serve in a process of its own; what is passed here has travelled to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor's; it sends others
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    first, second = (secure, insecure) if config.ssl_enabled else (insecure, [])
    config.bind = [f"fd://{each.fileno()}" for each in first]
    config.insecure_bind = [f"fd://{each.fileno()}" for each in second]
    on_start = partial(tell.send_bytes, b"serving")
    _Worker(
        _load(location),
        config,
        stop=(signal.SIGTERM,),
        force_stop=(FORCE_STOP_SIGNAL,),
        on_start=on_start,
    ).run()
    gc.freeze()


# -- the app -------------------------------------------------------------------------------


def _location_of(app: Any) -> _AppLocation | str:
    """Return where another process finds `app`."""
    if isinstance(app, str):
        return app
    main = sys.modules["__main__"]  # under several names; any other module is better
    others = [(name, module) for name, module in sys.modules.items() if module is not main]
    for module_name, module in [*others, (_name_of(main), main)]:
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is app and module_name is not None:
                return _AppLocation(module_name, name)
    raise ConfigurationError(
        "with workers, the app must be a global of a module, since each worker imports it: pass "
        '"package.module:app", or serve with workers=0'
    )


def _name_of(main: ModuleType) -> str | None:
    """Return by which name a worker finds the main module; None if it does not."""
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name.endswith(".__main__"):  # `python -m package`
        return str(spec.name)
    return "__main__" if hasattr(main, "__file__") else None  # not so in `python -c`


def _load(location: _AppLocation | str) -> Any:
    if isinstance(location, str):
        return load_application(location, 0).app  # type: ignore[attr-defined]
    __import__(location.module)
    return getattr(sys.modules[location.module], location.name)


def _quart_of(app: Any) -> Quart | None:
    """Return the Quart app inside of ASGI middleware, if that keeps it where all do."""
    while app is not None and not isinstance(app, Quart):
        app = getattr(app, "app", None)
    return app


def _extension_of(app: Any) -> LanarkyExtension | None:
    quart = _quart_of(app)
    return None if quart is None else quart.extensions.get(EXTENSION_KEY)


def _settings_of(app: Any) -> Settings:
    quart = _quart_of(app)
    return Settings() if quart is None else Settings.from_config(quart.config)
