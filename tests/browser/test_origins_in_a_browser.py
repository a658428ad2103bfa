"""What cross-site pages can do in a real browser, which enforces the rules."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.conftest import CHROMIUM
from tests.servers import Server, answering, served

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

FETCH = """([url, options]) => fetch(url, options).then(
    response => response.type, error => error.name
)"""

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


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_port_cannot_start_a_run(
    browser: Any, app: Server, other_port: int, host: str
) -> None:
    """Of the same site, and of another one."""
    before = runs(app)
    page, url = browser.new_page(), app.url + PATH
    page.goto(f"http://{host}:{other_port}/")
    assert page.evaluate(OPEN_A_WEBSOCKET, app.ws_url + SOCKET) == []
    assert page.evaluate(OPEN_AN_EVENT_SOURCE, url) == [CLOSED]
    assert page.evaluate(LOAD_AN_IMAGE, url) == "failed"
    page.evaluate(FETCH, [url, {"mode": "no-cors"}])
    with page.expect_navigation() as navigation:
        page.evaluate("url => { location.href = url }", url)
    assert navigation.value.status == 403
    assert runs(app) == before
    page.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_an_allowed_origin_can_start_a_run_where_the_browser_names_it(
    browser: Any, tmp_path: Path, other_port: int, host: str
) -> None:
    """For an image it does not."""
    friend = f"http://{host}:{other_port}"
    environment = {"QUART_LANARKY_ALLOWED_ORIGINS": json.dumps([friend])}
    with served("tests.faults.app:app", tmp_path, **environment) as app:
        page = browser.new_page()
        page.goto(friend)
        assert page.evaluate(OPEN_A_WEBSOCKET, app.ws_url + SOCKET)[-1:] == ["end"]
        assert runs(app) == 1
        page.evaluate(FETCH, [app.url + PATH, {}])  # the page cannot read the answer
        assert runs(app) == 2
        page.evaluate(LOAD_AN_IMAGE, app.url + PATH)
        page.evaluate(FETCH, [app.url + PATH, {"mode": "no-cors"}])
        assert runs(app) == 2
        page.close()


def test_over_plain_http_a_page_elsewhere_that_the_browser_names_is_refused(
    browser: Any, app: Server
) -> None:
    """To a host that is not of this machine a browser sends no `Sec-Fetch-Site`."""
    before = runs(app)
    page = browser.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="a page"))
    page.goto("http://evil.example/")
    asked: list[dict[str, str]] = []

    def pass_on(route: Any) -> None:
        asked.append(route.request.all_headers())
        named = {"Host": "chat.example", "Referer": asked[-1]["referer"]}
        answer = httpx.get(route.request.url.replace("http://chat.example", app.url), headers=named)
        route.fulfill(status=answer.status_code, body=answer.content)

    page.route("http://chat.example/**", pass_on)
    page.evaluate(LOAD_AN_IMAGE, f"http://chat.example{PATH}")
    assert [headers["referer"] for headers in asked] == ["http://evil.example/"]
    assert "sec-fetch-site" not in asked[0]
    assert runs(app) == before
    page.close()


def test_a_page_that_offers_a_subprotocol_gets_no_websocket(app: Server, own_page: Any) -> None:
    opened = """url => new Promise(resolve => {
        const socket = new WebSocket(url, ["chat"]);
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
    })"""
    assert own_page.evaluate(opened, app.ws_url + SOCKET) is False


def test_a_page_whose_name_points_to_this_machine_can_ask_nothing(
    browser: Any, app: Server
) -> None:
    before = runs(app)
    mapped = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    engine = browser.browser_type
    with engine.launch(executable_path=CHROMIUM, args=["--no-sandbox", mapped]) as rebound:
        page, origin = rebound.new_page(), f"http://evil.example:{app.port}"
        page.goto(f"{origin}/ping")  # a view of the app's, which the check is not for
        assert page.evaluate("fetch('/ping').then(answer => answer.text())") == "pong"
        status = "([path, options]) => fetch(path, options).then(answer => answer.status)"
        post = {
            "method": "POST",
            "body": '{"question": "x"}',
            "headers": {
                "Content-Type": "application/json",
                "X-Forwarded-For": "192.0.2.1",
                "X-Forwarded-Host": "localhost",
            },
        }
        assert page.evaluate(status, ["/paced?delay=0&count=1", post]) == 400
        assert page.evaluate(status, [PATH, {}]) == 400
        assert page.evaluate(OPEN_A_WEBSOCKET, f"ws://evil.example:{app.port}{SOCKET}") == []
        assert page.evaluate(OPEN_AN_EVENT_SOURCE, PATH) == [CLOSED]
    assert runs(app) == before


class Page(BaseHTTPRequestHandler):
    """A page of another server."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *args: object) -> None: ...


@pytest.fixture(scope="module")
def other_port() -> Iterator[int]:
    with answering(Page) as port:
        yield port
