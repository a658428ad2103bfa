"""Nothing but the answer leaves a route that shows nothing.

Each marker word has a Q, which nothing else has, and which no model cuts in two.
"""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.tools import ToolRuntime
from langchain_core.callbacks import adispatch_custom_event
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langgraph.config import get_stream_writer
from langgraph.graph import START, MessagesState, StateGraph
from quart import Quart

from quart_lanarky import LanarkyExtension
from tests.conformance.models import Kit, Reply, after_tools, calls

INPUTS = {"messages": [{"role": "user", "content": "Rain?"}]}
ANSWER = "X"
MARKS = {
    "tools": ("Q_tool_name", "Q_tool_args", "Q_tool_result", "Q_tool_progress"),
    "reasoning": ("Q_reasoning",),
    "steps": ("Q_step_of_a_node", "Q_step_of_an_agent"),
    "custom": ("Q_custom_written", "Q_custom_name", "Q_custom_data"),
}


@tool("Q_tool_name")
async def look(city: str, runtime: ToolRuntime[Any, Any]) -> str:
    """Look out of the window."""
    if emit := getattr(runtime, "emit_output_delta", None):  # an older LangGraph has none
        emit("Q_tool_progress")
    runtime.stream_writer({"said": "Q_custom_written"})
    return "Q_tool_result"


async def report(state: MessagesState) -> dict[str, Any]:
    get_stream_writer()("Q_custom_written")
    await adispatch_custom_event("Q_custom_name", {"value": "Q_custom_data"})
    return {}


def marked(kit: Kit) -> Runnable[Any, Any]:
    call = calls("Q_tool_name", city="Q_tool_args").calls
    script = after_tools(
        Reply(calls=call, thought="Q_reasoning"), Reply(ANSWER, thought="Q_reasoning")
    )
    agent = create_agent(kit.chat(script), [look], name="Q_step_of_an_agent")
    graph = StateGraph(MessagesState)
    graph.add_node("Q_step_of_a_node", report)
    graph.add_node("Q_step_of_an_agent", agent)
    graph.add_edge(START, "Q_step_of_a_node")
    graph.add_edge("Q_step_of_a_node", "Q_step_of_an_agent")
    return graph.compile()


def app_that_shows(*show: str) -> Quart:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    for mode in ("json", "text"):
        for behaviour in ("stream", "whole", "sync"):
            chain = marked(Kit(behaviour))  # type: ignore[arg-type]
            lanarky.add_chain(f"/{mode}/{behaviour}", chain, mode=mode, show=show)
    return app


async def sent(app: Quart, path: str, transport: str) -> str:
    """Return all that leaves, as text."""
    if transport == "ws":
        return await frames(app, f"{path}/ws")
    accept = {"json": "application/json", "sse": "text/event-stream"}[transport]
    response = await app.test_client().post(path, json=INPUTS, headers={"Accept": accept})
    return f"{response.headers}\n{await response.get_data(as_text=True)}"


async def frames(app: Quart, path: str) -> str:
    got: list[str] = []
    async with app.test_client().websocket(path) as socket:
        await socket.send_json(INPUTS)
        while not got or '"end"' not in got[-1]:
            got.append(str(await socket.receive()))
    return "\n".join(got)


each_transport = pytest.mark.parametrize("transport", ["sse", "json", "ws"])
each_mode = pytest.mark.parametrize("mode", ["json", "text"])
each_behaviour = pytest.mark.parametrize("behaviour", ["stream", "whole", "sync"])


@each_transport
@each_mode
@each_behaviour
async def test_a_route_that_shows_nothing_sends_no_marker(
    transport: str, mode: str, behaviour: str
) -> None:
    async with app_that_shows().test_app() as app:
        text = await sent(app, f"/{mode}/{behaviour}", transport)
    assert ANSWER in text
    assert "Q" not in text


@each_transport
@each_mode
async def test_a_route_sends_the_marker_of_what_it_shows_alone(transport: str, mode: str) -> None:
    async with app_that_shows("reasoning").test_app() as app:
        text = await sent(app, f"/{mode}/whole", transport)
    others = [mark for name, marks in MARKS.items() if name != "reasoning" for mark in marks]
    assert [mark for mark in others if mark in text] == []
    assert ("Q_reasoning" in text) == (transport != "json")


async def test_a_request_may_ask_for_less() -> None:
    async with app_that_shows("reasoning").test_app() as app:
        for path in ("/json/whole", "/json/whole?show=reasoning"):
            assert "Q_reasoning" in await sent(app, path, "sse")
        assert "Q" not in await sent(app, "/json/whole?show=", "sse")


async def test_the_markers_are_in_the_run() -> None:
    """All of them are there to be sent: what LangGraph itself streams has each."""
    graph = marked(Kit("stream"))
    seen = [
        repr(part)
        async for part in graph.astream(
            INPUTS, stream_mode=["updates", "messages", "custom"], subgraphs=True
        )
    ]
    events = [repr(event) async for event in graph.astream_events(INPUTS, version="v2")]
    text = "\n".join(seen + events)
    marks = {mark for marks in MARKS.values() for mark in marks} - {"Q_tool_progress"}
    assert {mark for mark in marks if mark not in text} == set()
