"""What a graph waits for, in all forms in which LangGraph gives it."""

import operator
from typing import Annotated, Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.errors import GraphInterrupt
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Interrupt, interrupt
from typing_extensions import TypedDict

from quart_lanarky.adapters.langchain.callbacks import (
    FinalTokenStreamingCallbackHandler,
    TokenStreamingCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.interrupts import (
    Pause,
    interrupts_in,
    interrupts_of,
    interrupts_of_error,
    with_interrupts,
)
from quart_lanarky.runs.run import Run
from tests.runs.reading import events_of

BATCHED = {
    "action_requests": [{"name": "send", "args": {"to": "Ann"}}, {"name": "look", "args": {}}],
    "review_configs": [
        {"action_name": "send", "allowed_decisions": ["approve", "edit"]},
        {"action_name": "look", "allowed_decisions": ["reject"]},
    ],
}


class Values(TypedDict, total=False):
    values: Annotated[list[Any], operator.add]


def waiting(*questions: Any) -> Any:
    """Make a graph whose nodes, side by side, each ask a question."""
    builder = StateGraph(Values)
    for index, question in enumerate(questions):
        builder.add_node(f"ask{index}", lambda _, q=question: {"values": [interrupt(q)]})
        builder.add_edge(START, f"ask{index}")
    return builder


@pytest.mark.parametrize(
    "given",
    [
        Interrupt("sure?", id="7"),
        {"value": "sure?", "id": "7"},
        {"value": "sure?", "interrupt_id": "7"},
    ],
)
def test_an_interrupt_is_read_in_each_form(given: Any) -> None:
    [found] = interrupts_in({"__interrupt__": [given], "values": []})
    assert found.model_dump(exclude_unset=True) == {
        "id": "7",
        "value": "sure?",
        "response_schema": None,
    }


def test_each_interrupt_is_told_once() -> None:
    twice = [Interrupt(1, id="a"), Interrupt(2, id="b"), Interrupt(1, id="a")]
    assert [(each.id, each.value) for each in interrupts_of(twice)] == [("a", 1), ("b", 2)]


def test_a_step_that_waits_has_no_value() -> None:
    [found] = interrupts_of([Pause("7", "send")])
    assert (found.id, found.value, found.step) == ("7", None, "send")


@pytest.mark.parametrize("output", [None, "text", {}, {"__interrupt__": []}, {"values": [1]}])
def test_what_has_ended_waits_for_nothing(output: Any) -> None:
    assert interrupts_in(output) == []


def test_what_json_cannot_express_becomes_text() -> None:
    [found] = interrupts_of([Interrupt({"who": HumanMessage("Hi"), "what": object}, id="1")])
    assert isinstance(found.value, dict)
    assert found.value["who"]["content"] == "Hi"
    assert isinstance(found.value["what"], str)


def test_a_node_that_waits_has_not_failed() -> None:
    [found] = interrupts_of_error(GraphInterrupt([Interrupt("sure?", id="7")]))
    assert found.value == "sure?"
    assert not interrupts_of_error(GraphInterrupt())
    assert not interrupts_of_error(ValueError([Interrupt("sure?", id="7")]))


def test_interrupts_are_added_to_an_output_that_lacks_them() -> None:
    first, second = [Interrupt(1, id="a")], [Interrupt(2, id="b")]
    assert with_interrupts({"x": 1}, first) == {"x": 1, "__interrupt__": first}
    assert with_interrupts({"__interrupt__": second}, first) == {"__interrupt__": second}
    assert with_interrupts(None, first) == {"__interrupt__": first}
    assert with_interrupts("text", []) == "text"


def test_the_schema_of_decisions_has_one_for_each_action() -> None:
    [found] = interrupts_of([Interrupt(BATCHED, id="1")])
    assert found.response_schema is not None
    decisions: Any = found.response_schema["properties"]["decisions"]  # type: ignore[index, call-overload]
    assert (decisions["minItems"], decisions["maxItems"]) == (2, 2)
    allowed = [item["properties"]["type"]["enum"] for item in decisions["prefixItems"]]
    assert allowed == [["approve", "edit"], ["reject"]]


@pytest.mark.parametrize("value", [{}, {"action_requests": []}, {"action_requests": 1}, "x", None])
def test_other_values_have_no_schema(value: Any) -> None:
    assert interrupts_of([Interrupt(value, id="1")])[0].response_schema is None


@pytest.mark.parametrize(
    "handler_class", [TokenStreamingCallbackHandler, FinalTokenStreamingCallbackHandler]
)
@pytest.mark.parametrize("mode", ["json", "text"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_handler_by_hand_sends_what_a_graph_waits_for(
    handler_class: Any, mode: Any, streamed: bool
) -> None:
    graph, handler = waiting("one?", {"two": 2}).compile(), handler_class(mode=mode)
    config: Any = {"callbacks": [handler], "configurable": {"thread_id": "1"}}

    async def ask() -> None:
        if streamed:
            _ = [chunk async for chunk in graph.astream({"values": ["x"]}, config)]
        else:
            await graph.ainvoke({"values": ["x"]}, config)

    events = await events_of(Run(handler.stream, ask))
    assert [event.name for event in events] == ["interrupt", "end"]
    values = [each["value"] for each in events[0].data["interrupts"]]
    assert sorted(map(str, values)) == ["one?", "{'two': 2}"]
    assert events[-1].data["outcome"] == "interrupted"


async def test_what_the_answering_model_has_said_before_the_graph_waits_stands() -> None:
    model = GenericFakeChatModel(messages=iter([AIMessage("A draft.")]))

    async def write(state: MessagesState) -> dict[str, Any]:
        said = await model.ainvoke(state["messages"])
        return {"messages": [said, HumanMessage(interrupt("good?"))]}

    graph = StateGraph(MessagesState).add_node("write", write).add_edge(START, "write").compile()
    handler = FinalTokenStreamingCallbackHandler()

    async def ask() -> None:
        await graph.ainvoke({"messages": [HumanMessage("Write")]}, {"callbacks": [handler]})

    events = await events_of(Run(handler.stream, ask))
    assert [event.name for event in events] == ["completion"] * 3 + ["interrupt", "end"]
    assert "".join(event.data for event in events[:3]) == "A draft."
    assert handler.text_before_interrupt == "A draft."


async def test_a_message_of_another_step_is_not_the_answer_of_a_graph_that_waits() -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("think", lambda _: {"messages": [AIMessage("They are a fool.")]})
    builder.add_node("ask", lambda _: {"messages": [HumanMessage(interrupt("good?"))]})
    builder.add_edge(START, "think").add_edge("think", "ask")
    handler = FinalTokenStreamingCallbackHandler()

    async def ask() -> None:
        await builder.compile().ainvoke(
            {"messages": [HumanMessage("Write")]}, {"callbacks": [handler]}
        )

    assert [event.name for event in await events_of(Run(handler.stream, ask))] == [
        "interrupt",
        "end",
    ]
