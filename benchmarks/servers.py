"""The processes that are measured, each alone on one core."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CLIENT_CORE", "SERVER_CORE", "Process", "pin", "running", "serving"]

ROOT = Path(__file__).parent.parent

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]


def pin(core: int) -> None:
    """Keep the current process on `core`."""
    os.sched_setaffinity(0, {core})


@dataclass(frozen=True)
class Process:
    """A process that is measured.

    Attributes:
        port: Where it listens, if it does.
        popen: The process.
    """

    port: int
    popen: subprocess.Popen[str]

    @property
    def cpu(self) -> float:
        """The CPU seconds that it has used so far, its threads' included."""
        clock = (~self.popen.pid << 3) | 2  # what clock_getcpuclockid(3) returns
        return time.clock_gettime(clock)

    def memory(self, kind: str = "VmRSS") -> int:
        """Return its memory in KiB: what it holds now, or the most that it held (`VmHWM`)."""
        status = Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii")
        return int(status.partition(f"{kind}:")[2].split()[0])

    def say(self, line: str) -> str:
        """Write a line to it, and return the line that it answers with."""
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(f"{line}\n")
        self.popen.stdin.flush()
        return self.popen.stdout.readline()


@contextmanager
def running(command: list[str], port: int = 0, fds: tuple[int, ...] = ()) -> Iterator[Process]:
    """Run a process on the servers' core."""
    popen = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LANGSMITH_TRACING": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=fds,
        preexec_fn=lambda: pin(SERVER_CORE),
        text=True,
    )
    try:
        yield Process(port, popen)
    finally:
        popen.kill()
        popen.communicate()


@contextmanager
def serving(command: list[str]) -> Iterator[Process]:
    """Run a server on a free port; `{fd}` in its command is the socket that it listens on.

    Connections wait in the socket's queue until the server is up.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        fd = listener.fileno()
        filled = [part.format(fd=fd) for part in command]
        with running(filled, listener.getsockname()[1], (fd,)) as process:
            yield process
