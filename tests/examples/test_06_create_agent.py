"""The agent calls both of its tools; its text before a call is buffered or retracted."""

import pytest
from quart import Quart

from quart_lanarky.testing import answer_of, stream

ASKED = {"messages": "What is 17 * 23, and 26.2 miles in km?"}
ANSWER = "- 26.2 miles = **42.1648 km**\n- 17 * 23 = **391**"
THOUGHT = "I will not guess, for there is a tool for that."


async def test_by_default_text_before_a_tool_call_is_not_sent(
    app: Quart,
) -> None:
    events = [event async for event in stream(app.test_client(), "/agent", json=ASKED)]
    assert answer_of(events) == ANSWER
    assert {event.name for event in events} == {"completion", "end"}
    assert "guess" not in str(events)


async def test_with_hold_tokens_0_text_before_a_tool_call_is_sent_and_retracted(
    app: Quart,
) -> None:
    events = [event async for event in stream(app.test_client(), "/agent/eager", json=ASKED)]
    names = [event.name for event in events]
    assert answer_of(events) == ANSWER
    assert answer_of(events[: names.index("retract")]).strip() == THOUGHT
    assert answer_of(events[: names.index("retract") + 1]) == ""


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many feet are 3 metres?", "3 metres = **9.84252 feet**"),
        ("5 kg into hours", "cannot convert mass into time"),
        ("What is 5 / 0?", "cannot divide by zero in '5 / 0'"),
        ("My name is Ada.", "Noted: “My name is Ada.”"),
    ],
)
async def test_the_answer_has_the_results_of_the_tools(
    app: Quart, question: str, answer: str
) -> None:
    events = [
        event async for event in stream(app.test_client(), "/agent", json={"messages": question})
    ]
    assert answer_of(events).startswith(answer)
