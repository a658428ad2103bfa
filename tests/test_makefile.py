"""`make demo` looks at its port before it says what to open."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT

MAKE = shutil.which("make")
OF_MAKE = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
"""What `make test` sets: a `make` inside it would say which folder it enters."""


@pytest.mark.skipif(MAKE is None, reason="no make")
def test_the_demo_says_what_to_do_when_its_port_is_in_use(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".examples").touch()  # all is installed
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [str(MAKE), "demo", f"VENV={tmp_path}", f"PORT={port}"]
        outside = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
        done = subprocess.run(
            command, cwd=ROOT, env=outside, capture_output=True, text=True, check=False
        )
    assert done.returncode != 0
    message = f"Port {port} is in use. Choose another one: make demo PORT=8001\n"
    assert done.stdout == message
