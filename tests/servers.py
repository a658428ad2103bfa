"""A real server process on a free port: Hypercorn by its command, or by `serve`."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).parent.parent


@contextmanager
def answering(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    """Answer with a handler of the standard library, in a thread, and give the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Server:
    """A running server."""

    port: int
    log_path: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where HTTP goes."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where WebSockets go."""
        return f"ws://127.0.0.1:{self.port}"

    def wait_for_log(self, text: str) -> str:
        """Return what the log has after `text`, which the process writes in its own time."""
        deadline = time.monotonic() + 30
        while text not in self.log():
            assert time.monotonic() < deadline, f"not in the log: {text}"
            time.sleep(0.01)
        return self.log().partition(text)[2]

    def wait_until_running(self) -> None:
        """Wait until Hypercorn says that it runs, or has ended: a client's timeout is shorter."""
        deadline = time.monotonic() + 50
        while "Running on" not in self.log() and self.process.poll() is None:
            assert time.monotonic() < deadline, f"the server does not start:\n{self.log()}"
            time.sleep(0.01)

    def log(self) -> str:
        """Return what the process wrote so far."""
        return self.log_path.read_text(encoding="utf-8")


@contextmanager
def hypercorn(
    app: str, folder: Path, workers: int = 0, *, cwd: Path = ROOT, **environment: str
) -> Iterator[Server]:
    """Serve `app` (`"package.module:app"`) with the `hypercorn` command, started in `cwd`."""
    arguments = ["-m", "hypercorn", app, "--workers", str(workers), "--bind", "{bind}"]
    log_path = folder / f"{app.partition(':')[0]}.log"
    with _running(arguments, log_path, environment, cwd) as server:
        yield server


@contextmanager
def served(
    app: str,
    folder: Path,
    workers: int = 0,
    *,
    loop: str = "asyncio",
    access_log: bool = False,
    **environment: str,
) -> Iterator[Server]:
    """Serve `app` (`"package.module:app"`) with `quart_lanarky.serve`."""
    code = (
        "from hypercorn.config import Config; from quart_lanarky import serve; "
        f"config = Config(); config.worker_class = {loop!r}; "
        f"config.accesslog = {'-' if access_log else None!r}; "
        f"serve({app!r}, bind='{{bind}}', workers={workers}, config=config)"
    )
    with _running(["-c", code], folder / f"serve-{workers}.log", environment) as server:
        yield server


@contextmanager
def _running(
    arguments: list[str], log_path: Path, environment: dict[str, str], cwd: Path = ROOT
) -> Iterator[Server]:
    """Run a process on a port that this process has already opened, and wait until it answers.

    So no other process takes the port, and what comes to workers that still start waits in a queue.
    """
    with (
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
        log_path.open("w") as log,
    ):
        fd = listener.fileno()
        process = subprocess.Popen(
            [sys.executable, *(each.format(bind=f"fd://{fd}") for each in arguments)],
            cwd=cwd,
            pass_fds=[fd],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        server = Server(listener.getsockname()[1], log_path, process)
        try:
            server.wait_until_running()
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
