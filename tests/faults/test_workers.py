"""Several processes serve one app: dead ones are replaced, start-up errors are reported."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from asyncio import Semaphore, create_task, gather
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.faults.conftest import Record
from tests.faults.stopping import (
    DRAIN,
    LIGHT,
    LIGHT_APP,
    QUESTION,
    check_that_it_went_quietly,
    drain_timeout,
    obstacle,
    read_stream,
    stop,
    talk,
    up,
    workers_of,
    write_light_app,
)
from tests.live.clients import Frame, names, stream_events
from tests.servers import ROOT, Server, _running, served


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


async def wait_until_gone(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(map(is_running, pids)):
        assert time.monotonic() < deadline, "some processes live on"
        await asyncio.sleep(0.01)


async def all_up(server: Server, workers: int) -> set[str]:
    """Wait until all workers answer; return their process ids."""
    found: set[str] = set()
    deadline = time.monotonic() + 30
    while len(found) < workers:
        assert time.monotonic() < deadline
        found |= set(await gather(*(up(server) for _ in range(8))))
    return found


async def streams_of_both(server: Server, begun: Semaphore) -> list[asyncio.Task[list[Frame]]]:
    """Open so many streams that each of two workers has some."""

    async def talk_once() -> list[Frame]:
        return (await talk(server, "/paced/ws", 1, begun))[0]

    streams = []
    for _ in range(12):  # one after another: a worker accepts all that come at once
        streams.append(create_task(read_stream(server, "/paced", begun)))
        await begun.acquire()
        streams.append(create_task(talk_once()))
        await begun.acquire()
    return streams


# -- processes that die --------------------------------------------------------------------


async def test_a_killed_worker_is_replaced_and_the_others_continue_to_serve(
    tmp_path: Path, record: Record
) -> None:
    with served(LIGHT, tmp_path, 2, **write_light_app(tmp_path)) as server:
        begun = Semaphore(0)
        victim, other = map(int, await all_up(server, 2))
        streams = await streams_of_both(server, begun)
        os.kill(victim, signal.SIGKILL)
        killed_at = time.monotonic()

        await asyncio.sleep(0.1)
        lost = [stream for stream in streams if stream.done()]
        assert len(lost) < len(streams)
        while len(await all_up(server, 1) - {str(other)}) == 0:  # no request fails meanwhile
            assert time.monotonic() - killed_at < 10
        record(f"a new worker answers after {time.monotonic() - killed_at:.2f} s")
        assert [pid for pid in workers_of(server) if pid not in (victim, other)]
        assert victim not in workers_of(server)  # nor is it a zombie
        assert [stream for stream in streams if stream.done()] == lost

        await stop(server)
        for frames in await gather(*set(streams).difference(lost)):
            assert names(frames) == ["completion", "error", "end"]
        await gather(*lost, return_exceptions=True)
        assert f"worker {victim} died (exit code -9)" in server.log()
        check_that_it_went_quietly(server)


async def test_when_the_supervisor_is_killed_its_workers_end_their_streams_and_exit(
    tmp_path: Path,
) -> None:
    with served(LIGHT, tmp_path, 2, **write_light_app(tmp_path)) as server:
        begun = Semaphore(0)
        await all_up(server, 2)
        streams = await streams_of_both(server, begun)
        pids = workers_of(server)
        assert len(pids) == 2
        server.process.kill()
        for frames in await gather(*streams):
            assert names(frames) == ["completion", "error", "end"]
        await wait_until_gone(pids, DRAIN + 1)
        assert "Traceback" not in server.log()


async def test_no_process_outlives_the_supervisor(tmp_path: Path) -> None:
    with served(LIGHT, tmp_path, 2, **write_light_app(tmp_path)) as server:
        await all_up(server, 2)
        pids = workers_of(server)
        assert await stop(server) < 1  # there is nothing to wait for
        assert not any(map(is_running, pids))
        check_that_it_went_quietly(server)


AN_APP_THAT_FLUSHES_AT_EXIT = """
import atexit
import os
import sys
import time
from light import app
from quart_lanarky import serve

def flush():
    time.sleep(0.4)
    print(f"{os.getpid()} has flushed", flush=True)

if __name__ == "__main__":
    serve("program:app", bind=sys.argv[1], workers=2)
else:
    atexit.register(flush)
"""


async def test_what_a_worker_does_at_exit_is_not_cut_by_a_second_signal(tmp_path: Path) -> None:
    """The supervisor's first signal ends it; a second one would find no handler any more."""
    with program(tmp_path, AN_APP_THAT_FLUSHES_AT_EXIT) as server:
        await all_up(server, 2)
        pids = workers_of(server)
        await stop(server)
        check_that_it_went_quietly(server)
        assert [pid for pid in pids if f"{pid} has flushed" in server.log()] == pids


async def test_a_worker_whose_loop_is_blocked_is_killed_after_the_timeout(tmp_path: Path) -> None:
    with served(LIGHT, tmp_path, 1, **write_light_app(tmp_path)) as server:
        await up(server)
        async with obstacle(server, "stream", "/blocking"):
            await asyncio.sleep(0.3)
            assert await stop(server) < DRAIN + 1
        check_that_it_went_quietly(server)


LIMITED = """
import sys
from hypercorn.config import Config
from quart_lanarky import serve

if __name__ == "__main__":
    config = Config()
    config.max_requests = 3
    serve("light:app", bind=sys.argv[1], workers=1, config=config)
"""


@pytest.mark.parametrize("is_stalled", [False, True])
async def test_workers_that_reach_max_requests_are_replaced(
    tmp_path: Path, is_stalled: bool
) -> None:
    with program(tmp_path, LIMITED, **drain_timeout(0.1)) as server:
        pids = {await up(server)}
        async with AsyncExitStack() as stack:
            if is_stalled:
                await stack.enter_async_context(obstacle(server, "stream", "/large"))
            while len(pids) < 5:
                with suppress(httpx.TransportError):  # Hypercorn disconnects late clients
                    pids.add(await up(server))
        assert server.process.poll() is None
        await stop(server)
        check_that_it_went_quietly(server)


# -- what cannot start ---------------------------------------------------------------------

FAILS = "raise RuntimeError('no key')"

FAILS_TO_START = """
from quart import Quart

app = Quart(__name__)

@app.before_serving
async def before():
    raise RuntimeError("no database")
"""


@pytest.mark.parametrize(
    ("name", "code", "workers", "message"),
    [
        (
            "nowhere:app",
            "",
            0,
            "cannot load the app from 'nowhere:app': there is no module 'nowhere'",
        ),
        ("broken:app", "", 2, "cannot load the app from 'broken:app': name 'app' is not defined"),
        ("broken:app", FAILS, 2, "RuntimeError: no key"),
        ("broken:app", FAILS_TO_START, 0, "RuntimeError: no database"),
        ("broken:app", FAILS_TO_START, 2, "RuntimeError: no database"),
    ],
)
def test_an_app_that_cannot_start_ends_the_server_with_a_message(
    tmp_path: Path, name: str, code: str, workers: int, message: str
) -> None:
    (tmp_path / "broken.py").write_text(code)
    done = run(serve_call(name, "127.0.0.1:0", workers), tmp_path)
    assert done.returncode == 1
    assert message in done.stderr


def serve_call(name: str, bind: str, workers: int) -> str:
    return f"from quart_lanarky import serve; serve({name!r}, bind={bind!r}, workers={workers})"


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code that should end by itself."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_port_in_use_is_an_error(tmp_path: Path, workers: int) -> None:
    write_light_app(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(serve_call(LIGHT, bind, workers), tmp_path)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


async def test_a_port_in_use_by_another_serve_is_an_error(tmp_path: Path) -> None:
    """Hypercorn's way to share a port among workers would let them share it with strangers."""
    write_light_app(tmp_path)
    bind = f"127.0.0.1:{free_port()}"
    call = serve_call(LIGHT, bind, 2)
    with program(tmp_path, "", "-c", call) as first:
        first.wait_for_log("Running on")
        done = run(call, tmp_path)
        assert done.returncode == 1
        assert "Address already in use" in done.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# -- all that can be served ----------------------------------------------------------------


@contextmanager
def program(folder: Path, code: str, *arguments: str, **environment: str) -> Iterator[Server]:
    """Run a program that has the light app beside it, and an address to bind as its argument."""
    environment |= write_light_app(folder)
    (folder / "program.py").write_text(code)
    command = [*(arguments or [str(folder / "program.py")]), "{bind}"]
    with _running(command, folder / "program.log", environment) as server:
        yield server


async def check_that_it_serves(server: Server, client: httpx.AsyncClient) -> None:
    """Have a stream end properly, and with it the server."""
    stopping = None
    async with client, client.stream("POST", "/paced", json=QUESTION) as response:
        events = []
        async for event in stream_events(response):
            stopping = stopping or create_task(stop(server))
            events.append(event.name)
    assert events[-2:] == ["error", "end"]
    assert stopping is not None
    assert await stopping < DRAIN + 1
    check_that_it_went_quietly(server)


AN_APP_IN_MIDDLEWARE = """
import sys
from hypercorn.middleware import ProxyFixMiddleware
from light import app
from quart_lanarky import serve

proxied = ProxyFixMiddleware(app, mode="modern")
if __name__ == "__main__":
    serve(proxied, bind=sys.argv[1], workers=1)
"""

AN_APP_OF_THE_PROGRAM = (
    LIGHT_APP
    + """
import sys
from quart_lanarky import serve

if __name__ == "__main__":
    serve(app, bind=sys.argv[1], workers=1)
"""
)

AN_IMPORTED_APP = """
import sys
from light import app
from quart_lanarky import serve

serve(app, bind=sys.argv[1], workers=1)
"""


@pytest.mark.parametrize("code", [AN_APP_IN_MIDDLEWARE, AN_APP_OF_THE_PROGRAM])
async def test_workers_find_an_app_inside_middleware_and_in_the_main_module(
    tmp_path: Path, code: str
) -> None:
    with program(tmp_path, code) as server:
        client = httpx.AsyncClient(base_url=server.url, verify=False, timeout=30)
        await check_that_it_serves(server, client)


async def test_workers_find_the_app_of_a_package_run_with_m(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(AN_APP_OF_THE_PROGRAM)
    with program(tmp_path, "", "-m", "package") as server:
        client = httpx.AsyncClient(base_url=server.url, verify=False, timeout=30)
        await check_that_it_serves(server, client)


async def test_workers_find_an_imported_app_without_a_main_file(
    tmp_path: Path,
) -> None:
    with program(tmp_path, "", "-c", AN_IMPORTED_APP) as server:
        client = httpx.AsyncClient(base_url=server.url, verify=False, timeout=30)
        await check_that_it_serves(server, client)


WITH_TLS = """
import sys
from pathlib import Path
from hypercorn.config import Config
from quart_lanarky import serve

if __name__ == "__main__":
    config = Config()
    config.certfile = str(Path(__file__).parent / "certificate")
    config.keyfile = str(Path(__file__).parent / "key")
    serve("light:app", bind=sys.argv[1], workers=2, config=config)
"""


@pytest.mark.skipif(shutil.which("openssl") is None, reason="nothing makes a certificate")
async def test_workers_serve_over_tls(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    with program(tmp_path, WITH_TLS) as server:
        url = server.url.replace("http:", "https:")
        client = httpx.AsyncClient(base_url=url, verify=False, timeout=30)
        await check_that_it_serves(server, client)


def make_certificate(folder: Path) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run([*make.split(), *files], check=True, capture_output=True)


async def test_workers_serve_on_a_unix_socket(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short path: it may have 107 characters
        path = f"{folder}/socket"
        call = serve_call(LIGHT, f"unix:{path}", 2)
        with program(tmp_path, "", "-c", call) as server:
            server.wait_for_log("Running on")
            transport = httpx.AsyncHTTPTransport(uds=path, verify=False)
            client = httpx.AsyncClient(base_url="http://x", transport=transport, timeout=30)
            await check_that_it_serves(server, client)
