"""The local model as an agent that sends mails: it finds the address, asks, and takes an answer."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.tool import tool_call
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from examples import mail
from examples.local_model import LocalChatModel
from examples.mail import OUTBOX, find_address, send_mail

ASKED = "Tell Ada that the talk is on Friday."
SENT = ("ada@example.com", "The talk is on Friday.")
EDITED = {"to": "ada@example.com", "text": "The talk is on Monday."}

Say = Callable[[object], Any]


@pytest.fixture(autouse=True)
def outbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """Give an outbox that is empty before and after, and address books that are read at once."""
    monkeypatch.setattr(mail, "reading_seconds", lambda: 0.0)
    OUTBOX.clear()
    yield OUTBOX
    OUTBOX.clear()


@pytest.fixture
def say() -> Say:
    """Give a function that talks to one agent, on one thread."""
    ask_first = HumanInTheLoopMiddleware(interrupt_on={"send_mail": True})
    graph: Any = create_agent(
        LocalChatModel(delay=0),
        [find_address, send_mail],
        middleware=[ask_first],
        checkpointer=InMemorySaver(),
    )

    async def talk(said: object) -> str | None:
        """Return what the agent answers, or None if it asks."""
        inputs = {"messages": said} if isinstance(said, str) else Command(resume=said)
        result = await graph.ainvoke(inputs, {"configurable": {"thread_id": "1"}})
        return None if "__interrupt__" in result else result["messages"][-1].text

    return talk


def decision(**given: object) -> Mapping[str, object]:
    """Return the answer to what the middleware asks."""
    return {"decisions": [given]}


async def test_it_sends_what_is_approved(say: Say, outbox: list[tuple[str, str]]) -> None:
    assert await say(ASKED) is None
    assert outbox == []
    assert await say(decision(type="approve")) == "Sent to ada@example.com: The talk is on Friday."
    assert outbox == [SENT]


async def test_it_sends_what_was_edited(say: Say, outbox: list[tuple[str, str]]) -> None:
    assert await say("Write a mail to Ada: The talk is on Friday.") is None
    edited = {"name": "send_mail", "args": EDITED}
    told = await say(decision(type="edit", edited_action=edited))
    assert told == "Sent to ada@example.com: The talk is on Monday."
    assert outbox == [tuple(EDITED.values())]


async def test_it_sends_nothing_that_is_rejected_until_it_is_asked_again(
    say: Say, outbox: list[tuple[str, str]]
) -> None:
    assert await say(ASKED) is None
    told = str(await say(decision(type="reject", message="Not yet.")))
    assert told.startswith("I have sent nothing")
    assert await say("Do it.") is None
    assert await say(decision(type="reject")) == "I have sent nothing."
    assert outbox == []


async def test_it_says_whom_it_knows(say: Say) -> None:
    assert await say("Tell Bob that it rains.") == (
        "There is no Bob in the address books, but Ada, Alan, Grace, Lin."
    )


async def test_it_says_nothing_of_mails_when_it_is_asked_something_else(say: Say) -> None:
    assert str(await say("My name is Ada.")).startswith("Noted: “My name is Ada.”")
    assert "nothing in it answers “Go on.”" in str(await say("Go on."))


async def test_it_goes_on_after_a_call_that_was_cancelled() -> None:
    call = tool_call(name="find_address", args={"name": "Ada"}, id="1")
    before = [
        HumanMessage(ASKED),
        AIMessage("", tool_calls=[call]),
        ToolMessage("Cancelled.", tool_call_id="1", status="error"),
        HumanMessage("Go on."),
    ]
    model = LocalChatModel(delay=0).bind_tools([find_address, send_mail])
    (again,) = (await model.ainvoke(before)).tool_calls
    assert (again["name"], again["args"]) == ("find_address", {"name": "Ada"})
    assert again["id"] != "1"


async def test_the_search_for_an_address_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "reading_seconds", lambda: 60.0)
    model = LocalChatModel(delay=0)
    graph: Any = create_agent(model, [find_address, send_mail])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(graph.ainvoke({"messages": ASKED}), 1.0)
    assert OUTBOX == []
