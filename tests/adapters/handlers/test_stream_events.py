"""Models whose tokens come as the events of LangChain's newer way to stream."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langgraph.graph import MessagesState, StateGraph

from quart_lanarky.adapters.langchain.callbacks import (
    FinalTokenStreamingCallbackHandler,
    TokenStreamingCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.extraction import event_is_tool_call, event_text
from quart_lanarky.adapters.langchain.handlers.refusals import event_refusal
from quart_lanarky.adapters.langchain.service.chain_run import ChainRun
from quart_lanarky.adapters.langchain.service.plan import plan_chain
from quart_lanarky.runs.stream import EventStream
from tests.adapters.handlers.recorder import RUN, Recorder
from tests.runs.reading import events_of

pytestmark = pytest.mark.skipif(
    not hasattr(BaseChatModel, "_aiter_v2_events"), reason="this LangChain has no such events"
)


class Model(BaseChatModel):
    """Streams a text, and reports its tokens itself, as some packages do, if it is to."""

    texts: list[str] = ["He", "l", "lo"]  # noqa: RUF012  # a field of Pydantic's
    reports: bool = False

    @property
    def _llm_type(self) -> str:
        return "streaming"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for text in ["", *self.texts]:
            chunk = ChatGenerationChunk(message=AIMessageChunk(text))
            if run_manager and self.reports:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def graph_of(model: BaseChatModel) -> Any:
    """Return a graph whose node streams its model by events, and adds what it said."""

    async def node(state: MessagesState) -> dict[str, Any]:
        streamed = await model.astream_events(state["messages"], version="v3")
        async for _ in streamed.text:
            pass
        return {"messages": [await streamed.output]}

    return StateGraph(MessagesState).add_node(node).add_edge("__start__", "node").compile()


@pytest.mark.filterwarnings("ignore")  # LangChain calls it a beta
@pytest.mark.parametrize("reports", [False, True])
async def test_a_node_that_streams_its_model_by_events_streams_once(reports: bool) -> None:
    plan = plan_chain(graph_of(Model(reports=reports)))
    stream = EventStream(flush_interval=0)
    handlers = [new(stream, mode="json") for new in plan.handlers]
    run = ChainRun(plan, {"messages": [("user", "hi")]}, handlers, stream)
    events = [(event.name, event.data) for event in await events_of(run)]
    assert events[:-1] == [("completion", text) for text in ("He", "l", "lo")]
    assert run.output() == "Hello"


def text(text: str) -> dict[str, Any]:
    delta = {"type": "text-delta", "text": text}
    return {"event": "content-block-delta", "index": 0, "delta": delta}


def starts(kind: str) -> dict[str, Any]:
    return {"event": "content-block-start", "index": 1, "content": {"type": kind}}


def test_the_text_of_an_event_is_extracted() -> None:
    assert event_text(text("hi")) == "hi"
    assert event_text(starts("text")) == ""
    assert event_text({"event": "message-start", "role": "ai"}) == ""
    reasoning = {"type": "reasoning-delta", "reasoning": "hm"}
    assert event_text({"event": "content-block-delta", "delta": reasoning}) == ""
    assert event_text({"event": "content-block-delta"}) == ""


@pytest.mark.parametrize(
    ("kind", "calls"),
    [("tool_call_chunk", True), ("tool_call", True), ("server_tool_call", False), ("text", False)],
)
def test_whether_an_event_begins_a_tool_call(kind: str, calls: bool) -> None:
    assert event_is_tool_call(starts(kind)) is calls
    assert not event_is_tool_call(text("hi"))


def test_the_text_of_a_refusal_is_extracted() -> None:
    block = {"type": "refusal", "refusal": "no"}
    assert event_refusal({"event": "content-block-finish", "content": block}) == "no"
    assert event_refusal({"event": "content-block-start", "content": block}) == ""
    assert event_refusal(text("hi")) == ""


async def test_text_before_a_tool_call_is_buffered() -> None:
    sink = Recorder()
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text", hold_tokens=1)
    tools = {"invocation_params": {"tools": [{"name": "look"}]}}
    await handler.on_chat_model_start({}, [], run_id=RUN, **tools)
    await handler.on_stream_event(text("let me "), run_id=RUN)
    await handler.on_stream_event(starts("tool_call_chunk"), run_id=RUN)
    await handler.on_stream_event(text("see"), run_id=RUN)
    assert sink.events == []


async def test_the_first_source_of_a_runs_text_counts() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_chat_model_start({}, [], run_id=RUN)
    await handler.on_stream_event(text("a"), run_id=RUN)
    await handler.on_llm_new_token("a", run_id=RUN)
    await handler.on_stream_event(text("b"), run_id=RUN)
    assert sink.text() == "ab"


async def test_a_refusal_comes_as_an_event() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_chat_model_start({}, [], run_id=RUN)
    block = {"type": "refusal", "refusal": "no"}
    await handler.on_stream_event({"event": "content-block-finish", "content": block}, run_id=RUN)
    assert sink.text() == "no"


async def test_the_events_of_other_models_are_not_sent() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    call = tool_call_chunk(name="look", index=0)
    chunk = ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=[call]))
    await handler.on_stream_event(text("a"), run_id=RUN)
    await handler.on_llm_new_token("", chunk=chunk, run_id=RUN)
    assert sink.events == []
