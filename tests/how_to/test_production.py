"""The commands, the server and the unit of the page about production, as they stand there."""

import ast
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from quart_lanarky.protocols.sse import Decoder
from tests.blocks import files, write_files
from tests.how_to.nginx import free_port, make_certificate, wait_until
from tests.how_to.pages import page_blocks

QUESTION = {"question": "Hello?"}
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
FAST = 'FakeListChatModel(responses=["Hi!"])'
SLOW = 'FakeListChatModel(responses=["x" * 30], sleep=0.1)'
SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
DOCKER_INSTRUCTIONS = {
    *("FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "EXPOSE", "HEALTHCHECK", "CMD")
}
CURL = shutil.which("curl")


def command(start: str) -> str:
    """Return the command of the page that starts so."""
    [found] = [each.code for each in page_blocks("production", "sh") if each.code.startswith(start)]
    return found


SERVE = "python server.py"
HYPERCORN = command("hypercorn app:app --bind 127.0.0.1:8000")
TLS = command("hypercorn app:app --bind 127.0.0.1:8443")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def folder(tmp_path: Path, port: int) -> Path:
    """Have the files of the page, with another port."""
    write_files(page_blocks("production", "python")[-1], tmp_path)
    make_certificate(tmp_path)
    change(tmp_path / "server.py", "127.0.0.1:8000", f"127.0.0.1:{port}")
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    code = path.read_text(encoding="utf-8")
    assert old in code
    path.write_text(code.replace(old, new), encoding="utf-8")


@contextmanager
def started(line: str, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command, on another port, in a group of its own, as a service manager does."""
    line = re.sub(r":8000|:8443", f":{port}", line)
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            ["/bin/sh", "-c", f"exec {line}"],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until(lambda: answers(port) or process.poll() is not None)
            assert process.poll() is None, (folder / "log").read_text()
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/health")
    except httpx.ConnectError:
        return False
    except httpx.RemoteProtocolError:  # it wants TLS
        return True
    return True


@pytest.mark.parametrize("line", [SERVE, HYPERCORN], ids=["serve", "hypercorn"])
def test_a_stream_finishes_after_sigterm_to_all_processes(
    folder: Path, port: int, line: str
) -> None:
    change(folder / "app.py", FAST, SLOW)
    url = f"http://127.0.0.1:{port}"
    with (
        started(line, folder, port) as process,
        httpx.stream("POST", url + "/chat", json=QUESTION, timeout=20) as response,
    ):
        decoder = Decoder()
        names: list[str] = []
        for data in response.iter_raw():
            if not names:
                os.killpg(process.pid, signal.SIGTERM)
                if line == SERVE:
                    wait_until(lambda: httpx.get(url + "/health").status_code == 503)
            names += [event.name for event in decoder.feed(data)]
        assert names == ["completion"] * 30 + ["end"]
        process.wait(10)


@pytest.mark.parametrize("line", [SERVE, HYPERCORN], ids=["serve", "hypercorn"])
def test_the_log_has_a_line_for_the_run_and_one_for_the_request(
    folder: Path, port: int, line: str
) -> None:
    log = folder / "log"
    with started(line, folder, port):
        answer = httpx.post(f"http://127.0.0.1:{port}/chat", json=QUESTION).text
        [run_id] = re.findall(r'"run_id": "(.*?)"', answer)
        wait_until(lambda: '"POST /chat' in log.read_text())
        assert f"run {run_id} finished: route /chat, sse, 3 tokens" in log.read_text()


@pytest.mark.parametrize("line", [SERVE, TLS], ids=["serve", "hypercorn"])
def test_with_a_certificate_clients_get_http2(folder: Path, port: int, line: str) -> None:
    files = 'config.certfile = "cert.pem"\nconfig.keyfile = "key.pem"\n'
    change(folder / "server.py", "config = Config()\n", f"config = Config()\n{files}")
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    with (
        started(line, folder, port),
        httpx.Client(http2=True, verify=context) as client,
    ):
        answer = client.post(f"https://localhost:{port}/chat", json=QUESTION)
        assert answer.http_version == "HTTP/2"
        assert "event: end\n" in answer.text


@pytest.mark.skipif(CURL is None, reason="no curl")
def test_curl_uses_http2_with_a_certificate(folder: Path, port: int) -> None:
    line = f"{command('curl').rstrip()} -w '%{{http_version}}'".replace(":8443", f":{port}")
    with started(TLS, folder, port):
        said = subprocess.check_output(["/bin/sh", "-c", line], cwd=folder, text=True)
    assert "event: end\n" in said
    assert said.endswith("\n2")


def test_the_dockerfile_starts_the_server_of_the_page() -> None:
    """A daemon to build it is seldom at hand: hold what can be seen from the text."""
    [block] = page_blocks("production", "dockerfile")
    lines = block.code.replace("\\\n", " ").splitlines()
    instructions = {name: rest for name, _, rest in (line.partition(" ") for line in lines)}
    assert set(instructions) <= DOCKER_INSTRUCTIONS
    assert next(iter(instructions)) == "FROM"
    assert json.loads(instructions["CMD"]) == SERVE.split()
    python, option, check = json.loads(instructions["HEALTHCHECK"].removeprefix("CMD "))
    assert (python, option) == ("python", "-c")
    ast.parse(check)
    copied = {file for line in lines if line.startswith("COPY") for file in line.split()[1:-1]}
    assert copied == {"requirements.txt", *files(page_blocks("production", "python")[-1])}
    name, _, bind = instructions["ENV"].partition("=")
    assert f'os.environ.get("{name}"' in files(page_blocks("production", "python")[-1])["server.py"]
    assert bind.rpartition(":")[2] == instructions["EXPOSE"]


@pytest.mark.parametrize("line", [SERVE, HYPERCORN], ids=["serve", "hypercorn"])
def test_no_line_of_the_log_is_there_twice(folder: Path, port: int, line: str) -> None:
    with started(line, folder, port):
        pass
    log = (folder / "log").read_text()
    workers = re.findall(r"\[(\d+)\] \[INFO\] Running on", log)
    assert len(set(workers)) == log.count("Running on") > 0


@pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="no systemd-analyze: the unit is not verified")
def test_systemd_finds_no_problem_in_the_unit(tmp_path: Path) -> None:
    [block] = page_blocks("production", "ini")
    unit = tmp_path / "chat.service"
    assert "/srv/chat/.venv/bin/python " in block.code
    code = block.code.replace("/srv/chat/.venv/bin/python", sys.executable)
    for text, is_fine in [(code, True), (code.replace("LimitNOFILE", "LimitFiles"), False)]:
        unit.write_text(text, encoding="utf-8")
        verified = subprocess.run(
            [str(SYSTEMD_ANALYZE), "verify", unit], capture_output=True, text=True, check=False
        )
        assert (verified.stderr == "") is is_fine, verified.stderr
