"""A real nginx with the site of the page about nginx, on free ports and in a folder of its own."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.blocks import blocks
from tests.servers import ROOT

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
[SITE] = [
    block.code
    for block in blocks(ROOT / "docs" / "how-to" / "nginx.md")
    if block.language == "nginx"
]
AROUND_THE_SITE = """
daemon off;
pid nginx.pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{site}
}}
"""


@dataclass
class Front:
    """A running nginx."""

    port: int
    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def url(self) -> str:
        """Where HTTP goes, over TLS."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where WebSockets go, over TLS."""
        return f"wss://127.0.0.1:{self.port}"

    def reload(self) -> None:
        """Reload: wait until it has started new processes and signalled the old ones to end."""
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "gracefully shutting down" in self.log_path.read_text())


@contextmanager
def nginx(app_port: int, folder: Path, *changes: tuple[str, str]) -> Iterator[Front]:
    """Run nginx in front of an app; `changes` are texts of the page's site and what replaces them.

    Where there is no nginx, the test is skipped.
    """
    if NGINX is None:
        pytest.skip("no nginx: the page about it is not tried")
    make_certificate(folder)
    port = free_port()
    places = [
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        ("/etc/ssl/certs/chat.example.org.pem", "cert.pem"),
        ("/etc/ssl/private/chat.example.org.key", "key.pem"),
        ("http://127.0.0.1:8000", f"http://127.0.0.1:{app_port}"),
    ]
    site = SITE
    for old, new in [*places, *changes]:
        assert old in site, f"the page about nginx has no {old!r}"
        site = site.replace(old, new)
    configuration, log_path = folder / "nginx.conf", folder / "nginx.log"
    configuration.write_text(AROUND_THE_SITE.format(site=site), encoding="utf-8")
    command = [
        NGINX,
        "-p",
        folder,
        "-c",
        configuration,
        "-e",
        "stderr",
        "-g",
        "error_log stderr notice;",
    ]
    with log_path.open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until(lambda: _answers(port) or process.poll() is not None)
            assert process.poll() is None, log_path.read_text()
            yield Front(port, process, log_path)
        finally:
            process.terminate()


def make_certificate(folder: Path) -> None:
    """Make `cert.pem` and `key.pem` as the page about production does."""
    [command] = [
        block.code
        for block in blocks(ROOT / "docs" / "how-to" / "production.md")
        if block.language == "sh" and block.code.startswith("openssl")
    ]
    subprocess.run(["/bin/sh", "-c", command], cwd=folder, check=True, capture_output=True)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free_port() -> int:
    """Return a port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
