"""How many streams a browser reads concurrently: why nginx should use HTTP/2."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.how_to.nginx import Front
from tests.servers import Server

ASK_EIGHT_TIMES = """async () => {
    window.started = 0;
    for (let i = 0; i < 8; i++) {
        const source = new EventSource("/chat?question=x");
        source.addEventListener("completion", () => window.started++, { once: true });
    }
}"""
TALK = """() => new Promise(resolve => {
    const socket = new WebSocket("/chat/ws");
    socket.onopen = () => socket.send("x");
    socket.onmessage = ({ data }) => { socket.close(); resolve(JSON.parse(data).data.token) };
    socket.onclose = ({ code }) => resolve(code);
})"""


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(ignore_https_errors=True)
    yield page
    page.close()


def test_eight_streams_run_concurrently_over_http2(page: Any, front: Front) -> None:
    page.goto(front.url)
    page.evaluate(ASK_EIGHT_TIMES)
    page.wait_for_function("window.started === 8")


def test_the_seventh_stream_waits_over_http1(page: Any, gated: Server) -> None:
    page.goto(gated.url)
    page.evaluate(ASK_EIGHT_TIMES)
    page.wait_for_function("window.started === 6")
    page.wait_for_timeout(500)
    assert page.evaluate("window.started") == 6


def test_a_websocket_works_beside_http2(page: Any, front: Front) -> None:
    page.goto(front.url)
    assert page.evaluate(TALK) == "first "
