"""The playground asks for what a run waits for, and sends the answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.playing import TRANSPORTS, Player
from tests.browser.test_playground_access import (
    BROKEN_REFERENCES,
    REPEATED_IDS,
    UNNAMED,
    check_legible,
    focused,
)
from tests.servers import Server

over_both = pytest.mark.parametrize("transport", TRANSPORTS, ids=["sse", "websocket"])
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def player(browser: Any, scripts: Server) -> Iterator[Player]:
    player = Player(browser, scripts.url)
    player.page.on("dialog", lambda dialog: player.problems.append(f"dialog: {dialog.message}"))
    yield player
    player.close()


def interrupt(id_: str, value: Any, schema: Any = None, **fields: Any) -> dict[str, Any]:
    return {"id": id_, "value": value, "response_schema": schema, **fields}


def script_of(*interrupts: dict[str, Any]) -> str:
    return json.dumps([["interrupt", {"interrupts": list(interrupts)}]])


def ask(player: Player, *interrupts: dict[str, Any]) -> Any:
    """Ask what is answered by interrupts, and return their card."""
    player.ask(script_of(*interrupts))
    turns = player.page.locator("article.turn")
    return turns.nth(turns.count() - 1).locator(".interrupt")  # not of the last one, later


def send(player: Player, name: str = "Send answer") -> Any:
    """Send the answers of the last card, and return what the server got."""
    count = player.page.locator("article.turn").count()
    player.page.get_by_role("button", name=name).last.click()
    player.page.locator("article.turn").nth(count).wait_for()
    player.wait()
    player.turn.get_by_role("button", name="Plain text").click()
    return json.loads(player.answer.inner_text())


EMAIL = {"name": "send_email", "args": {"to": "anna"}, "description": "Please look at it."}
REMOVE = {"name": "delete_file", "args": {"path": "/a"}}
BATCH = {
    "action_requests": [EMAIL, REMOVE, EMAIL],
    "review_configs": [
        {"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject"]},
        {"action_name": "delete_file", "allowed_decisions": ["approve", "reject", "respond"]},
        {"action_name": "send_email", "allowed_decisions": ["approve", "edit", "reject"]},
    ],
}


# -- decisions -------------------------------------------------------------------------------


@over_both
@pytest.mark.parametrize("route", ["/script/json", "/script/text"], ids=["json", "text"])
def test_each_action_gets_a_decision_and_all_are_sent_together(
    player: Player, transport: str, route: str
) -> None:
    card = ask(player.go(route, transport), interrupt("a", BATCH))
    actions = card.locator(".action")
    assert actions.nth(0).locator(".options label").all_inner_texts() == [
        "Approve",
        "Edit",
        "Reject",
    ]
    assert actions.nth(1).locator(".options label").all_inner_texts() == [
        "Approve",
        "Reject",
        "Respond",
    ]
    assert "Please look at it." in actions.first.inner_text()
    actions.nth(0).get_by_label("Edit").check()
    actions.nth(0).get_by_label("Arguments", exact=True).fill('{"to": "bert"}')
    actions.nth(1).get_by_label("Respond").check()
    actions.nth(1).get_by_label("Answer in place of the tool").fill("It is gone.")
    actions.nth(2).get_by_label("Reject").check()
    actions.nth(2).get_by_label("Reason").fill("Not twice.")
    assert send(player) == {
        "a": {
            "decisions": [
                {"type": "edit", "edited_action": {"name": "send_email", "args": {"to": "bert"}}},
                {"type": "respond", "message": "It is gone."},
                {"type": "reject", "message": "Not twice."},
            ]
        }
    }
    assert "Answered" in card.inner_text()
    assert 'Edit send_email: {"to":"bert"}' in card.locator(".given").inner_text()
    assert card.locator("button:visible, input:visible, textarea:visible").count() == 0


def test_a_decision_has_to_be_made_and_to_be_whole(player: Player) -> None:
    card = ask(player.go("/script/json"), interrupt("a", BATCH))
    button = card.get_by_role("button", name="Send answer")
    button.click()
    assert card.locator(".wrong:visible").all_inner_texts() == ["Choose one of these."] * 3
    assert focused(player) == "Approve"
    for each in card.get_by_label("Approve").all():
        each.check()
    assert card.locator(".wrong:visible").count() == 0
    card.get_by_label("Edit").first.check()
    card.get_by_label("Arguments", exact=True).first.fill("[1]")
    button.click()
    assert "Write a JSON object" in card.locator(".wrong:visible").inner_text()
    card.get_by_label("Approve").first.check()  # what is hidden need not be right
    assert send(player)["a"]["decisions"] == [{"type": "approve"}] * 3


def test_one_call_of_a_tool_gets_one_decision_of_those_that_its_schema_has(player: Player) -> None:
    def decision(type_: str) -> dict[str, Any]:
        return {"type": "object", "properties": {"type": {"const": type_}}}

    schema = {
        "$defs": {each: decision(each) for each in ("approve", "reject")},
        "oneOf": [{"$ref": f"#/$defs/{each}"} for each in ("approve", "reject")],
    }
    value = {"type": "tool_approval", "tool_call_id": "1", **EMAIL}
    card = ask(
        player.go("/script/json"),
        interrupt("one", value, schema),
        interrupt("two", value, decision("approve")),
    )
    assert card.locator(".options label").all_inner_texts() == ["Approve", "Reject", "Approve"]
    card.get_by_label("Reject").check()
    card.get_by_label("Approve").last.check()
    assert send(player) == {"one": {"type": "reject"}, "two": {"type": "approve"}}


# -- forms -----------------------------------------------------------------------------------

SHAPE = {
    "type": "object",
    "properties": {
        "tone": {"$ref": "#/$defs/Tone"},
        "words": {"type": "integer", "minimum": 10},
        "urgent": {"type": "boolean"},
        "note": {"type": "string"},
        "deep": {"type": "object"},
    },
    "required": ["tone", "urgent"],
    "$defs": {"Tone": {"enum": ["formal", "friendly"]}},
}


@over_both
def test_an_answer_with_a_schema_is_a_form(player: Player, transport: str) -> None:
    card = ask(
        player.go("/script/json", transport),
        interrupt("yes", "May I?", {"type": "boolean"}),
        interrupt("no", "May I?", {"type": "boolean"}),
        interrupt("text", "Who?", {"type": "string"}),
        interrupt("number", "How many?", {"type": "number"}),
        interrupt("choice", {"which": "one"}, {"enum": ["a", 3]}),
        interrupt("object", "What?", SHAPE),
        interrupt("list", "Which?", {"type": "array", "items": {"type": "object"}}),
    )
    assert "7 questions wait for your answers" in card.inner_text()
    questions = card.locator(".question")
    questions.nth(0).get_by_label("Yes").check()
    questions.nth(1).get_by_label("No").check()
    questions.nth(2).get_by_label("Your answer", exact=True).fill("Anna\nand Bert")
    questions.nth(3).get_by_label("Your answer", exact=True).fill("2.5")
    questions.nth(4).get_by_label("3").check()
    questions.nth(5).get_by_label("tone").select_option("friendly")
    questions.nth(5).get_by_label("words").fill("12")
    questions.nth(5).get_by_label("deep").fill('{"a": [1]}')
    questions.nth(6).get_by_label("Your answer", exact=True).fill("[{}]")
    assert send(player) == {
        "yes": True,
        "no": False,
        "text": "Anna\nand Bert",
        "number": 2.5,
        "choice": 3,
        "object": {"tone": "friendly", "words": 12, "urgent": False, "deep": {"a": [1]}},
        "list": [{}],
    }
    assert card.locator(".given").all_inner_texts()[:4] == ["Yes", "No", "Anna\nand Bert", "2.5"]


def test_an_answer_without_a_schema_is_a_text_or_json(player: Player) -> None:
    card = ask(player.go("/script/json"), interrupt("a", "Who?"))
    assert "Who?" in card.inner_text()
    card.get_by_label("Your answer", exact=True).fill("42")
    assert send(player) == {"a": "42"}
    card = ask(player, interrupt("a", {"text": "Who?"}))
    card.get_by_label("as JSON", exact=True).check()
    card.get_by_label("Your answer, as JSON").fill("{")
    card.get_by_role("button", name="Send answer").click()
    assert "This is no JSON" in card.locator(".wrong:visible").inner_text()
    card.get_by_label("Your answer, as JSON").fill('{"n": null}')
    assert send(player) == {"a": {"n": None}}


@over_both
def test_a_step_at_which_a_graph_waits_has_a_button_to_go_on(
    player: Player, transport: str
) -> None:
    card = ask(player.go("/script/json", transport), interrupt("a", None, step="publish"))
    assert "The graph waits at the step publish." in card.inner_text()
    assert send(player, "Continue") == {"a": None}


# -- refused, and not answered ---------------------------------------------------------------


@over_both
def test_a_refused_answer_is_said_at_the_card_which_can_be_answered_again(
    player: Player, transport: str
) -> None:
    card = ask(player.go("/script/json", transport), interrupt("a", "Who?"))
    card.get_by_label("Your answer", exact=True).fill("refuse this")
    card.get_by_role("button", name="Send answer").click()
    card.locator(".problem").wait_for()
    assert "400" in card.locator(".problem strong").inner_text()
    assert "that is no answer" in card.locator(".problem").inner_text()
    assert player.page.locator("article.turn").count() == 1
    assert card.evaluate("card => card.contains(document.activeElement)")
    assert card.get_by_label("Your answer", exact=True).input_value() == "refuse this"
    card.get_by_label("Your answer", exact=True).fill("Anna")
    assert send(player) == {"a": "Anna"}
    assert card.locator(".problem").count() == 0


def test_no_answer_is_sent_while_another_one_is_in_progress(player: Player) -> None:
    card = ask(player.go("/script/json"), interrupt("a", "Who?"))
    player.start(json.dumps([["sleep", 60]]))
    card.get_by_label("Your answer", exact=True).fill("Anna")
    card.get_by_role("button", name="Send answer").click()
    assert "An answer is in progress" in card.locator(".problem").inner_text()
    player.page.keyboard.press("Escape")
    player.wait()
    assert send(player) == {"a": "Anna"}


@over_both
def test_a_question_can_be_asked_while_a_card_waits(player: Player, transport: str) -> None:
    ask(player.go("/script/json", transport), interrupt("a", "Who?"))
    assert player.ask('[["completion", {"token": "another"}]]') == "another"
    assert player.page.locator(".interrupt:not(.answered)").count() == 1


def test_an_answer_that_is_interrupted_again_is_asked_again(player: Player) -> None:
    ask(player.go("/script/json"), interrupt("a", "Who?")).get_by_label(
        "Your answer", exact=True
    ).fill("Anna")
    send(player)
    ask(player, interrupt("b", "And?")).get_by_label("Your answer", exact=True).fill("Bert")
    assert send(player) == {"b": "Bert"}
    assert player.page.locator(".interrupt.answered").count() == 2


def test_a_tool_that_waits_says_so_and_then_that_it_goes_on(player: Player) -> None:
    call = ["tool_call", {"id": "1", "name": "send_email", "args": {}}]
    player.go("/script/json").ask(json.dumps([call, *json.loads(script_of(interrupt("a", "?")))]))
    tool = player.page.locator(".tool .status")
    assert tool.inner_text() == "waits"
    player.turn.get_by_label("Your answer", exact=True).fill("yes")
    send(player)
    assert tool.inner_text() == "goes on below"


# -- for everybody ---------------------------------------------------------------------------


@over_both
def test_a_card_is_answered_by_keyboard(player: Player, transport: str) -> None:
    player.go("/script/json", transport)
    player.box.focus()
    keyboard = player.page.keyboard
    card = ask(player, interrupt("a", "May I?", {"type": "boolean"}), interrupt("b", "Who?"))
    assert card.evaluate("card => card === document.activeElement")
    assert player.page.locator("#announcer").inner_text() == "The run waits for your answer."
    keyboard.press("Tab")
    keyboard.press("Space")
    keyboard.press("Tab")
    keyboard.type("Anna")
    keyboard.press("Control+Enter")
    player.page.locator("article.turn").nth(1).wait_for()
    assert json.loads(player.wait()) == {"a": True, "b": "Anna"}
    assert focused(player).startswith("question")


def test_the_focus_stays_where_something_is_being_written(player: Player) -> None:
    script = [["sleep", 0.5], *json.loads(script_of(interrupt("a", "Who?")))]
    player.go("/script/json").start(json.dumps(script))
    player.box.fill("a draft")
    player.wait()
    player.turn.locator(".interrupt").wait_for()
    assert focused(player).startswith("question")


def test_a_screen_reader_finds_the_card_and_its_controls(player: Player) -> None:
    ask(player.go("/script/json"), interrupt("a", BATCH), interrupt("b", "x", {"type": "boolean"}))
    tree = player.page.locator("main").aria_snapshot()
    for part in (
        '- group "2 questions wait for your answers"',
        '- radiogroup "Decision about send_email"',
        '- radio "Approve"',
        '- button "Send answer"',
    ):
        assert part in tree
    assert player.page.evaluate(UNNAMED) == []
    assert player.page.evaluate(BROKEN_REFERENCES) == []
    assert player.page.evaluate(REPEATED_IDS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 360])
def test_a_card_is_legible_and_fits(browser: Any, scripts: Server, scheme: str, width: int) -> None:
    size = {"width": width, "height": 900}
    player = Player(browser, scripts.url, color_scheme=scheme, viewport=size).go("/script/json")
    card = ask(player, interrupt("a", BATCH), interrupt("b", "x" * 200, SHAPE))
    card.get_by_label("Edit").first.check()
    check_legible(player, f"interrupt-{scheme}-{width}")
    for each in card.get_by_label("Approve").all():
        each.check()
    send(player)
    check_legible(player, f"answered-{scheme}-{width}")
    player.close()


@pytest.mark.parametrize("name", ["__proto__", "constructor", EVIL, "a.b[c] d"])
def test_ids_names_and_values_are_texts_whatever_they_are(player: Player, name: str) -> None:
    shape = {"type": "object", "properties": json.loads(f'{{"{name}": {{"type": "string"}}}}')}
    action = {"name": name, "args": {name: EVIL}, "description": EVIL}
    card = ask(
        player.go("/script/json"),
        interrupt(name, EVIL, {"enum": [EVIL, name]}),
        interrupt("object", {name: EVIL}, shape),
        interrupt("action", {"action_requests": [action]}),
        interrupt("step", None, step=EVIL),
    )
    card.get_by_label(EVIL).first.check()
    card.locator(".question").nth(1).locator("textarea").fill(EVIL)
    card.get_by_label("Edit").check()
    answers = send(player)
    assert answers[name] == EVIL
    assert answers["object"] == {name: EVIL}
    edited = {"name": name, "args": {name: EVIL}}
    assert answers["action"] == {"decisions": [{"type": "edit", "edited_action": edited}]}
    assert player.page.locator("main img, main script").count() == 0


def test_a_text_that_turns_the_direction_around_is_shown_and_sent_as_it_is(player: Player) -> None:
    action = {"name": "pay", "args": {"to": "a\u202eb"}}
    card = ask(player.go("/script/json"), interrupt("a", {"action_requests": [action]}))
    assert "\\u202e" in card.locator("pre").inner_text()
    card.get_by_label("Edit").check()
    assert "\\u202e" in card.get_by_label("Arguments", exact=True).input_value()
    (decision,) = send(player)["a"]["decisions"]
    assert decision["edited_action"]["args"]["to"] == "a\u202eb"


@over_both
def test_a_new_conversation_begins_empty(player: Player, transport: str) -> None:
    ask(player.go("/script/json", transport), interrupt("a", "Who?"))
    player.start(json.dumps([["sleep", 60]]))
    player.page.get_by_role("button", name="New conversation").click()
    assert player.page.locator("article.turn").count() == 0
    assert focused(player).startswith("question")
    assert player.ask('[["completion", {"token": "anew"}]]') == "anew"
