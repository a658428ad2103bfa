"""The process that starts the workers, restarts those that die, and stops them.

It takes POSIX: SIGUSR1, masks of signals, and file descriptors that a process inherits. On Windows
it cannot be imported, and `serve` refuses workers.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import time
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.resource_tracker import ensure_running
from socket import socket
from typing import Final

from hypercorn.config import Config

from ..settings import WORKERS_VARIABLE
from .app_location import AppLocation, load_app
from .worker import EXIT_TIMEOUT, SERVER_CLOSE_TIMEOUT, Worker

__all__ = ["FORCE_STOP_SIGNAL", "Supervisor"]

logger = logging.getLogger(__name__)

FORCE_STOP_SIGNAL: Final = signal.SIGUSR1
"""What the supervisor sends when it is told to stop again.

Not another SIGTERM: a service manager sends that to all processes at once, and the supervisor
sends it as well.
"""


MAX_FAILED_STARTS: Final = 3
"""How many workers in a row may die before they serve."""


class Supervisor:
    """Keeps a number of workers alive, on sockets that they share."""

    def __init__(
        self, location: AppLocation | str, config: Config, workers: int, drain_timeout: float
    ) -> None:
        self._location = location
        self._config = config
        self._workers = workers
        self._stop_timeout = drain_timeout + SERVER_CLOSE_TIMEOUT + EXIT_TIMEOUT + 0.1
        self._context = get_context("spawn")
        self._processes: dict[BaseProcess, Connection] = {}  # and how it says that it serves
        self._told_to_stop: set[BaseProcess] = set()
        self._failed_starts = 0
        self._is_stopping = False

    def run(self) -> None:
        """Watch over the workers until told to stop."""
        os.environ[WORKERS_VARIABLE] = str(self._workers)
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
        if self._is_stopping:
            for process in self._processes:
                _tell(process, FORCE_STOP_SIGNAL)
        self._is_stopping = True
        self._tell_to_stop()

    def _tell_to_stop(self) -> None:
        """Send each worker one SIGTERM: at its exit it handles none, and a second would cut it."""
        for process in self._processes.keys() - self._told_to_stop:
            self._told_to_stop.add(process)
            _tell(process, signal.SIGTERM)

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
        self._tell_to_stop()
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
    location: AppLocation | str,
    config: Config,
    secure: list[socket],
    insecure: list[socket],
    tell: Connection,
) -> None:
    """Serve in a process of its own; the arguments were pickled for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor's; it sends others
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    first, second = (secure, insecure) if config.ssl_enabled else (insecure, [])
    config.bind = [f"fd://{each.fileno()}" for each in first]
    config.insecure_bind = [f"fd://{each.fileno()}" for each in second]
    on_start = partial(tell.send_bytes, b"serving")
    Worker(
        load_app(location),
        config,
        stop=(signal.SIGTERM,),
        force_stop=(FORCE_STOP_SIGNAL,),
        on_start=on_start,
    ).run()
    gc.freeze()
