"""Which steps of a graph, and of the graphs in it, begin and end."""

from itertools import pairwise
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from quart_lanarky.adapters.langchain.callbacks import StepStreamingCallbackHandler
from quart_lanarky.adapters.langchain.testing import FunctionChatModel
from quart_lanarky.runs.run import Run
from tests.runs.reading import events_of


async def steps_of(chain: Any, inputs: Any = None, **config: Any) -> list[tuple[Any, ...]]:
    """Return the steps as they are sent: how deep, their names, what has happened."""
    handler = StepStreamingCallbackHandler()

    async def ask() -> None:
        await chain.ainvoke(
            {"messages": "hi"} if inputs is None else inputs, {"callbacks": [handler], **config}
        )

    events = await events_of(Run(handler.stream, ask))
    return [
        (len(event.data["namespace"]), event.data["name"], event.data["status"])
        for event in events
        if event.name == "step"
    ]


def says(text: str) -> Any:
    return lambda _: {"messages": [AIMessage(text)]}


def row(**nodes: Any) -> Any:
    builder = StateGraph(MessagesState)
    names = [START, *nodes]
    for name, node in nodes.items():
        builder.add_node(name, node)
    for start, end in pairwise(names):
        builder.add_edge(start, end)
    return builder


async def test_each_step_begins_and_ends_once() -> None:
    assert await steps_of(row(one=says("1"), two=says("2")).compile()) == [
        (0, "one", "started"),
        (0, "one", "finished"),
        (0, "two", "started"),
        (0, "two", "finished"),
    ]


async def test_the_steps_of_a_graph_in_a_graph_say_where_they_are() -> None:
    inner = row(think=says("hm")).compile()
    assert await steps_of(row(team=inner).compile()) == [
        (0, "team", "started"),
        (1, "think", "started"),
        (1, "think", "finished"),
        (0, "team", "finished"),
    ]


async def test_conditions_are_no_steps() -> None:
    builder = row(one=says("1"))
    builder.add_conditional_edges("one", lambda _: END, [END])
    assert [name for _, name, _ in await steps_of(builder.compile())] == ["one", "one"]


async def test_a_step_that_fails_says_so_and_not_why() -> None:
    def fail(_: Any) -> None:
        raise ValueError("sk-secret")

    assert (await steps_of(row(one=fail).compile()))[-1] == (0, "one", "failed")


async def test_a_step_that_waits_has_not_failed() -> None:
    graph = row(ask=lambda _: {"messages": [interrupt("sure?")]}).compile(
        checkpointer=InMemorySaver()
    )
    thread = {"configurable": {"thread_id": "1"}}
    assert await steps_of(graph, **thread) == [(0, "ask", "started"), (0, "ask", "interrupted")]
    resumed = await steps_of(graph, Command(resume=("ai", "yes")), **thread)
    assert resumed == [(0, "ask", "started"), (0, "ask", "finished")]


async def test_a_step_that_commands_the_graph_around_it_has_finished() -> None:
    def hand_over(_: Any) -> Any:
        return Command(goto="other", graph=Command.PARENT)

    inner = row(agent=hand_over).compile()
    builder = StateGraph(MessagesState).add_node("team", inner, destinations=("other",))
    builder.add_node("other", says("done")).add_edge(START, "team")
    steps = await steps_of(builder.compile())
    assert (1, "agent", "finished") in steps
    assert {status for _, _, status in steps} == {"started", "finished"}


async def test_the_steps_of_an_agent_have_its_name() -> None:
    agent = create_agent(FunctionChatModel(function=lambda _, **__: AIMessage("Hi")), name="clerk")
    handler = StepStreamingCallbackHandler()

    async def ask() -> None:
        await agent.ainvoke({"messages": "hi"}, {"callbacks": [handler]})

    events = await events_of(Run(handler.stream, ask))
    if "agent" not in events[0].data:
        pytest.skip("this version does not name the agent of a step")
    assert {event.data["agent"] for event in events if event.name == "step"} == {"clerk"}


async def test_what_is_no_graph_has_no_steps() -> None:
    model = FunctionChatModel(function=lambda _, **__: AIMessage("Hi"))
    assert await steps_of(model, "hi") == []
