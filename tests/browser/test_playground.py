"""The playground in a real browser: every kind of route is asked, over both transports."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.servers import Server, hypercorn

over_both = pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])


@pytest.fixture
def player(browser: Any, shapes: Server) -> Iterator[Player]:
    player = Player(browser, shapes.url)
    yield player
    player.close()


# -- the demo --------------------------------------------------------------------------------


@over_both
@pytest.mark.parametrize(
    ("route", "question", "answer"),
    [
        ("/chat", "How does a browser resume a stream?", "Last-Event-ID"),
        ("/qa", "How does BM25 rank documents?", "BM25 is a formula"),
        ("/agent", "What is 17 * 23?", "17 * 23 = 391"),
    ],
    ids=["chat", "qa", "agent"],
)
def test_each_route_of_the_demo_app_answers(
    browser: Any, demo: Server, transport: str, route: str, question: str, answer: str
) -> None:
    player = Player(browser, demo.url).go(route, transport)
    assert answer in player.ask(question)
    numbers = player.turn.locator(".numbers").inner_text()
    for shown in ("first token", "tokens/s", "total", "usage", "run "):
        assert shown in numbers
    player.close()


@over_both
@pytest.mark.parametrize("route", ["/chat", "/qa", "/agent"])
def test_each_route_of_the_demo_app_has_an_example_to_click(
    browser: Any, demo: Server, transport: str, route: str
) -> None:
    player = Player(browser, demo.url).go(route, transport)
    example = player.page.locator(".examples button")
    question = example.inner_text()
    example.click()
    assert player.box.input_value() == question
    assert player.box.evaluate("e => e === document.activeElement")
    player.page.keyboard.press("Enter")
    assert len(player.wait()) > 10
    assert player.turn.locator(".asked").inner_text() == question
    player.close()


def test_sources_are_shown_as_expandable_cards(browser: Any, demo: Server) -> None:
    player = Player(browser, demo.url).go("/qa")
    player.ask("How does BM25 rank documents?")
    card = player.turn.locator(".source").first
    assert "Keyword search with BM25" in card.locator("summary").inner_text()
    assert not card.locator(".content").is_visible()
    card.locator("summary").click()
    assert "it is hard to beat for names" in card.locator(".content").inner_text().replace(
        "\n", " "
    )
    assert "retrieval.md" in card.locator("dl").inner_text()
    player.close()


# -- every shape of input --------------------------------------------------------------------


def test_the_playground_lists_only_chain_routes(player: Player) -> None:
    listed = player.go().page.locator("#routes code").all_inner_texts()
    assert "/recite" in listed
    assert "/socket" in listed
    assert not {"/recite/ws", "/login", "/seen/{key}", "/playground"} & set(listed)
    assert len(listed) == len(set(listed))


@over_both
@pytest.mark.parametrize("route", ["/recite", "/recite/text"])
def test_tokens_are_shown_unchanged(player: Player, transport: str, route: str) -> None:
    tokens = ["Hel", "lo,", " wor", "ld\n", "second line", " “ünï” ", "🎈"]
    player.go(route, transport).ask(json.dumps(tokens))
    player.turn.get_by_role("button", name="Plain text").click()
    assert player.answer.text_content() == "".join(tokens)


@over_both
def test_a_form_sends_only_fields_that_are_filled_in(player: Player, transport: str) -> None:
    player.go("/form", transport)
    player.field("text").fill("two\nlines")
    assert json.loads(player.send()) == {
        "text": "two\nlines",
        "count": 3,
        "ratio": None,
        "flag": False,
        "colour": "red",
        "tags": [],
        "extra": {},
    }
    player.field("count").fill("7")
    player.field("ratio").fill("0.25")
    player.field("flag").check()
    player.field("colour").select_option("blue")
    player.field("tags").fill("a b\nc")
    player.field("extra").fill('{"deep": [1, null]}')
    player.send()
    player.turn.get_by_role("button", name="Plain text").click()
    assert json.loads(player.answer.inner_text()) == {
        "text": "two\nlines",
        "count": 7,
        "ratio": 0.25,
        "flag": True,
        "colour": "blue",
        "tags": ["a b", "c"],
        "extra": {"deep": [1, None]},
    }
    player.keep(f"form-{transport[:3].lower()}")


@over_both
def test_a_chain_of_messages_gets_the_earlier_turns(player: Player, transport: str) -> None:
    player.go("/messages", transport)
    assert player.ask("one") == "human: one"
    assert player.ask("two") == "human: one | ai: human: one | human: two"
    player.page.get_by_label("Send earlier messages too").uncheck()
    assert player.ask("three") == "human: three"


def test_a_history_field_gets_the_earlier_turns(player: Player) -> None:
    player.go("/history")
    assert player.ask("one") == "human: one"
    assert player.ask("two") == "human: one | ai: human: one | human: two"


def test_earlier_messages_are_not_sent_if_the_server_keeps_the_history(player: Player) -> None:
    player.go("/threads/{thread_id}")
    assert not player.page.get_by_label("Send earlier messages too").is_checked()
    player.field("thread_id").fill("a/b?c#d")
    player.ask("one")
    player.see("Status 404")  # a part of the path has no slash, and the page says what came
    player.field("thread_id").fill("ä?c#d")
    assert player.ask("one") == "human: one"
    assert player.ask("two") == "human: two"


@over_both
def test_earlier_messages_are_not_sent_if_the_chain_keeps_them(
    player: Player, transport: str
) -> None:
    player.go("/remembering", transport)
    assert not player.page.get_by_label("Send earlier messages too").is_checked()
    assert player.ask("one") == "one"
    assert player.ask("two") == "one, one, two"


@over_both
def test_parameters_are_sent_in_the_path_and_the_query_string(
    player: Player, transport: str
) -> None:
    player.go("/parameters/{number}", transport)
    player.field("number").fill("7")
    player.field("needed").fill("a & b")
    player.field("k").fill("5")
    player.field("colour").select_option("blue")
    player.field("names").fill("x\ny z")
    player.field("flag").check()
    assert json.loads(player.ask("?")) == {
        "number": 7,
        "needed": "a & b",
        "k": 5,
        "colour": "blue",
        "names": ["x", "y z"],
        "flag": True,
    }


def test_entered_values_are_kept_when_switching_routes(player: Player) -> None:
    player.go("/parameters/{number}").field("needed").fill("still here")
    player.box.fill("a draft")
    player.choose("/recite")
    assert player.box.input_value() == ""
    player.ask('["said"]')
    player.page.go_back()
    player.wait_to_be_at("/parameters/{number}")
    assert player.field("needed").input_value() == "still here"
    assert player.box.input_value() == "a draft"
    player.page.go_forward()
    player.wait_to_be_at("/recite")
    assert player.answer.inner_text() == "said"


def test_each_route_has_a_link(player: Player) -> None:
    player.go("/parameters/{number}")
    assert player.page.locator("h2 code").inner_text() == "/parameters/{number}"
    current = player.page.locator("#routes [aria-current=page] code")
    assert current.all_inner_texts() == ["/parameters/{number}"]


def test_a_get_only_route_gets_its_inputs_in_the_query_string(player: Player) -> None:
    player.go("/asking")
    player.field("k").fill("3")
    assert player.ask("what & why?") == "3: Human: what & why?"


def test_a_websocket_only_route_uses_the_websocket(player: Player) -> None:
    assert player.go("/socket").ask("you") == "all of you"


@pytest.mark.parametrize("route", ["/anything", "/text-or-object"])
def test_undeclared_inputs_are_entered_as_a_json_object(player: Player, route: str) -> None:
    player.go(route).field("inputs").fill('{"a": {"b": 1}}')
    assert json.loads(player.send()) == {"a": {"b": 1}}
    player.field("inputs").fill('{"a": ')
    player.page.get_by_role("button", name="Send").click()
    player.see("This is no JSON")
    assert player.page.locator("article.turn").count() == 1


@over_both
def test_a_route_with_one_known_input_and_any_others_has_a_box_and_json_for_the_others(
    player: Player, transport: str
) -> None:
    player.go("/open", transport)
    assert json.loads(player.ask("one")) == {"question": "one"}
    player.field("inputs").fill('{"user": {"id": 7}}')
    assert json.loads(player.ask("two")) == {"question": "two", "user": {"id": 7}}
    player.field("inputs").fill("7")
    player.start("three").see("Write a JSON object")
    assert player.page.locator("article.turn").count() == 2


@over_both
def test_a_form_with_any_other_inputs_has_json_for_them(player: Player, transport: str) -> None:
    player.go("/open-form", transport).field("a").fill("one")
    player.field("b").fill("2")
    player.field("inputs").fill('{"c": [3]}')
    assert json.loads(player.send()) == {"a": "one", "b": 2, "c": [3]}


@over_both
def test_an_input_without_a_type_takes_a_text_or_json(player: Player, transport: str) -> None:
    player.go("/untyped", transport)
    for text in ("plain text", "42"):
        assert json.loads(player.ask(text)) == text
    assert json.loads(player.ask(' {"a": [1, null]}')) == {"a": [1, None]}
    player.start('{"a": ').see("This is no JSON")
    assert player.page.locator("article.turn").count() == 3


# -- what comes beside tokens ----------------------------------------------------------------


@over_both
def test_custom_events_are_shown_as_notes(player: Player, transport: str) -> None:
    assert player.go("/notices", transport).ask("you") == "all of you"
    notes = player.turn.locator(".note")
    assert notes.locator("code").all_inner_texts() == ["asking", "note"]
    assert '{"messages":1,"colour":"red"}' in notes.first.inner_text()
    notes.nth(1).locator("summary").click()
    assert notes.nth(1).locator("pre").inner_text() == "two\nlines"


@over_both
def test_retracted_tokens_disappear(player: Player, transport: str) -> None:
    assert player.go("/fallback", transport).ask("you") == "all of you"
    player.turn.get_by_role("button", name="Events").click()
    names = player.page.locator("#drawer .name").all_inner_texts()
    assert names[:3] == ["completion", "completion", "retract"]
    assert names[-1] == "end"


@over_both
def test_an_error_shows_its_reason_and_run_id(player: Player, transport: str) -> None:
    player.go("/failing", transport).ask("x")
    problem = player.turn.locator(".problem")
    assert "The run failed with status 500" in problem.inner_text()
    assert "Internal Server Error" in problem.inner_text()
    assert len(problem.locator("code").inner_text()) == 36
    player.keep(f"error-{transport[:3].lower()}")


def test_an_answer_without_sources_has_no_cards(player: Player) -> None:
    player.go("/documents").ask("[]")
    assert player.turn.locator(".sources").inner_text() == "No sources were found."


@pytest.mark.parametrize(
    ("route", "texts"),
    [
        ("/busy", ["Status 503", "takes no more questions", "Try again in 7 seconds."]),
        ("/members", ["Status 401", "Unauthorized", "cookies of your browser"]),
        ("/forbidden", ["Status 403", "not you", "as your own session does"]),
        ("/led-away", ["This is not an answer", "/login", "perhaps to log in"]),
    ],
)
def test_the_reason_of_a_refused_request_is_shown(
    player: Player, route: str, texts: list[str]
) -> None:
    player.go(route).ask("x")
    for text in texts:
        assert text in player.turn.locator(".problem").inner_text()
    assert player.page.get_by_role("button", name="Send").is_visible()


def test_validation_errors_of_the_server_are_shown_at_their_fields(player: Player) -> None:
    player.go("/form").field("text").fill("taken")
    player.send()
    field = player.page.locator(".field", has=player.page.locator("[name=text]"))
    assert "somebody has that already" in field.locator(".wrong").inner_text()
    assert field.locator("textarea").get_attribute("aria-invalid") == "true"
    assert field.locator("textarea").evaluate("e => e === document.activeElement")
    player.keep("wrong-field")
    field.locator("textarea").fill("fine")
    assert not field.locator(".wrong").is_visible()


def test_the_examples_of_an_input_can_be_clicked(player: Player) -> None:
    player.go("/examples")
    examples = player.page.locator(".examples button")
    assert examples.all_inner_texts() == ["one", "two <b>", "three", "four"]
    player.box.fill("a draft")
    examples.nth(1).click()
    assert json.loads(player.send()) == {"name": "two <b>"}
    assert player.go("/recite").page.locator(".examples").count() == 0


def test_the_form_is_validated_before_it_is_sent(player: Player) -> None:
    player.go("/form").field("text").fill("fine")
    player.field("count").fill("99")
    player.page.get_by_role("button", name="Send").click()
    assert player.page.locator(".wrong:visible").count() == 1
    assert player.page.locator("article.turn").count() == 0


def test_the_validation_errors_of_a_websocket_are_shown_at_their_fields(player: Player) -> None:
    player.go("/form", "WebSocket").field("text").fill("taken")
    player.send()
    problem = player.turn.locator(".problem").inner_text()
    assert "Status 400" in problem
    assert "Nothing was run." in problem
    assert "log" not in problem
    field = player.page.locator(".field", has=player.page.locator("[name=text]"))
    assert "somebody has that already" in field.locator(".wrong").inner_text()
    assert field.locator("textarea").evaluate("e => e === document.activeElement")


@over_both
def test_an_error_of_a_provider_says_when_to_try_again(player: Player, transport: str) -> None:
    player.go("/limited", transport).ask("x")
    problem = player.turn.locator(".problem").inner_text()
    assert "status 429" in problem
    assert "Try again in 7 seconds." in problem
    assert "log" not in problem


@over_both
def test_a_failed_turn_does_not_affect_the_next(player: Player, transport: str) -> None:
    player.go("/name", transport).ask("taken")
    assert "somebody has that already" in player.turn.locator(".problem").inner_text()
    assert json.loads(player.ask("free")) == {"name": "free"}


# -- stopping, and tabs ----------------------------------------------------------------------


def asked(shapes: Server, key: str) -> int:
    count: int = httpx.get(f"{shapes.url}/seen/{key}").json()["asked"]
    return count


@over_both
@pytest.mark.parametrize("how", ["button", "key"])
def test_the_stop_button_stops_the_model(
    player: Player, shapes: Server, transport: str, how: str
) -> None:
    question = f"stop {transport} {how}"
    player.go("/paced", transport).start(question)
    player.page.wait_for_function(
        "() => document.querySelector('.turn .text').innerText.includes('5 ')"
    )
    if how == "button":
        player.page.get_by_role("button", name="Stop").click()
    else:
        player.page.keyboard.press("Escape")
    text = player.wait()
    player.see("You stopped the answer.")
    player.page.wait_for_timeout(300)  # whatever was on its way has been asked for by now
    count = asked(shapes, question)
    player.page.wait_for_timeout(600)
    assert asked(shapes, question) == count
    assert count >= len(text.split())
    assert player.page.get_by_role("button", name="Send").is_visible()
    if transport == "WebSocket":  # the turn was ended by the server, and the connection lives on
        player.turn.get_by_role("button", name="Events").click()
        assert player.page.locator("#drawer .name").last.inner_text() == "end"
        assert player.page.locator("#state").inner_text() == "Connected"
    player.field("count").fill("2")
    assert player.ask("after").split() == ["0", "1"]


@pytest.mark.parametrize("fragment", ["nope", "%", "/recite%2", "%E0%A4%A"])
def test_a_fragment_that_names_no_route_shows_the_first_and_says_so(
    browser: Any, shapes: Server, fragment: str
) -> None:
    player = Player(browser, shapes.url).go(fragment)
    first = player.page.locator("#routes code").first.inner_text()
    assert player.page.locator("#route h2").inner_text() == first
    note = player.page.locator("#route [role=status]")
    said = unquote(fragment, errors="strict") if fragment != "%E0%A4%A" else fragment
    assert note.inner_text() == f"There is no chain route {said}. This is {first}, the first one."
    player.choose("/form")
    assert note.count() == 0
    player.close()


def test_without_a_fragment_nothing_is_said_of_an_unknown_route(player: Player) -> None:
    assert player.go().page.locator("#route [role=status]").count() == 0


def test_the_connection_state_is_shown_again_after_a_visit_to_another_route(
    browser: Any, shapes: Server
) -> None:
    player = Player(browser, shapes.url).go("/recite", "WebSocket")
    player.ask("a b")
    assert player.page.locator("#state").inner_text() == "Connected"
    player.choose("/form")
    assert player.page.locator("#state").inner_text() == ""
    player.choose("/recite")
    assert player.page.locator("#state").inner_text() == "Connected"
    player.close()


@over_both
def test_two_tabs_get_only_their_own_answers(browser: Any, shapes: Server, transport: str) -> None:
    players = [Player(browser, shapes.url).go("/recite", transport) for _ in range(2)]
    words = [[f"{name}{n} " for n in range(300)] for name in "ab"]
    for player, tokens in zip(players, words, strict=True):
        player.start(json.dumps(tokens))
    for player, tokens in zip(players, words, strict=True):
        assert player.wait() == "".join(tokens).strip()
        player.close()


def test_an_answer_continues_while_another_route_is_shown(player: Player) -> None:
    player.go("/paced").field("count").fill("30")
    player.start("leave")
    player.choose("/recite")
    assert player.ask('["here"]') == "here"
    player.page.go_back()
    player.wait_to_be_at("/paced")
    assert player.wait().split()[-1] == "29"


# -- details ---------------------------------------------------------------------------------


def test_events_are_listed_as_they_arrive_and_can_be_copied(browser: Any, shapes: Server) -> None:
    may = ["clipboard-read", "clipboard-write"]
    player = Player(browser, shapes.url, permissions=may).go("/paced")
    player.start("events")
    player.turn.get_by_role("button", name="Events").click()
    player.page.locator("#drawer .events li").nth(4).wait_for()
    assert "paced" not in player.page.locator("#drawer").inner_text()
    player.page.keyboard.press("Escape")
    player.wait()
    player.page.get_by_role("button", name="Copy events").click()
    player.see("Copied")
    lines = player.page.evaluate("navigator.clipboard.readText()").splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0]["event"] == "completion"
    assert json.loads(events[0]["data"]) == {"token": "0 "}
    assert [e["milliseconds"] for e in events] == sorted(e["milliseconds"] for e in events)
    player.close()


def test_the_page_does_not_scroll_if_the_user_has_scrolled_up(player: Player) -> None:
    player.page.set_viewport_size({"width": 900, "height": 500})
    player.go("/paced").start("scroll")
    scroller = player.page.locator("#conversation")
    overflow = "() => { const e = document.querySelector('#conversation');"
    overflow += " return e.scrollHeight > e.clientHeight + 300 }"
    player.page.wait_for_function(overflow, timeout=30_000)
    distance = "e => e.scrollHeight - e.scrollTop - e.clientHeight"
    assert scroller.evaluate(distance) < 60
    scroller.evaluate("e => { e.scrollTop = 0 }")
    length = len(player.answer.inner_text())
    player.page.wait_for_function(
        f"() => document.querySelector('.turn .text').innerText.length > {length + 200}"
    )
    assert scroller.evaluate("e => e.scrollTop") == 0
    player.page.keyboard.press("Escape")
    player.wait()


# -- apps that have little to show -----------------------------------------------------------


@pytest.mark.parametrize(
    ("app_name", "texts"),
    [
        ("empty", ["Nothing to try", "@stream_chain"]),
        ("silent", ["The API specs cannot be read", "whose path was turned off"]),
        ("guarded", ["The API specs cannot be read", "Status 401", "log in"]),
    ],
)
def test_an_app_without_chain_routes_shows_how_to_add_one(
    browser: Any, tmp_path: Any, app_name: str, texts: list[str]
) -> None:
    with hypercorn(f"tests.browser.bare_apps:{app_name}", tmp_path) as server:
        player = Player(browser, server.url)
        player.page.goto(f"{server.url}/playground")
        for text in texts:
            player.see(text)
        player.keep(app_name)
        player.close()
