"""The client gets the tool and progress events, in order and as in the API specs."""

from types import ModuleType
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from quart import Quart

from examples.local_model import chat_model
from quart_lanarky import Run
from quart_lanarky.events.fold import Answer
from quart_lanarky.runs.registry import RunRegistry
from quart_lanarky.testing import answer_of, connect, stream
from tests.contract.judge import channel_addresses, messages_of

ASKED = {"messages": "What is back-pressure?"}
TITLES = [
    "What back-pressure is",
    "Back-pressure in the browser",
    "Where back-pressure comes from",
]


async def test_over_http_tool_and_progress_events_come_before_the_answer(app: Quart) -> None:
    check([event async for event in stream(app.test_client(), "/agent", json=ASKED)])


async def test_over_a_websocket_tool_and_progress_events_come_before_the_answer(app: Quart) -> None:
    async with connect(app.test_client(), "/agent/ws") as conversation:
        check([event async for event in conversation.ask(ASKED)])


def check(events: list[Any]) -> None:
    tool, *progress = [event for event in events if event.name in ("tool", "progress")]
    assert events[:4] == [tool, *progress]
    assert tool.json() == {"name": "search_library", "input": str({"query": ASKED["messages"]})}
    assert [event.json() for event in progress] == [
        {"reading": title, "done": done, "total": 3} for done, title in enumerate(TITLES, 1)
    ]
    assert answer_of(events).startswith("Back-pressure is the signal")


async def test_both_api_specs_have_the_payload_types(app: Quart) -> None:
    client = app.test_client()
    for name in ("openapi", "asyncapi"):
        document = await (await client.get(f"/{name}.json")).get_json()
        schemas = document["components"]["schemas"]
        assert set(schemas["Progress"]["properties"]) == {"reading", "done", "total"}
        assert set(schemas["ToolUse"]["properties"]) == {"name", "input"}
    (address,) = channel_addresses(document)
    sent = {message["name"] for message in messages_of(document, address, "send")}
    assert {"Tool", "Progress"} <= sent


async def test_a_handler_used_directly_does_not_send_tokens_of_a_model_in_a_tool(
    example: ModuleType,
) -> None:
    @tool
    async def search_library(query: str) -> str:
        """Ask a model."""
        asked = [("system", "Context: Tea is hot. Nobody may know."), ("human", query)]
        return (await chat_model().ainvoke(asked)).text

    handler = example.NoticesStreaming()
    agent = create_agent(chat_model(), [search_library])
    asked = {"messages": "Is tea hot?"}
    run = Run(handler.stream, lambda: agent.ainvoke(asked, {"callbacks": [handler]}))
    async with RunRegistry().read(run) as batches:
        events = [event async for batch in batches for event in batch]
    answer = Answer()
    for event in events:
        answer.add(event)
    assert answer.text == "Tea is hot."
    assert "retract" not in {event.name for event in events}
