"""What cross-site pages can do in a real browser, which enforces the rules."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import Server, served

PATH = "/paced?delay=0.01&count=3&question=x"
SOCKET = "/paced/ws?delay=0.01&count=3"

OPEN_A_WEBSOCKET = """url => new Promise(resolve => {
    const socket = new WebSocket(url), events = [];
    socket.onopen = () => socket.send("x");
    socket.onmessage = message => {
        events.push(JSON.parse(message.data).event);
        if (events.at(-1) === "end") socket.close();
    };
    socket.onclose = () => resolve(events);
})"""

OPEN_AN_EVENT_SOURCE = """url => new Promise(resolve => {
    const source = new EventSource(url), events = [];
    source.onerror = () => resolve([...events, source.readyState]);
    source.addEventListener("completion", () => events.push("completion"));
    source.addEventListener("end", () => { source.close(); resolve([...events, "end"]) });
})"""

LOAD_AN_IMAGE = """url => new Promise(resolve => {
    const image = new Image();
    image.onload = () => resolve("loaded");
    image.onerror = () => resolve("failed");
    image.src = url;
})"""

POST = """([url, type, mode]) => fetch(
    url, {method: "POST", body: '{"question": "x"}', mode, headers: {"Content-Type": type}}
).then(response => response.type, error => error.name)"""

CLOSED = 2


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served("tests.faults.app:app", tmp_path_factory.mktemp("origins")) as server:
        yield server


@pytest.fixture
def own_page(browser: Any, app: Server) -> Iterator[Any]:
    page = browser.new_page()
    page.goto(f"{app.url}/ping")
    yield page
    page.close()


@pytest.fixture
def foreign_page(browser: Any, app: Server) -> Iterator[Any]:
    """Open a page of the site `localhost`, which to a browser is not the site `127.0.0.1`."""
    page = browser.new_page()
    page.goto(f"http://localhost:{app.port}/ping")
    yield page
    page.close()


def runs(app: Server) -> int:
    opened: int = httpx.get(f"{app.url}/vitals").json()["opened"]
    return opened


def test_the_apps_own_page_can_open_a_websocket(app: Server, own_page: Any) -> None:
    events = own_page.evaluate(OPEN_A_WEBSOCKET, app.ws_url + SOCKET)
    assert events == ["completion"] * 3 + ["end"]


def test_the_apps_own_page_can_run_an_event_source(app: Server, own_page: Any) -> None:
    events = own_page.evaluate(OPEN_AN_EVENT_SOURCE, app.url + PATH)
    assert events == ["completion"] * 3 + ["end"]


def test_a_cross_site_page_cannot_start_a_run(app: Server, foreign_page: Any) -> None:
    before = runs(app)
    page, url = foreign_page, app.url + PATH
    assert page.evaluate(OPEN_A_WEBSOCKET, app.ws_url + SOCKET) == []
    assert page.evaluate(OPEN_AN_EVENT_SOURCE, url) == [CLOSED]
    assert page.evaluate(LOAD_AN_IMAGE, url) == "failed"
    assert page.evaluate(POST, [app.url + "/paced", "application/json", "cors"]) == "TypeError"
    assert page.evaluate(POST, [app.url + "/paced", "text/plain", "no-cors"]) == "opaque"
    assert runs(app) == before


def test_a_cross_site_link_cannot_start_a_run(app: Server, foreign_page: Any) -> None:
    before = runs(app)
    with foreign_page.expect_navigation() as navigation:
        foreign_page.evaluate("url => { location.href = url }", app.url + PATH)
    assert navigation.value.status == 403
    assert runs(app) == before


def test_a_page_of_another_port_is_cross_origin(browser: Any, app: Server) -> None:
    page = browser.new_page()
    page.route("**/elsewhere", lambda route: route.fulfill(body="a page", content_type="text/html"))
    page.goto(f"http://127.0.0.1:{app.port + 1 if app.port < 65_535 else 1}/elsewhere")
    assert page.evaluate(OPEN_A_WEBSOCKET, app.ws_url + SOCKET) == []
    assert page.evaluate(OPEN_AN_EVENT_SOURCE, app.url + PATH) == [CLOSED]
    page.close()
