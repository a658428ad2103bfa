"""The settings of the page about CORS admit one other site, and no third, in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from tests.how_to.pages import page_blocks
from tests.servers import Server, answering, hypercorn

EXAMPLE = "http://localhost:5173"
POST = """url => fetch(url, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: '{"question": "?"}'
}).then(response => response.status, error => error.name)"""
LISTEN = """url => new Promise(resolve => {
    const source = new EventSource(url);
    let answer = "";
    source.addEventListener("completion", ({ data }) => answer += JSON.parse(data).token);
    source.addEventListener("end", () => { source.close(); resolve(answer) });
    source.onerror = () => resolve("error");
})"""
TALK = """url => new Promise(resolve => {
    const socket = new WebSocket(url);
    let answer = "";
    socket.onopen = () => socket.send("?");
    socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.event === "end") { socket.close(); resolve(answer) }
        else answer += frame.data.token;
    };
    socket.onclose = ({ code }) => resolve(code);
})"""


class Page(BaseHTTPRequestHandler):
    """Serves an empty page."""

    def do_GET(self) -> None:  # as http.server calls it
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another site</title>")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def site() -> Iterator[str]:
    """Serve the page of another site; a browser asks it really, for it tells networks apart."""
    with answering(Page) as port:
        yield f"http://localhost:{port}"


@pytest.fixture(scope="module")
def listed() -> Iterator[str]:
    with site() as origin:
        yield origin


@pytest.fixture(scope="module")
def server(listed: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cors")
    code = page_blocks("cors", "python")[-1].code
    assert EXAMPLE in code
    (folder / "app.py").write_text(code.replace(EXAMPLE, listed), encoding="utf-8")
    with hypercorn("app:app", folder, PYTHONPATH=str(folder)) as running:
        yield running


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page()
    yield page
    page.close()


def test_the_script_of_the_docs_page_works_on_an_allowed_origin(
    page: Any, listed: str, server: Server
) -> None:
    [block] = page_blocks("cors", "js")
    page.goto(listed)
    page.add_script_tag(content=block.code.replace("http://127.0.0.1:8000", server.url))
    page.wait_for_function("document.body.innerText.includes('event: end')")


def test_an_allowed_origin_can_use_all_transports(page: Any, listed: str, server: Server) -> None:
    page.goto(listed)
    assert page.evaluate(POST, server.url + "/chat") == 200
    assert page.evaluate(LISTEN, server.url + "/chat?question=x") == "Hi!"
    assert page.evaluate(TALK, server.ws_url + "/chat/ws") == "Hi!"


def test_an_origin_that_is_not_allowed_can_use_no_transport(page: Any, server: Server) -> None:
    with site() as foreign:
        page.goto(foreign)
        assert page.evaluate(POST, server.url + "/chat") == "TypeError"
        assert page.evaluate(LISTEN, server.url + "/chat?question=x") == "error"
        assert page.evaluate(TALK, server.ws_url + "/chat/ws") == 1006
