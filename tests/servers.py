"""A real Hypercorn process on a free port."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass
class Server:
    """A running Hypercorn."""

    port: int
    log_path: Path

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
        deadline = time.monotonic() + 5
        while text not in self.log():
            assert time.monotonic() < deadline, f"not in the log: {text}"
            time.sleep(0.01)
        return self.log().partition(text)[2]

    def log(self) -> str:
        """Return what the process wrote so far."""
        return self.log_path.read_text(encoding="utf-8")


@contextmanager
def hypercorn(app: str, folder: Path, **environment: str) -> Iterator[Server]:
    """Serve `app` from a process of its own, on a port that this process has already opened.

    So connections wait in the socket's queue until the server is up, and nobody polls.
    """
    log_path = folder / f"{app.partition(':')[0]}.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log_path.open("w") as log:
        fd = listener.fileno()
        command = [sys.executable, "-m", "hypercorn", app, "--workers", "0", "--bind", f"fd://{fd}"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            pass_fds=[fd],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Server(listener.getsockname()[1], log_path)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
