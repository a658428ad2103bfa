"""The numbered examples in Chromium: the chat page of 11, and every route in the playground."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.examples.numbered import ASKED, EXAMPLES, Asked, number, numbered, started
from tests.servers import Server

QUESTION = "Why does nginx hold back my events?"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def chat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(numbered("11"), tmp_path_factory.mktemp("11")) as server:
        yield server


at_all_widths = pytest.mark.parametrize("page", [360, 1280], ids=["phone", "desk"], indirect=True)


@pytest.fixture
def page(browser: Any, chat_server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the chat page. It must contact no other host, show no dialog and log no error."""
    width = getattr(request, "param", 360)
    page = browser.new_page(viewport={"width": width, "height": 700})
    asked: list[str] = []
    wrong: list[Any] = []
    page.on("request", lambda each: asked.append(each.url))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(error))  # noqa: PLW0108  # it is marked
    page.on("console", lambda said: wrong.append(said.text) if is_page_error(said) else None)
    page.goto(f"{chat_server.url}/")
    page.wait_for_function("document.activeElement.id === 'question'")  # once it has been drawn
    yield page
    assert wrong == []
    assert [url for url in asked if not url.startswith((chat_server.url, "data:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def is_page_error(said: Any) -> bool:
    """Return whether a console message is an error of the page; those about a status are not."""
    return said.type == "error" and "Failed to load resource" not in said.text


def ask(page: Any, question: str = QUESTION) -> Any:
    """Ask with the keyboard alone, right after the page was opened; return the answer."""
    page.keyboard.type(question)
    page.keyboard.press("Enter")
    return page.get_by_role("article").last


def wait_for_word(answer: Any) -> None:
    answer.locator("p", has_text=re.compile(r"\w")).wait_for()


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id"))


def wait_for_end(page: Any) -> None:
    page.get_by_role("button", name="Ask").wait_for()


def answer_with(
    page: Any, events: Sequence[tuple[str, Any]] = (), status: int = 200, body: str = ""
) -> None:
    """Answer the page's questions in place of the server, with other events."""
    blocks = [f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events]
    kind = "text/event-stream" if status == 200 else "application/json"
    page.route(
        "**/chat",
        lambda route: route.fulfill(status=status, content_type=kind, body=body or "".join(blocks)),
    )


END = ("end", {"run_id": "1", "usage": None})


@at_all_widths
def test_an_answer_streams_and_its_sources_open(page: Any) -> None:
    answer = ask(page)
    wait_for_word(answer)
    assert answer.get_attribute("aria-busy") == "true"
    wait_for_end(page)
    assert answer.get_attribute("aria-busy") == "false"
    assert answer.locator("p").inner_text().startswith("A proxy such as nginx")
    quoted = answer.locator("blockquote").first
    assert not quoted.is_visible()
    answer.get_by_text("Sources (3)").click()
    assert quoted.is_visible()


def test_the_next_question_can_be_asked_at_once_and_has_the_history(page: Any) -> None:
    ask(page, "My name is Ada.")
    wait_for_end(page)
    answer = ask(page, "What is my name?")
    wait_for_end(page)
    assert answer.locator("p").inner_text() == "Your name is Ada."
    assert page.get_by_role("article").count() == 4


def test_the_stop_button_stops_the_answer_and_the_page_stays_usable(page: Any) -> None:
    answer = ask(page)
    wait_for_word(answer)
    page.get_by_role("button", name="Stop").click()
    assert page.get_by_role("status").inner_text() == "Stopped."
    wait_for_end(page)
    said = answer.locator("p").inner_text()
    page.wait_for_timeout(300)  # ten words
    assert answer.locator("p").inner_text() == said
    assert not said.endswith("once.")
    assert focused(page) == "question"
    answer = ask(page, "Who?")
    wait_for_end(page)
    assert "small local model" in answer.inner_text()


@at_all_widths
def test_markup_in_questions_answers_and_documents_is_shown_as_text(page: Any) -> None:
    document = {"page_content": HOSTILE, "metadata": {"title": HOSTILE}, "id": None}
    sources = ("source_documents", {"source_documents": [document]})
    answer_with(page, [("completion", {"token": HOSTILE}), sources, END])
    answer = ask(page, HOSTILE)
    wait_for_end(page)
    answer.get_by_text("Sources (1)").click()
    assert page.get_by_role("article").first.locator("p").inner_text() == HOSTILE
    for place in ("p", "strong", "blockquote"):
        assert answer.locator(place).inner_text() == HOSTILE
    assert page.locator("main img, article img, article script").count() == 0


@at_all_widths
def test_focus_moves_when_the_focused_button_disappears(page: Any) -> None:
    page.keyboard.type(QUESTION)
    page.keyboard.press("Tab")
    assert focused(page) == "ask"
    page.keyboard.press("Enter")
    assert focused(page) == "stop"
    page.keyboard.press("Enter")
    wait_for_end(page)
    assert focused(page) == "question"


def test_the_page_scrolls_with_a_long_answer_unless_the_user_has_scrolled_up(page: Any) -> None:
    far_down = "innerHeight + scrollY > document.body.scrollHeight - 50"
    for _ in range(2):
        ask(page, "What is a token?")
        wait_for_end(page)
        assert page.evaluate(far_down)
    answer = ask(page, "What is a token?")
    wait_for_word(answer)
    page.evaluate("scrollTo(0, 0)")
    wait_for_end(page)
    assert page.evaluate("scrollY") == 0


def test_retracted_tokens_disappear(page: Any) -> None:
    tokens = [("completion", {"token": token}) for token in ("Let me", " see.")]
    then = [("retract", {"tokens": 2}), ("completion", {"token": "42"}), END]
    answer_with(page, [*tokens, *then])
    answer = ask(page)
    wait_for_end(page)
    assert answer.locator("p").inner_text() == "42"


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"events": [("error", {"status_code": 500, "detail": "It broke."}), END]}, "It broke."),
        ({"events": [("completion", {"token": "Half an"})]}, "The connection was lost."),
        ({"status": 503, "body": '{"detail": "Too many ask now."}'}, "Too many ask now."),
        ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "the server answered with status 502"),
    ],
    ids=["error event", "lost connection", "busy server", "proxy's page"],
)
def test_an_error_is_shown_and_the_page_stays_usable(page: Any, told: Any, shown: str) -> None:
    answer_with(page, **told)
    answer = ask(page)
    wait_for_end(page)
    assert answer.locator(".error").inner_text() == shown
    page.unroute("**/chat")
    answer = ask(page, "What is a token?")
    wait_for_end(page)
    assert answer.locator("p").inner_text().startswith("A token is")


def test_the_reason_of_a_refused_question_is_shown(page: Any) -> None:
    page.evaluate("document.querySelector('textarea').removeAttribute('maxlength')")
    page.get_by_label("Your question").fill("x" * 2001)
    page.keyboard.press("Enter")
    wait_for_end(page)
    shown = page.locator(".error").inner_text()
    assert "question: String should have at most 2000 characters" in shown


@at_all_widths
def test_all_controls_have_accessible_names_and_the_transcript_has_the_role_log(page: Any) -> None:
    assert page.get_by_role("textbox", name="Your question").is_visible()
    assert page.get_by_role("log", name="Conversation").count() == 1
    assert page.get_by_role("heading", name="Ask the library").is_visible()
    assert not page.get_by_role("button", name="Stop").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark(
    browser: Any, chat_server: Server, scheme: str
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{chat_server.url}/")
    ask(page)
    wait_for_end(page)
    for selector in (
        "h1",
        ".user h2",
        ".user p",
        "article:last-of-type h2",
        "summary",
        "blockquote",
    ):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    page.close()


# The contrast of WCAG 2 between a text and its ground; that of the form is the page's.
CONTRAST = """(selector) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (color) => {
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)]
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
      .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
  };
  const text = document.querySelector(selector);
  const ground = text.closest(".user") ?? document.querySelector("form");
  const pair = [getComputedStyle(text).color, getComputedStyle(ground).backgroundColor].map(light);
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""


# -- every route in the playground -----------------------------------------------------------

BEHIND_LOGIN = [Asked("/chat", {"question": "Who may ask here?"}, "Whoever has signed in")]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.stem)
def test_the_routes_of_an_example_answer_in_the_playground_over_both_transports(
    browser: Any, tmp_path: Path, example: Path
) -> None:
    with started(example, tmp_path, LANARKY_DELAY="0.002") as server:
        player = Player(browser, server.url)
        if number(example) == "09":
            sign_in(player)
        for asked in ASKED[number(example)] or BEHIND_LOGIN:
            for transport in transports_of(asked):
                fill_in(player.go(asked.path, transport), asked)
                assert words(player.send()).startswith(words(asked.answer)), (asked.path, transport)
        player.close()


def test_the_chat_with_memory_remembers_in_its_own_tab_alone(browser: Any, tmp_path: Path) -> None:
    names = ("Ada", "Alan")
    with started(numbered("03"), tmp_path) as server:
        tabs = [Player(browser, server.url).go() for _ in names]
        for tab, name in zip(tabs, names, strict=True):
            tab.ask(f"My name is {name}.")
        for tab, name in zip(tabs, names, strict=True):
            assert tab.ask("What is my name?") == f"Your name is {name}."
            tab.close()


def sign_in(player: Player) -> None:
    page = player.page
    page.goto(f"{player.url}/login")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("lovelace")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/playground")


def transports_of(asked: Asked) -> list[str]:
    is_offered = [asked.over_http, asked.socket_path]
    return [name for name, is_there in zip(TRANSPORTS, is_offered, strict=True) if is_there]


def fill_in(player: Player, asked: Asked) -> None:
    """Fill in the form of a route, whether it is a question alone or has further fields."""
    form = player.page.get_by_role("form", name="Ask")
    folded = form.locator("details:not([open]) summary")
    while folded.count():
        folded.first.click()
    for name, value in {**dict(parse_qsl(asked.query[1:])), **asked.inputs}.items():
        form.get_by_label(name).first.fill(str(value))


def words(text: str) -> str:
    """Return a text without Markdown syntax, which the playground renders."""
    return " ".join(re.findall(r"\w+", text))
