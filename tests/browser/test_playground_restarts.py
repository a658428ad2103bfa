"""The server stops and restarts: the page shows it, and the next question is answered."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.servers import ROOT


class Restarted:
    """A server that can be killed and started again on the same port."""

    def __init__(self, log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_there(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def start(self, app: str = "playground_app:app") -> None:
        bind = f"127.0.0.1:{self.port}"
        command = ["-m", "hypercorn", f"tests.browser.{app}", "--workers", "0", "--bind", bind]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(20)
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Restarted]:
    server = Restarted(tmp_path / "server.log")
    server.start()
    while not server.is_there():
        time.sleep(0.05)
    yield server
    server.stop()


@pytest.fixture
def player(browser: Any, server: Restarted) -> Iterator[Player]:
    player = Player(browser, server.url)
    yield player
    player.close()


AWAY = "The server does not answer. This page waits for it."
BACK = "The server answers. Its API specs were read again."


@pytest.mark.timeout(120)
@pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])
def test_the_page_recovers_when_the_server_dies_during_an_answer(
    player: Player, server: Restarted, transport: str
) -> None:
    player.go("/paced", transport).start("x")
    player.page.wait_for_function(
        "() => document.querySelector('.turn .text').innerText.includes('5 ')"
    )
    server.stop()
    said = player.wait()
    assert said.startswith("0 1 2 3 4 5")  # what had come stays
    cut = "The answer was cut off" if transport == TRANSPORTS[0] else "The connection broke"
    assert cut in player.turn.locator(".problem").inner_text()
    player.see(AWAY)
    player.keep(f"away-{transport[:3].lower()}")
    server.start()
    player.page.get_by_text(BACK).wait_for(timeout=60_000)
    player.field("count").fill("3")
    assert player.ask("again").split() == ["0", "1", "2"]
    assert player.page.locator("article.turn").count() == 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])
def test_a_question_to_an_unreachable_server_shows_an_error(
    player: Player, server: Restarted, transport: str
) -> None:
    player.go("/recite", transport)
    assert player.ask('["before"]') == "before"
    server.stop()
    player.ask('["lost"]')
    lost = "The server does not answer" if transport == TRANSPORTS[0] else "did not open"
    assert lost in player.turn.locator(".problem").inner_text()
    server.start()
    player.page.get_by_text(BACK).wait_for(timeout=60_000)
    assert player.ask('["after"]') == "after"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["needed", "k", "question"])
def test_the_focus_and_the_cursor_stay_in_their_field_when_the_server_is_back(
    player: Player, server: Restarted, name: str
) -> None:
    player.go("/parameters/{number}")
    player.field("number").fill("1")
    player.field("needed").fill("needed")
    server.stop()
    player.ask("lost")
    player.field(name).fill("123")
    player.field(name).focus()
    player.page.keyboard.press("Home")
    player.page.keyboard.press("ArrowRight")
    server.start()
    player.page.get_by_text(BACK).wait_for(timeout=60_000)
    player.page.keyboard.type("4")
    # A field for a number does not tell where its cursor is: it is then at the end.
    assert player.field(name).input_value() == ("1234" if name == "k" else "1423")


@pytest.mark.timeout(120)
def test_the_focus_stays_in_the_list_of_routes_when_the_server_is_back(
    player: Player, server: Restarted
) -> None:
    player.go("/recite")
    server.stop()
    player.ask('["lost"]')
    player.page.locator("#routes a[href='#/form']").focus()
    server.start()
    player.page.get_by_text(BACK).wait_for(timeout=60_000)
    player.page.keyboard.press("Enter")
    player.wait_to_be_at("/form")


@pytest.mark.timeout(120)
def test_a_server_shutdown_is_shown_on_a_websocket(player: Player, server: Restarted) -> None:
    player.go("/recite", "WebSocket")
    player.ask('["before"]')
    server.stop(signal.SIGTERM)
    player.page.get_by_text("The server is shutting down (code 1012)").wait_for()


@pytest.mark.timeout(120)
def test_another_app_at_the_same_address_is_shown_without_a_reload(
    player: Player, server: Restarted
) -> None:
    player.go("/recite")
    server.stop()
    player.ask('["lost"]')
    server.start("bare_apps:empty")
    player.page.get_by_text("Nothing to try").wait_for(timeout=60_000)


def test_the_page_recovers_after_the_specs_could_not_be_loaded(
    player: Player, server: Restarted
) -> None:
    player.page.route("**/openapi.json", lambda route: route.abort())
    player.page.goto(f"{server.url}/playground")
    player.see("The API specs cannot be read")
    player.page.unroute("**/openapi.json")
    player.page.locator("#ask form").wait_for()
    player.see(BACK)
