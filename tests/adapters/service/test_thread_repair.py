"""A thread whose run ended early takes the next question, whatever its graph and its memory."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from operator import add
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import MessagesState, StateGraph, add_messages
from langgraph.prebuilt import ToolNode, create_react_agent, tools_condition
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from quart_lanarky.adapters.langchain.service.thread_ids import Thread
from quart_lanarky.adapters.langchain.service.thread_repair import unanswered_calls
from quart_lanarky.runs.stream import EventStream
from tests.adapters.strict_model import (
    RefusedConversationError,
    check_conversation,
    strict_model,
)

QUESTION = {"messages": [HumanMessage("What is where?")]}


async def quick(place: str) -> str:
    """Look up what is at a place."""
    await asyncio.sleep(0.001)
    return f"a house at {place}"


async def slow(place: str) -> str:
    """Look up what is at a place that is far away."""
    await asyncio.sleep(0.006)
    return f"a house at {place}"


def call(name: str, number: int) -> Any:
    return {"name": name, "args": {"place": "home"}, "id": f"{name}-{number}", "type": "tool_call"}


def reply(messages: list[BaseMessage]) -> str | AIMessage:
    """Call two tools at once for each question, then one, then answer."""
    last = messages[-1]
    if isinstance(last, HumanMessage):
        return AIMessage("I look.", tool_calls=[call(n, len(messages)) for n in ("quick", "slow")])
    if isinstance(last, ToolMessage) and not last.tool_call_id.startswith("again"):
        again = {**call("quick", len(messages)), "id": f"again-{len(messages)}"}
        return AIMessage("", tool_calls=[again])
    return "It is a house."


MODEL = strict_model(reply)
TOOLS = [quick, slow]


def agent(**options: Any) -> Any:
    return create_agent(MODEL, TOOLS, **options)


def react(**options: Any) -> Any:
    with pytest.warns(DeprecationWarning, match="create_react_agent"):
        return create_react_agent(MODEL, TOOLS, **options)


def graph_of(state: Any, **options: Any) -> Any:
    async def think(state: Any) -> dict[str, Any]:
        messages = state["messages"] if isinstance(state, dict) else state.messages
        return {"messages": [await MODEL.bind_tools(TOOLS).ainvoke(messages)]}

    graph = StateGraph(state).add_node("think", think).add_node("tools", ToolNode(TOOLS))
    graph.add_edge("__start__", "think").add_conditional_edges("think", tools_condition)
    return graph.add_edge("tools", "think").compile(**options)


@dataclass
class DataState:
    messages: Annotated[list[AnyMessage], add_messages] = field(default_factory=list)


class ModelState(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages] = []


class AddedState(TypedDict):
    messages: Annotated[list[AnyMessage], add]


def nested(**options: Any) -> Any:
    inner = create_agent(MODEL, TOOLS, name="inner")
    graph = StateGraph(MessagesState).add_node("inner", inner)
    return graph.add_edge("__start__", "inner").compile(**options)


GRAPHS: dict[str, Callable[..., Any]] = {
    "create_agent": agent,
    "create_react_agent": react,
    "messages_state": lambda **options: graph_of(MessagesState, **options),
    "dataclass": lambda **options: graph_of(DataState, **options),
    "pydantic": lambda **options: graph_of(ModelState, **options),
    "operator.add": lambda **options: graph_of(AddedState, **options),
    "subgraph": nested,
}


@pytest.fixture(params=GRAPHS)
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return GRAPHS[request.param]


def thread_of(graph: Any, name: str = "a") -> Thread:
    config: Any = {"configurable": {"thread_id": name}}
    return Thread(name, config, graph, {})


def run_on(thread: Thread, inputs: Any = QUESTION) -> ChainRun:
    run = ChainRun(
        plan_chain(thread.graph), inputs, [], EventStream(), config=thread.config, thread=thread
    )
    run.start()
    return run


async def ended(run: ChainRun) -> ChainRun:
    async for _ in run.stream.batches():
        pass
    await run.close("it has ended")
    return run


async def messages_of(thread: Thread) -> list[BaseMessage]:
    state = await thread.graph.aget_state(thread.config)
    return list(state.values.get("messages", ()))


# -- stopped at any moment -----------------------------------------------------------------


@asynccontextmanager
async def memories(tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        path = str(tmp_path / "threads.sqlite")
        sqlite = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(path))
        yield {"memory": InMemorySaver(), "sqlite": sqlite}


@pytest.mark.parametrize("memory", ["memory", "sqlite"])
async def test_a_turn_that_is_stopped_at_any_moment_leaves_a_thread_that_goes_on(
    build: Callable[..., Any], memory: str, tmp_path: Path
) -> None:
    chance = random.Random(24)
    async with memories(tmp_path) as known:
        graph = build(checkpointer=known[memory])
        for number in range(15):
            thread = thread_of(graph, str(number))
            for _ in range(chance.choice([1, 1, 2])):
                stopped = run_on(thread)
                await asyncio.sleep(chance.uniform(0, 0.03))
                stopped.stop()
                await ended(stopped)
            after = await ended(run_on(thread))
            assert (after.outcome, after.failure) == ("finished", None)
            messages = await messages_of(thread)
            assert messages[-1].text == "It is a house."
            check_conversation(messages)


async def test_what_had_finished_is_kept_and_the_rest_is_cancelled() -> None:
    reached = asyncio.Event()

    async def stuck(place: str) -> str:
        """Look up what never comes."""
        await asyncio.sleep(0.05)
        reached.set()
        await asyncio.sleep(60)
        return place

    def call_both(messages: list[BaseMessage]) -> str | AIMessage:
        if len(messages) == 1:
            return AIMessage("", tool_calls=[call("quick", 1), call("stuck", 1)])
        return "Good."

    graph = create_agent(strict_model(call_both), [quick, stuck], checkpointer=InMemorySaver())
    thread = thread_of(graph)
    stopped = run_on(thread)
    await reached.wait()
    stopped.stop()
    await ended(stopped)
    assert (await ended(run_on(thread))).outcome == "finished"
    results = {m.name: m for m in await messages_of(thread) if isinstance(m, ToolMessage)}
    assert {name: each.status for name, each in results.items()} == {
        "quick": "success",
        "stuck": "error",
    }
    assert "cancelled" in results["stuck"].text


# -- a person was asked --------------------------------------------------------------------


def asking_agent() -> Any:
    def ask_before(messages: list[BaseMessage]) -> str | AIMessage:
        if isinstance(messages[-1], HumanMessage) and messages[-1].text == "go":
            return AIMessage("", tool_calls=[call("quick", len(messages))])
        return "Good."

    middleware = [HumanInTheLoopMiddleware(interrupt_on={"quick": True})]
    model = strict_model(ask_before)
    return create_agent(model, [quick], middleware=middleware, checkpointer=InMemorySaver())


async def test_a_question_while_a_person_is_asked_cancels_the_calls() -> None:
    thread = thread_of(asking_agent())
    await ended(run_on(thread, {"messages": [HumanMessage("go")]}))
    assert (await thread.graph.aget_state(thread.config)).interrupts
    after = await ended(run_on(thread, {"messages": [HumanMessage("never mind")]}))
    assert after.outcome == "finished"
    messages = await messages_of(thread)
    check_conversation(messages)
    assert [each.type for each in messages] == ["human", "ai", "tool", "human", "ai"]


async def test_an_answer_finds_its_call_waiting() -> None:
    thread = thread_of(asking_agent())
    await ended(run_on(thread, {"messages": [HumanMessage("go")]}))
    answer: Any = Command(resume={"decisions": [{"type": "approve"}]})
    assert (await ended(run_on(thread, answer))).outcome == "finished"
    assert "a house at home" in [each.text for each in await messages_of(thread)]


async def test_an_interrupt_without_calls_is_left_alone() -> None:
    def ask(state: Any) -> dict[str, Any]:
        return {"messages": [AIMessage(str(interrupt("Who?")))]}

    graph = StateGraph(MessagesState).add_node("ask", ask).add_edge("__start__", "ask")
    thread = thread_of(graph.compile(checkpointer=InMemorySaver()))
    await ended(run_on(thread))
    await ended(run_on(thread, Command(resume="Ada")))
    assert (await messages_of(thread))[-1].text == "Ada"


# -- states of other forms -----------------------------------------------------------------


def ends_with_a_call(state: Any, message: Any) -> Any:
    def think(state: Any) -> dict[str, Any]:
        return {"messages": [message]}

    graph = StateGraph(state).add_node("think", think).add_edge("__start__", "think")
    return graph.compile(checkpointer=InMemorySaver())


class DictState(TypedDict):
    messages: Annotated[list[Any], add]


async def test_dicts_get_dicts() -> None:
    told = {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": {}}]}
    thread = thread_of(ends_with_a_call(DictState, told))
    question = {"messages": [{"role": "user", "content": "a"}]}
    for _ in range(2):
        await ended(run_on(thread, question))
    roles: list[Any] = [each["role"] for each in await messages_of(thread)]  # type: ignore[index]
    assert roles == ["user", "assistant", "tool", "user", "assistant"]


class ReplacedState(TypedDict):
    messages: list[Any]


async def test_a_list_that_is_replaced_keeps_what_it_had() -> None:
    graph = ends_with_a_call(ReplacedState, AIMessage("", tool_calls=[call("quick", 1)]))
    thread = thread_of(graph)
    for _ in range(2):
        await ended(run_on(thread))
    states = [each async for each in thread.graph.aget_state_history(thread.config)]
    saved = [each.values.get("messages", []) for each in states]
    closed = [each for each in saved if len(each) == 2]
    assert [each.type for each in closed[0]] == ["ai", "tool"]


async def test_what_the_client_answers_is_left_to_it() -> None:
    calls = [call("quick", 1), call("slow", 1)]
    thread = thread_of(ends_with_a_call(MessagesState, AIMessage("", tool_calls=calls)))
    await ended(run_on(thread))
    answer = {"messages": [ToolMessage("mine", tool_call_id="quick-1"), HumanMessage("a")]}
    await ended(run_on(thread, answer))
    results = [each for each in await messages_of(thread) if isinstance(each, ToolMessage)]
    assert [each.tool_call_id for each in results] == ["slow-1", "quick-1"]


async def test_a_reducer_that_refuses_does_not_refuse_the_turn(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def no_tools(left: list[Any], right: list[Any]) -> list[Any]:
        if any(isinstance(each, ToolMessage) for each in right):
            raise ValueError("none of these")
        return left + right

    class OwnState(TypedDict):
        messages: Annotated[list[Any], no_tools]

    message = AIMessage("", tool_calls=[call("quick", 1)])
    thread = thread_of(ends_with_a_call(OwnState, message))
    for _ in range(2):
        assert (await ended(run_on(thread))).outcome == "finished"
    assert "could not be closed" in caplog.text


async def test_a_finished_thread_is_not_written_to() -> None:
    thread = thread_of(agent(checkpointer=InMemorySaver()))
    for expected in (1, 2):
        await ended(run_on(thread))
        history = [each async for each in thread.graph.aget_state_history(thread.config)]
        inputs = [each for each in history if (each.metadata or {}).get("source") == "input"]
        updates = [each for each in history if (each.metadata or {}).get("source") == "update"]
        assert (len(inputs), updates) == (expected, [])


# -- the rules themselves ------------------------------------------------------------------

CALLS = AIMessage("", tool_calls=[call("quick", 1), call("slow", 1)])
RESULT = ToolMessage("a", tool_call_id="quick-1")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([], {}),
        (None, {}),
        ("text", {}),
        ([HumanMessage("a")], {}),
        ([CALLS], {"quick-1": "quick", "slow-1": "slow"}),
        ([CALLS, RESULT], {"slow-1": "slow"}),
        ([CALLS, HumanMessage("a")], {}),
        ([RESULT], {}),
        ([{"role": "assistant", "tool_calls": None}], {}),
        ([{"role": "assistant", "tool_calls": [{"id": 7}]}], {}),
        ([7], {}),
    ],
)
def test_calls_without_an_answer(messages: Any, expected: dict[str, str]) -> None:
    assert unanswered_calls(messages) == expected


@pytest.mark.parametrize(
    "refused",
    [
        [CALLS, RESULT],
        [HumanMessage("a"), CALLS],
        [HumanMessage("a"), CALLS, RESULT, HumanMessage("b")],
        [HumanMessage("a"), RESULT],
        [HumanMessage("a"), AIMessage("")],
    ],
)
def test_the_strict_model_is_as_strict_as_providers(refused: list[BaseMessage]) -> None:
    with pytest.raises(RefusedConversationError):
        check_conversation(refused)
