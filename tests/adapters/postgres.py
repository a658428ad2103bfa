"""A PostgreSQL server of the tests' own, where Debian's package is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server on a free port of the loopback, and give the address of its database."""
    programs = FOUND[-1].parent
    # PostgreSQL refuses to run as root.
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    prefix = as_nobody if os.geteuid() == 0 else []
    folder = tempfile.mkdtemp(dir="/tmp", prefix="postgres-")  # open to nobody
    try:
        if prefix:
            os.chown(folder, 65534, 65534)
        data = f"{folder}/data"
        subprocess.run(
            [*prefix, programs / "initdb", "--auth=trust", "--username=test", "--no-sync", data],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        server = subprocess.Popen(
            [*prefix, programs / "postgres", "-D", data, *options],
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        try:
            _wait_until_ready(programs, port)
            yield f"postgresql://test@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_ready(programs: Path, port: int) -> None:
    deadline = time.monotonic() + 30
    ask = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ask, check=False).returncode:
        assert time.monotonic() < deadline, "PostgreSQL does not start"
        time.sleep(0.1)
