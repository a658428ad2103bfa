"""A classic chain's answer is streamed, and no intermediate output of its models."""

import pytest
from quart import Quart

from quart_lanarky.testing import answer_of, connect, stream

pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")

UNKNOWN = "small local model"


async def test_each_connection_has_its_own_memory(app: Quart) -> None:
    client = app.test_client()
    async with (
        connect(client, "/conversation/ws") as ada,
        connect(client, "/conversation/ws") as eve,
    ):
        tell = [event async for event in ada.ask("My name is Ada.")]
        assert answer_of(tell).startswith("Noted")
        ask = "What is my name?"
        assert answer_of([event async for event in ada.ask(ask)]) == "Your name is Ada."
        assert UNKNOWN in answer_of([event async for event in eve.ask(ask)])


async def test_the_first_answer_of_a_sequence_is_not_streamed(app: Quart) -> None:
    asked = stream(app.test_client(), "/sequence", json={"topic": "a token"})
    answer = answer_of([event async for event in asked])
    assert answer == "A token is the unit of text that a language model reads and writes."


async def test_the_standalone_question_is_not_streamed(app: Quart) -> None:
    inputs = {"question": "And what do tokens cost?", "chat_history": [["What is one?", "A word."]]}
    events = [event async for event in stream(app.test_client(), "/follow-up", json=inputs)]
    assert "And what" not in answer_of(events)
    assert answer_of(events).startswith("Output tokens tend to cost more than input tokens.")
    assert "retract" not in {event.name for event in events}


@pytest.mark.parametrize(
    ("path", "inputs"),
    [("/qa", {"query": "What is a token?"}), ("/follow-up", {"question": "What is a token?"})],
)
async def test_retrieval_chains_send_their_sources(
    app: Quart, path: str, inputs: dict[str, str]
) -> None:
    events = [event async for event in stream(app.test_client(), path, json=inputs)]
    assert [event.name for event in events[-2:]] == ["source_documents", "end"]
    assert events[-2].json()["source_documents"][0]["metadata"]["source"] == "tokens.md"
