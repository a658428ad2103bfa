"""The app of the faults, with short timeouts and small socket buffers."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from quart_lanarky.runs import registry
from quart_lanarky.runs import run as runs
from tests.faults.app import app

__all__ = ["app"]

runs.CANCEL_TIMEOUT = 0.5
registry.DELIVERY_TIMEOUT = 0.5

for fd in Path("/proc/self/fd").iterdir():
    with suppress(OSError), socket.socket(fileno=os.dup(int(fd.name))) as each:
        if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            # The kernel would take megabytes for a client that does not read.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**14)
