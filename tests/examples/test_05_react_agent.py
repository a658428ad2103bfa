"""The answer of the agent is streamed, and what it thinks on the way is not."""

from quart import Quart

from quart_lanarky.testing import answer_of, connect, stream

ASKED = {"input": "What are 17 * 23 and 2 + 2?"}
ANSWER = "17 * 23 = 391 and 2 + 2 = 4"


async def test_over_http_only_the_final_answer_is_streamed(app: Quart) -> None:
    events = [event async for event in stream(app.test_client(), "/agent", json=ASKED)]
    assert answer_of(events) == ANSWER
    assert {event.name for event in events} == {"completion", "end"}
    assert len(events) > 3
    assert "Thought" not in str(events)


async def test_over_a_websocket_only_the_final_answer_is_streamed(
    app: Quart,
) -> None:
    async with connect(app.test_client(), "/agent/ws") as conversation:
        events = [event async for event in conversation.ask(ASKED)]
    assert answer_of(events) == ANSWER
    assert {event.name for event in events} == {"completion", "end"}
    assert "Thought" not in str(events)
