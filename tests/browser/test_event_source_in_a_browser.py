"""An `EventSource` reconnects by itself: in a real browser, the model is called once."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.servers import Server, served

OPEN_AND_FORGET = """url => {
    window.events = [];
    window.source = new EventSource(url);
    for (const name of ["completion", "end", "message", "ping"])
        source.addEventListener(name, event => events.push(name));
}"""

OPEN, CLOSED = 1, 2


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("event-source")
    with served("tests.faults.app:app", folder, QUART_LANARKY_HEARTBEAT="0.05") as server:
        yield server


@pytest.fixture
def page(browser: Any, app: Server) -> Iterator[Any]:
    page = browser.new_page()
    page.goto(f"{app.url}/ping")
    yield page
    page.close()


@pytest.mark.parametrize("mode", ["json", "text"])
def test_a_page_that_never_closes_its_event_source_asks_the_model_once(
    app: Server, page: Any, mode: str
) -> None:
    question = str(uuid4())
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    path = {"json": "/quick", "text": "/quick/text"}[mode]
    page.evaluate(OPEN_AND_FORGET, f"{app.url}{path}?question={question}")
    page.wait_for_function(f"source.readyState === {CLOSED}", timeout=20_000)
    assert statuses == [200, 204]
    assert page.evaluate("events") == ["completion"] * 3 + ["end"]
    assert httpx.get(f"{app.url}/seen/{question}").json()["asked"] == 3


def test_heartbeats_are_not_dispatched_as_events(app: Server, page: Any) -> None:
    page.evaluate(OPEN_AND_FORGET, f"{app.url}/paced?delay=0.3&count=4&question=x")
    page.wait_for_function("events.at(-1) === 'end'")
    assert page.evaluate("events") == ["completion"] * 4 + ["end"]
    page.evaluate("source.close()")
