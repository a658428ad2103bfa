"""Tools: each call once, its progress, and one result, wherever the tool runs."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any
from uuid import uuid4

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
)
from langchain.agents.structured_output import ToolStrategy
from langchain.tools import ToolRuntime
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphInterrupt
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, Interrupt, interrupt
from pydantic import BaseModel

from quart_lanarky.adapters.langchain.callbacks import ToolStreamingCallbackHandler
from quart_lanarky.adapters.langchain.handlers.tool_calls import messages_in, unanswered_calls
from quart_lanarky.adapters.langchain.testing import FunctionChatModel
from quart_lanarky.events import ToolCallData, ToolProgressData, ToolResultData, completion
from quart_lanarky.runs.stream import EventStream
from tests.adapters.handlers.recorder import Recorder

INPUT = {"messages": [HumanMessage("hi")]}
THREAD = {"configurable": {"thread_id": "1"}}
SECRET = "of-the-exception"


def call(name: str, id_: str, **args: Any) -> dict[str, Any]:
    return {"name": name, "args": args, "id": id_, "type": "tool_call"}


def model(*replies: str | list[Any]) -> FunctionChatModel:
    """Return a model with these replies in turn: a text, or calls of tools."""
    left = iter(replies)

    def reply(_: Any) -> AIMessage:
        said = next(left)
        return AIMessage(said) if isinstance(said, str) else AIMessage("", tool_calls=said)

    return FunctionChatModel(function=reply)


@tool
async def search(query: str) -> str:
    """Search."""
    return f"found {query}"


@tool
def fail(query: str) -> str:
    """Fail."""
    raise ValueError(SECRET)


@tool
def ask(query: str) -> str:
    """Ask."""
    return str(interrupt("may I?"))


@tool
async def slow(query: str) -> str:
    """Wait."""
    await asyncio.sleep(30)
    return "late"


async def events_of(chain: Any, inputs: Any = INPUT, config: Any = None) -> list[tuple[str, Any]]:
    recorder = Recorder()
    handler = ToolStreamingCallbackHandler(recorder)
    with contextlib.suppress(ValueError, asyncio.CancelledError):
        await chain.ainvoke(inputs, {**(config or {}), "callbacks": [handler]})
    async with asyncio.timeout(5):  # of a graph that has ended, a tool may be ending still
        while handler._scopes:
            await asyncio.sleep(0.01)
    assert not handler._running
    assert not handler._models
    payloads = {
        "tool_call": ToolCallData,
        "tool_progress": ToolProgressData,
        "tool_result": ToolResultData,
    }
    for event in recorder.events:
        payloads[event.name].model_validate(event.data)
        assert SECRET not in str(event.data)
    return [(event.name, event.data) for event in recorder.events]


def short(events: list[tuple[str, Any]]) -> list[str]:
    """Return the events as texts, such as `call a`, `result a success`."""
    said = []
    for name, data in events:
        status = f" {data['status']}" if "status" in data else ""
        said.append(f"{name.removeprefix('tool_')} {data['id']}{status}")
    return said


def agent(*replies: str | list[Any], tools: Any = (search,), **options: Any) -> Any:
    return create_agent(model(*replies, "done"), [*tools], **options)


async def test_a_call_and_its_result() -> None:
    events = await events_of(agent([call("search", "a", query="x")]))
    assert events == [
        ("tool_call", {"id": "a", "name": "search", "args": {"query": "x"}}),
        (
            "tool_result",
            {"id": "a", "name": "search", "status": "success", "content": "found x"},
        ),
    ]


async def test_parallel_calls_have_the_ids_of_the_model() -> None:
    calls = [call("search", f"c{n}", query=str(n)) for n in range(5)]
    events = await events_of(agent(calls))
    assert short(events)[:5] == [f"call c{n}" for n in range(5)]
    results = {data["id"]: data["content"] for name, data in events if name == "tool_result"}
    assert results == {f"c{n}": f"found {n}" for n in range(5)}


async def test_an_unknown_tool_has_a_result() -> None:
    events = await events_of(agent([call("nothing", "a")]))
    assert short(events) == ["call a", "result a error"]
    assert "not a valid tool" in events[-1][1]["content"]


@pytest.mark.parametrize("args", [{"query": "x"}, {"wrong": "x"}])
async def test_a_tool_that_raises_has_a_result_without_its_text(args: dict[str, Any]) -> None:
    events = await events_of(agent([call("fail", "a", **args)], tools=[fail]))
    assert short(events) == ["call a", "result a error"]
    assert events[-1][1]["content"] == "The tool has failed."


@pytest.mark.parametrize("failures", [1, 9])
async def test_a_call_that_is_retried_is_one_call(failures: int) -> None:
    left = iter(range(failures))

    @tool
    async def flaky(query: str) -> str:
        """Fail at first."""
        if next(left, None) is not None:
            raise ValueError(SECRET)
        return "at last"

    middleware = [ToolRetryMiddleware(initial_delay=0)]
    events = await events_of(
        agent([call("flaky", "a", query="")], tools=[flaky], middleware=middleware)
    )
    assert short(events) == ["call a", f"result a {'success' if failures == 1 else 'error'}"]


@pytest.mark.skipif(
    version("langgraph") < "1.1", reason="this version tells nobody that a tool was cancelled"
)
async def test_a_call_that_is_cancelled_has_a_result() -> None:
    chain = agent(
        [call("slow", "a", query=""), call("search", "b", query="x")], tools=[slow, search]
    )
    task = asyncio.create_task(events_of(chain))
    await asyncio.sleep(0.3)
    task.cancel()
    events = await task
    assert short(events) == ["call a", "call b", "result b success", "result a error"]
    assert events[-1][1]["content"] == "The tool was cancelled."


async def test_a_call_that_waits_for_a_person_is_sent_once() -> None:
    calls = [call("ask", "a", query=""), call("search", "b", query="x")]
    chain = agent(calls, tools=[ask, search], checkpointer=InMemorySaver())
    assert short(await events_of(chain, config=THREAD)) == ["call a", "call b", "result b success"]
    events = await events_of(chain, Command(resume="yes"), THREAD)
    assert [data["content"] for _, data in events] == ["yes"]
    assert short(events) == ["result a success"]


async def test_a_step_that_waits_has_the_results_of_the_run_in_which_it_ends() -> None:
    calls = [
        call("ask", "a", query=""),
        call("search", "b", query="x"),
        call("fail", "c", query=""),
    ]
    replies = model(calls, "done")

    async def answer(state: MessagesState) -> Any:
        return {"messages": [await replies.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("model", answer)
    builder.add_node("tools", ToolNode([ask, search, fail], handle_tool_errors=True))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    graph = builder.compile(checkpointer=InMemorySaver())
    assert short(await events_of(graph, config=THREAD)) == ["call a", "call b", "call c"]
    events = await events_of(graph, Command(resume="yes"), THREAD)
    assert short(events) == ["result a success", "result b success", "result c error"]


@pytest.mark.parametrize("starts_late", [False, True])
async def test_a_tool_that_ends_after_its_step_has_begun_to_wait_has_no_result(
    starts_late: bool,
) -> None:
    recorder = Recorder()
    handler = ToolStreamingCallbackHandler(recorder)
    step, tool_run = uuid4(), uuid4()

    async def start() -> None:
        await handler.on_tool_start(
            {"name": "fail"}, "", run_id=tool_run, parent_run_id=step, tool_call_id="c", inputs={}
        )

    asked = {"messages": [AIMessage("", tool_calls=[call("fail", "c")])]}
    await handler.on_chain_start({}, asked, run_id=step, tags=["graph:step:2"])
    if not starts_late:
        await start()
    await handler.on_chain_error(GraphInterrupt([Interrupt("sure?")]), run_id=step)
    if starts_late:
        await start()
    await handler.on_tool_error(ValueError("x"), run_id=tool_run)
    assert recorder.events == []
    assert not handler._scopes


async def test_calls_leave_before_a_person_decides_and_keep_their_ids() -> None:
    middleware = [HumanInTheLoopMiddleware(interrupt_on={"search": True})]
    calls = [call("search", "a", query="x"), call("search", "b", query="y")]
    chain = agent(calls, middleware=middleware, checkpointer=InMemorySaver())
    assert short(await events_of(chain, config=THREAD)) == ["call a", "call b"]
    edited = {"name": "search", "args": {"query": "z"}}
    decisions = [
        {"type": "reject", "message": "no!"},
        {"type": "edit", "edited_action": edited},
    ]
    events = await events_of(chain, Command(resume={"decisions": decisions}), THREAD)
    assert short(events) == ["result a error", "result b success"]
    assert "no!" in events[0][1]["content"]
    assert "found z" in str(events[1][1]["content"])


async def test_a_limit_on_calls_gives_the_result() -> None:
    chain = agent(
        [call("search", "a", query="")],
        [call("search", "b", query="")],
        middleware=[ToolCallLimitMiddleware(run_limit=1)],
    )
    assert short(await events_of(chain)) == [
        "call a",
        "result a success",
        "call b",
        "result b error",
    ]


async def test_a_structured_output_is_no_call() -> None:
    class Answer(BaseModel):
        number: int

    chain = agent(
        [call("search", "a", query="")],
        [call("Answer", "b", wrong=1)],
        [call("Answer", "c", number=1)],
        response_format=ToolStrategy(Answer),
    )
    assert short(await events_of(chain)) == ["call a", "result a success"]
    structured = model([call("Answer", "b", number=1)]).with_structured_output(Answer)
    assert await events_of(structured, "x") == []


async def test_the_calls_of_a_model_within_a_tool_are_not_the_agents() -> None:
    inner = model([call("search", "inner", query="")])

    @tool
    async def think(query: str) -> str:
        """Think."""
        await inner.ainvoke(query)
        return "thought"

    events = await events_of(agent([call("think", "a", query="")], tools=[think]))
    assert short(events) == ["call a", "result a success"]
    assert await events_of(model([call("x", "a")]).with_config(tags=["nostream"]), "x") == []


async def test_calls_of_subagents_have_a_namespace() -> None:
    subagent = agent([call("search", "inner", query="x")], name="researcher")

    @tool
    async def delegate(query: str) -> str:
        """Ask a subagent."""
        result = await subagent.ainvoke({"messages": [HumanMessage(query)]})
        return str(result["messages"][-1].text)

    events = await events_of(agent([call("delegate", "a", query="")], tools=[delegate]))
    assert short(events) == ["call a", "call inner", "result inner success", "result a success"]
    outer, inner = events[0][1], events[1][1]
    assert "namespace" not in outer
    [step] = inner["namespace"]
    assert step.startswith("tools:")
    assert events[2][1]["namespace"] == [step]


async def test_a_graph_as_a_step_sends_the_calls_of_this_run_alone() -> None:
    inner = agent([call("search", "a", query="")], "done", [call("search", "b", query="")])
    builder = StateGraph(MessagesState)
    builder.add_node("researcher", inner)
    builder.add_edge(START, "researcher")
    graph = builder.compile(checkpointer=InMemorySaver())
    assert short(await events_of(graph, config=THREAD)) == ["call a", "result a success"]
    assert short(await events_of(graph, config=THREAD)) == ["call b", "result b success"]


async def test_a_step_that_runs_tools_itself() -> None:
    replies = model([call("search", "a", query="x")], "done")

    async def work(state: MessagesState) -> Any:
        asked = await replies.ainvoke(state["messages"])
        results = [await search.ainvoke(each) for each in asked.tool_calls]
        return {"messages": [asked, *results, await replies.ainvoke("x")]}

    builder = StateGraph(MessagesState)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    assert short(await events_of(builder.compile())) == ["call a", "result a success"]


async def test_an_executor_has_the_ids_of_the_model() -> None:
    agents = pytest.importorskip("langchain_classic.agents")
    calls = [call("search", "a", query="x"), call("search", "b", query="y"), call("nothing", "c")]
    prompt = ChatPromptTemplate.from_messages(
        [("user", "{input}"), ("placeholder", "{agent_scratchpad}")]
    )
    inner = agents.create_tool_calling_agent(model(calls, "done"), [search], prompt)
    events = await events_of(agents.AgentExecutor(agent=inner, tools=[search]), {"input": "x"})
    assert short(events)[:3] == ["call a", "call b", "call c"]
    results = {data["id"]: data["content"] for name, data in events if name == "tool_result"}
    assert results == {
        "a": "found x",
        "b": "found y",
        "c": "nothing is not a valid tool, try one of [search].",
    }


async def test_a_tool_in_a_chain_has_an_id_of_its_own() -> None:
    events = await events_of(search, {"query": "x"})
    assert [name for name, _ in events] == ["tool_call", "tool_result"]
    assert events[0][1]["id"] == events[1][1]["id"]
    events = await events_of(fail, {"query": "x"})
    assert events[1][1]["status"] == "error"


async def test_a_tool_in_a_chain_has_the_id_of_its_models_call() -> None:
    chain = model([call("search", "a", query="x")]) | (lambda m: m.tool_calls[0]) | search
    assert short(await events_of(chain, "x")) == ["call a", "result a success"]


def reporting(*, in_a_thread: bool) -> Any:
    def report(query: str, runtime: ToolRuntime) -> str:
        """Report."""
        for percent in (50, 100):
            runtime.emit_output_delta({"percent": percent})
        return "done"

    async def report_async(query: str, runtime: ToolRuntime) -> str:
        """Report."""
        return report(query, runtime)

    return tool("report")(report if in_a_thread else report_async)


@pytest.mark.skipif(
    not hasattr(ToolRuntime, "emit_output_delta"), reason="this version of LangGraph has it not"
)
@pytest.mark.parametrize("in_a_thread", [True, False])
async def test_what_a_tool_says_comes_between_its_call_and_its_result(in_a_thread: bool) -> None:
    report = reporting(in_a_thread=in_a_thread)
    calls = [call("report", "a", query=""), call("report", "b", query="")]
    events = await events_of(agent(calls, tools=[report]))
    for id_ in ("a", "b"):
        own = [data for _, data in events if data["id"] == id_]
        assert [each.get("data") for each in own[1:3]] == [{"percent": 50}, {"percent": 100}]
        assert own[3]["content"] == "done"


async def test_the_providers_own_tools_are_calls() -> None:
    content: list[Any] = [
        {"type": "server_tool_call", "id": "s", "name": "web_search", "args": {"query": "x"}},
        {"type": "server_tool_result", "tool_call_id": "s", "status": "success", "output": ["y"]},
        {"type": "text", "text": "done"},
    ]
    message = AIMessage(content, response_metadata={"output_version": "v1"})
    searching = GenericFakeChatModel(messages=iter([message, message]))
    for chain, inputs in ((searching, "x"), (create_agent(searching, []), INPUT)):
        assert await events_of(chain, inputs) == [
            ("tool_call", {"id": "s", "name": "web_search", "args": {"query": "x"}}),
            (
                "tool_result",
                {"id": "s", "name": "web_search", "status": "success", "content": ["y"]},
            ),
        ]


def states() -> Iterator[Callable[[list[Any]], Any]]:
    class Model(BaseModel):
        messages: list[Any]

    yield lambda messages: messages
    yield lambda messages: {"messages": messages}
    yield lambda messages: Model(messages=messages)
    yield lambda messages: Command(update={"messages": messages})
    yield lambda messages: [Command(update=[("messages", messages)])]


@pytest.mark.parametrize("state", [*states()])
def test_messages_are_found_in_what_a_step_returns(state: Any) -> None:
    messages = [AIMessage("a"), ToolMessage("b", tool_call_id="c")]
    assert messages_in(state(messages)) == messages
    assert messages_in(state([1, None, Document("")])) == []


def test_what_a_step_is_given_to_answer() -> None:
    asked = AIMessage("", tool_calls=[call("x", "a"), call("x", "b")])
    answered = ToolMessage("", tool_call_id="a")
    ids = [each["id"] for each in unanswered_calls({"messages": [asked, answered]})]
    assert ids == ["b"]
    assert [c["id"] for c in unanswered_calls([call("x", "a"), call("x", "b")])] == ["a", "b"]
    assert [c["id"] for c in unanswered_calls({"tool_call": call("x", "a"), "state": {}})] == ["a"]
    assert unanswered_calls({"messages": [asked, HumanMessage("hi")]}) == []
    assert unanswered_calls(None) == []


async def test_a_stream_takes_what_code_writes_that_cannot_wait_up_to_a_bound() -> None:
    stream = EventStream(max_events=1)
    stream.open()
    for _ in range(16):
        stream.put(completion("x"))
    with pytest.raises(BufferError, match="await something between"):
        stream.put(completion("x"))
    stream.abandon()
    stream.put(completion("x"))
    assert not stream._events
