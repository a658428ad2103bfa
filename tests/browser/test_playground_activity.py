"""The playground shows what a run does besides answering: tools, reasoning, steps, files."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.browser.test_playground_access import BROKEN_REFERENCES, REPEATED_IDS, UNNAMED
from tests.servers import Server

over_all = [
    pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"]),
    pytest.mark.parametrize("route", ["/script/json", "/script/text"], ids=["json", "text"]),
]
EVIL = "<img src=x onerror=alert(1)>"
IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FABJADveWkH6o"
    "AAAAAElFTkSuQmCC"
)


@pytest.fixture
def player(browser: Any, scripts: Server) -> Iterator[Player]:
    player = Player(browser, scripts.url)
    player.page.on("dialog", lambda dialog: player.problems.append(f"dialog: {dialog.message}"))
    yield player
    player.close()


def in_both_modes_over_both_transports(test: Any) -> Any:
    for mark in over_all:
        test = mark(test)
    return test


def token(text: str) -> list[Any]:
    return ["completion", {"token": text}]


def call(id_: str, name: str = "search", **fields: Any) -> list[Any]:
    return ["tool_call", {"id": id_, "name": name, "args": {"query": "tea"}, **fields}]


def result(id_: str, content: Any = "found", status: str = "success") -> list[Any]:
    return ["tool_result", {"id": id_, "name": "search", "status": status, "content": content}]


def play(player: Player, *script: list[Any]) -> str:
    return player.ask(json.dumps(script))


# -- tools -----------------------------------------------------------------------------------


@in_both_modes_over_both_transports
def test_a_tool_is_shown_at_work_with_its_arguments_progress_and_result(
    player: Player, transport: str, route: str
) -> None:
    script = [
        call("1"),
        ["tool_progress", {"id": "1", "data": "1 of 2"}],
        ["sleep", 0.5],
        ["tool_progress", {"id": "1", "data": {"done": 2}}],
        result("1", "two cups"),
        token("Tea it is."),
    ]
    player.go(route, transport).start(json.dumps(script))
    tool = player.turn.locator(".tool")
    tool.get_by_text("running").wait_for()
    assert "1 of 2" in tool.inner_text()
    assert player.wait() == "Tea it is."
    assert tool.locator("summary").inner_text().split("\n") == ["search", "two cups", "done"]
    tool.locator("summary").click()
    assert json.loads(tool.locator("pre").first.inner_text()) == {"query": "tea"}
    assert tool.locator("li").all_inner_texts() == ["1 of 2", '{\n  "done": 2\n}']
    assert tool.locator("pre").last.inner_text() == "two cups"


def test_tools_stand_in_their_order_before_the_text_that_follows_them(player: Player) -> None:
    player.go("/script/json")
    play(
        player,
        token("Let me see."),
        call("1", "one"),
        ["retract", {"tokens": 1}],
        call("2", "two", namespace=["researcher", "inner"]),
        result("2"),
        result("1"),
        token("Seen."),
        ["custom", {"name": None, "data": {"after": True}}],
    )
    assert player.turn.locator(".notes summary").all_inner_texts() == [
        "one\nfound\ndone",
        "researcher \u203a inner \u203a\ntwo\nfound\ndone",
        'custom\n{"after":true}',
    ]
    text = player.turn.locator(".answer").inner_text()
    assert text.index("two") < text.index("Seen.") < text.index("custom")


def test_a_tool_that_failed_says_so(player: Player) -> None:
    player.go("/script/json")
    play(player, call("1"), result("1", "Tool failed", "error"))
    assert "failed" in player.turn.locator(".tool .status").inner_text()


def test_the_result_of_an_earlier_call_is_shown_without_its_arguments(player: Player) -> None:
    player.go("/script/json")
    play(player, result("elsewhere", ["blocks"]))
    assert player.turn.locator(".tool summary").inner_text() == 'search\n["blocks"]\ndone'
    assert player.turn.get_by_text("Arguments").count() == 0


@in_both_modes_over_both_transports
def test_a_tool_that_was_stopped_is_shown_as_cancelled_and_the_next_question_works(
    player: Player, transport: str, route: str
) -> None:
    script = [["step", {"name": "tools", "namespace": [], "status": "started"}], call("1")]
    player.go(route, transport).start(json.dumps([*script, ["sleep", 60]]))
    player.turn.locator(".tool").get_by_text("running").wait_for()
    player.page.keyboard.press("Escape")
    player.wait()
    assert player.turn.locator(".tool .status").inner_text() == "cancelled"
    assert "running" not in player.turn.locator(".steps").inner_text()
    player.see("You stopped the answer.")
    assert play(player, token("here")) == "here"


# -- reasoning, steps, custom events ---------------------------------------------------------


@in_both_modes_over_both_transports
def test_reasoning_is_folded_away_and_never_in_the_answer(
    player: Player, transport: str, route: str
) -> None:
    script = [
        ["reasoning", {"token": "12"}],
        ["reasoning", {"token": " **is** not"}],
        ["sleep", 0.4],
        ["reasoning", {"token": " 13"}],
        token("No."),
        ["reasoning", {"token": "Or is it?"}],
    ]
    player.go(route, transport).start(json.dumps(script))
    blocks = player.turn.locator(".reasoning")
    blocks.get_by_text("thinking").wait_for()
    blocks.first.locator("summary").click()
    assert blocks.first.locator("p").inner_text() == "12 **is** not"
    assert player.wait() == "No."
    assert blocks.locator("p").all_text_contents() == ["12 **is** not 13", "Or is it?"]
    assert blocks.get_by_text("thinking").count() == 0
    assert not blocks.last.locator("p").is_visible()


@in_both_modes_over_both_transports
def test_the_steps_say_what_is_going_on_now(player: Player, transport: str, route: str) -> None:
    def step(name: str, status: str, **fields: Any) -> list[Any]:
        return ["step", {"name": name, "namespace": [], "status": status, **fields}]

    script = [
        step("model", "started", agent="helper"),
        step("model", "finished", agent="helper"),
        step("tools", "started"),
        step("model", "started", namespace=["tools", "researcher"]),
        ["sleep", 0.5],
        step("model", "failed", namespace=["tools", "researcher"]),
        step("tools", "finished"),
        token("."),
    ]
    player.go(route, transport).start(json.dumps(script))
    steps = player.turn.locator(".steps")
    steps.get_by_text("tools, tools \u203a researcher \u203a model", exact=True).wait_for()
    player.wait()
    assert steps.locator("summary").inner_text().split("\n")[:2] == ["Steps", "3 in all"]
    steps.locator("summary").click()
    assert [" ".join(each.split()) for each in steps.locator("li").all_inner_texts()] == [
        "helper: model finished",
        "tools finished",
        "tools \u203a researcher \u203a model failed",
    ]


def test_many_entries_are_bounded_and_their_number_is_said(player: Player) -> None:
    player.go("/script/json")
    play(player, token("x"), *([["custom", {"name": "n", "data": n}] for n in range(700)]))
    assert player.turn.locator(".note").count() == 500
    assert "200 more are in Events." in player.turn.inner_text()


# -- files and citations ---------------------------------------------------------------------


@in_both_modes_over_both_transports
def test_files_that_came_with_the_answer_are_shown_and_others_are_links(
    player: Player, transport: str, route: str
) -> None:
    def media(type_: str, mime_type: str | None = None, **place: str) -> list[Any]:
        return ["media", {"type": type_, "mime_type": mime_type, **place}]

    svg = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIG9ubG9hZD0iYWxlcnQoMSkiLz4="
    player.go(route, transport)
    play(
        player,
        token("See."),
        media("image", "image/png", data=IMAGE),
        media("image", data=IMAGE),
        media("image", "image/svg+xml", data=svg),
        media("image", url=f"data:image/png;base64,{IMAGE}"),
        media("audio", "audio/wav", data="UklGRg=="),
        media("video", "video/mp4", data="AAAA"),
        media("file", "text/html", data="PGI+"),
        media("image", "text/html", data="PGI+"),
        media("image", "image/png", data='"><script>alert(1)</script>'),
        media("image", "image/png", url="https://elsewhere.example/a.png"),
        media("image", "image/png", url="javascript:alert(1)"),
        media("file", file_id="file-7"),
    )
    figures = player.turn.locator("figure")
    assert figures.count() == 12
    assert player.turn.locator("figure img").count() == 4
    loaded = "e => e.complete && e.naturalWidth"
    assert player.turn.locator("figure img").first.evaluate(loaded) == 10
    assert player.turn.locator("audio[controls]").count() == 1
    assert player.turn.locator("video[controls]").count() == 1
    downloads = player.turn.locator("a[download]")
    assert [each.get_attribute("href") for each in downloads.all()] == [
        "data:application/octet-stream;base64,PGI+"
    ] * 2
    assert figures.nth(8).locator("*").count() == 2  # its caption, and that it cannot be shown
    assert player.turn.locator("figure a[href^=https]").all_inner_texts() == [
        "https://elsewhere.example/a.png"
    ]
    assert "file-7" in figures.last.inner_text()


def test_citations_are_numbered_links_to_web_pages_alone(player: Player) -> None:
    def citation(url: str | None, title: str | None = None, text: str | None = None) -> list[Any]:
        place = {"start": 0, "end": 3}
        return ["citation", {**place, "url": url, "title": title, "cited_text": text}]

    player.go("/script/json")
    play(
        player,
        token("Tea is hot."),
        citation("https://tea.example/hot", "Hot tea", "It is hot."),
        citation("https://tea.example/hot", "Hot tea", "It is."),
        citation("javascript:alert(1)", "Trick"),
        citation("data:text/html,x", EVIL),
        citation("https://bank.example@evil.example/", None),
        citation(None, None),
    )
    items = player.turn.locator(".citations li")
    assert items.count() == 5
    assert player.turn.locator(".citations a").evaluate_all(
        "all => all.map(each => each.href)"
    ) == [
        "https://tea.example/hot",
        "https://evil.example/",
    ]
    assert items.nth(1).inner_text() == "Trick (javascript:alert(1))"
    assert EVIL in items.nth(2).inner_text()


def test_a_large_file_is_cut_in_the_list_of_events(player: Player) -> None:
    player.go("/script/json")
    play(player, ["media", {"type": "image", "mime_type": "image/png", "data": "A" * 100_000}])
    player.turn.get_by_role("button", name="Events").click()
    shown = player.page.locator("#drawer .data").first.inner_text()
    assert len(shown) < 21_000
    assert "characters; Copy has all" in shown


# -- what is not ours ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", EVIL])
def test_names_and_ids_are_texts_whatever_they_are(player: Player, name: str) -> None:
    player.go("/script/json")
    shown = play(
        player,
        [name, {"own": 1}],
        call(name, name, namespace=[name, EVIL]),
        ["tool_progress", {"id": name, "data": {name: EVIL}}],
        result(name, EVIL),
        ["step", {"name": name, "namespace": [EVIL], "status": "started", "agent": EVIL}],
        ["custom", {"name": name, "data": EVIL}],
        ["reasoning", {"token": EVIL}],
        token("safe"),
    )
    assert shown == "safe"
    for summary in player.turn.locator("summary").all():
        summary.click()
    text = player.turn.locator(".answer").inner_text()
    assert text.count(name) > 5
    assert player.page.locator("main img, main script").count() == 0
    assert player.turn.locator(".tool").count() == 1


def test_an_event_of_the_apps_own_with_one_of_our_names_is_a_note(player: Player) -> None:
    player.go("/script/json")
    names = ["tool_call", "tool_result", "step", "interrupt", "media", "citation", "custom"]
    assert play(player, *[[name, "text"] for name in names], token("fine")) == "fine"
    assert player.turn.locator(".note summary code").all_inner_texts() == names
    assert play(player, ["step", {"name": "x", "status": "s", "namespace": "y"}], token("x")) == "x"


# -- for everybody ---------------------------------------------------------------------------


def test_everything_that_is_shown_has_a_name_and_can_be_reached(player: Player) -> None:
    player.go("/script/json")
    play(
        player,
        call("1"),
        ["tool_progress", {"id": "1", "data": "half"}],
        result("1"),
        ["reasoning", {"token": "why"}],
        ["step", {"name": "a", "namespace": [], "status": "started"}],
        ["media", {"type": "image", "mime_type": "image/png", "data": IMAGE}],
        token("x"),
    )
    for summary in player.turn.locator("summary").all():
        summary.focus()
        player.page.keyboard.press("Enter")
    assert player.page.evaluate(UNNAMED) == []
    assert player.page.evaluate(BROKEN_REFERENCES) == []
    assert player.page.evaluate(REPEATED_IDS) == []
    assert player.turn.locator(".tool pre").first.is_visible()
