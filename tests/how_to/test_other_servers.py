"""The server of the page about other servers lets its streams finish."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from quart_lanarky.protocols.sse import Decoder
from tests.blocks import write_files
from tests.how_to.nginx import free_port, wait_until
from tests.how_to.pages import page_blocks


def answers(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.ConnectError:
        return False
    return True


def test_a_stream_finishes_while_the_server_drains(tmp_path: Path) -> None:
    port = free_port()
    write_files(page_blocks("other-servers", "python")[-1], tmp_path)
    program = tmp_path / "server.py"
    code = program.read_text(encoding="utf-8").replace('["Hi!"]', '["x" * 30], sleep=0.1')
    bound = f'Config.from_mapping(bind="127.0.0.1:{port}")'
    program.write_text(code.replace("Config()", bound), encoding="utf-8")
    url = f"http://127.0.0.1:{port}/hello"
    environment = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", ".")}
    with subprocess.Popen([sys.executable, "server.py"], cwd=tmp_path, env=environment) as process:
        try:
            wait_until(lambda: answers(url))
            with httpx.stream("POST", url, json={"input": "Hello?"}, timeout=20) as response:
                decoder, names = Decoder(), list[str]()
                for data in response.iter_raw():
                    if not names:
                        process.send_signal(signal.SIGTERM)
                    names += [event.name for event in decoder.feed(data)]
            assert names == ["completion"] * 30 + ["end"]
            assert process.wait(10) == 0
        finally:
            process.kill()
