"""What the nodes and the tools of an app send of their own."""

import json
from typing import Any

from langchain_core.callbacks import adispatch_custom_event, dispatch_custom_event
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import MessagesState, StateGraph
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.callbacks import CustomEventStreamingCallbackHandler
from quart_lanarky.adapters.langchain.testing import FunctionChatModel
from quart_lanarky.runs.run import Run
from quart_lanarky.testing import connect, stream
from tests.adapters.handlers.test_steps import row
from tests.runs.reading import events_of

MODEL = FunctionChatModel(function=lambda _, **__: AIMessage("Hi"))


async def working(state: MessagesState) -> dict[str, Any]:
    """Write, answer, and write again."""
    get_stream_writer()({"percent": 10})
    answer = await MODEL.ainvoke(state["messages"])
    get_stream_writer()("done")
    await adispatch_custom_event("note", [1, 2])
    return {"messages": [answer]}


def in_a_thread(state: MessagesState) -> dict[str, Any]:
    """Write in a function that is no coroutine, which runs in a thread."""
    get_stream_writer()({"who": HumanMessage("x")})
    dispatch_custom_event("noted", {"n": 1})
    return {"messages": [AIMessage("Hi")]}


def app_of(**chains: Any) -> Quart:
    app = Quart(__name__)
    extension = LanarkyExtension(app)
    for name, chain in chains.items():
        extension.add_chain(f"/{name}", chain, show=("custom",))
        extension.add_chain(f"/silent/{name}", chain)
    return app


async def events(app: Quart, path: str, inputs: Any = None) -> list[tuple[str, Any]]:
    sent = {"messages": "hi"} if inputs is None else inputs
    found = [each async for each in stream(app.test_client(), path, json=sent)]
    return [(each.name, each.json()) for each in found if each.name != "end"]


async def test_a_route_shows_what_nodes_write_in_its_order() -> None:
    app = app_of(graph=row(work=working).compile())
    assert await events(app, "/graph") == [
        ("custom", {"name": None, "data": {"percent": 10}}),
        ("completion", {"token": "Hi"}),
        ("custom", {"name": None, "data": "done"}),
        ("custom", {"name": "note", "data": [1, 2]}),
    ]
    assert await events(app, "/silent/graph") == [("completion", {"token": "Hi"})]


async def test_it_is_shown_on_a_websocket() -> None:
    app = app_of(graph=row(work=working).compile())
    async with connect(app.test_client(), "/graph/ws") as connection:
        found = [event async for event in connection.ask({"messages": "hi"})]
    assert [e.json()["data"] for e in found if e.name == "custom"] == [
        {"percent": 10},
        "done",
        [1, 2],
    ]


async def test_functions_in_threads_write_too() -> None:
    found = await events(app_of(graph=row(work=in_a_thread).compile()), "/graph")
    first, second = (data for name, data in found if name == "custom")
    assert first["name"] is None
    assert first["data"]["who"]["content"] == "x"
    assert second == {"name": "noted", "data": {"n": 1}}


async def test_a_graph_in_a_graph_says_where_it_is() -> None:
    inner = row(work=working).compile()
    found = await events(app_of(graph=row(team=inner).compile()), "/graph")
    places = [data["namespace"] for name, data in found if name == "custom"]
    assert [[step.partition(":")[0] for step in place] for place in places] == [["team"]] * 3


async def test_a_graph_in_a_sequence_writes_too() -> None:
    graph = row(work=working).compile()
    chain = graph | RunnableLambda(lambda state: state["messages"][-1])
    data = [
        d["data"] for name, d in await events(app_of(chain=chain), "/chain") if name == "custom"
    ]
    assert data == [{"percent": 10}, "done", [1, 2]]


async def test_a_graph_remembers_its_thread_as_ever() -> None:
    graph = row(work=working).compile(checkpointer=InMemorySaver())
    app = app_of(graph=graph)
    for _ in range(2):
        await events(app, "/graph?thread_id=a")
    config: Any = {"configurable": {"thread_id": "a"}}
    assert len((await graph.aget_state(config)).values["messages"]) == 4
    saved = [each async for each in graph.checkpointer.alist(config)]
    assert "__pregel" not in json.dumps([each.metadata for each in saved], default=str)


async def test_a_chain_without_a_graph_sends_what_it_dispatches() -> None:
    async def note(question: str) -> str:
        await adispatch_custom_event("note", {"asked": question})
        return question

    found = await events(app_of(chain=RunnableLambda(note)), "/chain", {"input": "hi"})
    assert found[0] == ("custom", {"name": "note", "data": {"asked": "hi"}})


async def test_by_hand_what_a_graph_streams_is_written() -> None:
    graph = StateGraph(MessagesState).add_node("work", working).add_edge("__start__", "work")
    handler = CustomEventStreamingCallbackHandler()

    async def ask() -> None:
        config: Any = {"callbacks": [handler]}
        async for written in graph.compile().astream(
            {"messages": [HumanMessage("hi")]}, config, stream_mode="custom"
        ):
            handler.write(written)

    names = [
        e.data["name"] for e in await events_of(Run(handler.stream, ask)) if e.name == "custom"
    ]
    assert sorted(map(str, names)) == ["None", "None", "note"]
