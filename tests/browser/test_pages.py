"""The pages of the API docs, in a real browser that reaches no other host."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server

SCREENSHOTS = os.environ.get("SCREENSHOTS")


class Visit:
    """A page, with what it asked other hosts for and what went wrong in it."""

    def __init__(self, browser: Any, server: Server, width: int = 1300) -> None:
        self.page: Any = browser.new_page(viewport={"width": width, "height": 900})
        self.outside: list[str] = []
        self.problems: list[str] = []
        self._server = server
        self.page.route("**/*", self._let_in)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._note_problem)

    def _note_problem(self, message: Any) -> None:
        """Note what breaks the Content-Security-Policy, and files that are not there."""
        if message.type == "error":
            self.problems.append(message.text)

    def _let_in(self, route: Any) -> None:
        if route.request.url.startswith((self._server.url, "data:")):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def open(self, operation: str) -> Any:
        """Open an operation on the page of the HTTP routes."""
        self.page.goto(f"{self._server.url}/docs")
        block = self.page.locator(f"#operations-default-{operation}")
        block.locator(".opblock-summary").click()
        block.locator(".opblock-body .response").first.wait_for()  # the body is empty at first
        return block

    def keep(self, name: str) -> None:
        """Save a screenshot if `SCREENSHOTS` is set."""
        if SCREENSHOTS:
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)


@pytest.fixture
def visit(browser: Any, demo: Server) -> Iterator[Visit]:
    visit = Visit(browser, demo)
    yield visit
    visit.page.close()
    assert visit.outside == []
    assert visit.problems == []


def test_the_http_docs_page_shows_inputs_and_responses(visit: Visit) -> None:
    page = visit.page
    text = visit.open("post_qa").locator(".opblock-body").inner_text()
    assert "Unable to render" not in page.inner_text("body")
    for name in ("completion", "retract", "source_documents", "error", "end"):
        assert name in text
    for shown in ('{"token": "A token"}', "How many sections to read.", "text/event-stream"):
        assert shown in text
    assert '"query"' in text
    schemas = page.locator("section.models")
    for name in ("QaEvent", "QaInput", "CompletionEvent", "CompletionData", "ErrorEvent"):
        schemas.get_by_text(name).first.wait_for()
    visit.keep("docs")


def test_the_http_docs_page_shows_an_example_stream_and_its_event_schemas(
    visit: Visit,
) -> None:
    response = visit.open("post_chat").locator(".response[data-code='200']")
    stream = 'event: completion\ndata: {"token": "A token"}\n\nevent:'
    assert stream in response.locator(".response-col_description__inner").inner_text()
    response.locator("select").first.select_option("text/event-stream")
    assert stream in response.locator("pre.example").inner_text()
    schemas = visit.page.locator("section.models")
    schemas.get_by_role("button", name="CompletionEvent").first.click()
    schemas.get_by_text("application/json").first.wait_for()
    visit.keep("docs-stream")


def test_a_question_can_be_asked_on_the_http_docs_page(visit: Visit) -> None:
    operation = visit.open("post_chat")
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("textarea.body-param__text").fill('{"question": "What is an event?"}')
    operation.locator("select[aria-label='Media Type']").first.select_option("text/event-stream")
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")  # not the examples below it
    answer.get_by_text("event: end").wait_for()
    assert answer.inner_text().count("event: completion\ndata: {") > 3
    visit.keep("docs-answer")


def test_the_websocket_docs_page_shows_inputs_and_events(visit: Visit, demo: Server) -> None:
    page = visit.page
    page.goto(f"{demo.url}/docs/websockets")
    page.get_by_role("heading", name="To /qa/ws").wait_for()
    for shown in (
        "From /qa/ws",
        "Messages of the client",
        "Events of the answer",
        "How many sections",
    ):
        page.get_by_text(shown).first.wait_for()
    for name in ("QaInput", "Completion", "SourceDocuments", "Stop"):
        page.get_by_text(name, exact=True).first.wait_for()
    visit.keep("websockets")


def test_the_http_docs_page_links_to_the_websocket_docs_page(visit: Visit, demo: Server) -> None:
    operation = visit.open("post_qa")
    with visit.page.expect_popup() as popup:
        operation.get_by_role("link", name="its API docs").click()
    assert popup.value.url == f"{demo.url}/docs/websockets"


def test_the_two_docs_pages_link_to_each_other(visit: Visit, demo: Server) -> None:
    page = visit.page
    page.goto(f"{demo.url}/docs")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="The WebSocket routes").click()
    assert popup.value.url == f"{demo.url}/docs/websockets"
    popup.value.get_by_role("link", name="The HTTP routes").click()
    assert popup.value.url == f"{demo.url}/docs"


@pytest.mark.parametrize("path", ["/docs", "/docs/websockets"])
def test_the_docs_pages_fit_a_phone(browser: Any, demo: Server, path: str) -> None:
    visit = Visit(browser, demo, width=390)
    visit.page.goto(demo.url + path, wait_until="networkidle")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390
    visit.keep(f"phone{path.replace('/', '-')}")
    visit.page.close()
