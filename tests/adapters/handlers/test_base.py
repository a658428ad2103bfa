"""Which source documents a handler sends for a run, and which callbacks LangChain skips."""

import inspect
import re
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, manager
from langchain_core.callbacks.manager import ahandle_event
from langchain_core.documents import Document

from quart_lanarky.adapters.langchain.callbacks import (
    SourceDocumentStreamingCallbackHandler,
    TokenStreamingCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.base import EventCallbackHandler
from quart_lanarky.adapters.langchain.handlers.selection import AnswerSpec
from tests.adapters.handlers.recorder import OTHER, ROOT, RUN, Recorder


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


async def documents_sent(sink: Recorder) -> list[str]:
    [event] = sink.events
    return [document["page_content"] for document in event.data["source_documents"]]


@pytest.mark.parametrize(
    ("key", "contents"),
    [("source_documents", ["a", "b"]), ("source_documents", []), ("context", ["a", "b"])],
)
async def test_returned_documents_are_sent_once_when_the_root_chain_ends(
    sink: Recorder, key: str, contents: list[str]
) -> None:
    handler = SourceDocumentStreamingCallbackHandler(sink)
    outputs = {key: [Document(content) for content in contents], "result": "hi"}
    await handler.on_chain_end(outputs, run_id=RUN, parent_run_id=ROOT)
    assert sink.events == []
    await handler.on_chain_end(outputs, run_id=ROOT)
    assert await documents_sent(sink) == contents


@pytest.mark.parametrize(
    "outputs",
    ["text", {"result": "hi"}, None, {"context": "text"}, {"context": ["text"]}, {"context": []}],
)
async def test_a_chain_that_returns_no_documents_sends_none(sink: Recorder, outputs: Any) -> None:
    await SourceDocumentStreamingCallbackHandler(sink).on_chain_end(outputs, run_id=ROOT)
    assert sink.events == []


async def test_retrieved_documents_are_sent_if_the_chain_does_not_return_them(
    sink: Recorder,
) -> None:
    handler = SourceDocumentStreamingCallbackHandler(sink)
    await handler.on_retriever_start({}, "?", run_id=RUN, parent_run_id=ROOT)
    await handler.on_retriever_start({}, "?", run_id=OTHER, parent_run_id=RUN)  # one inside
    await handler.on_retriever_end([Document("inner")], run_id=OTHER)
    await handler.on_retriever_end([Document("a"), Document("b"), Document("a")], run_id=RUN)
    await handler.on_chain_end("answer", run_id=ROOT)
    assert await documents_sent(sink) == ["a", "b"]


async def test_retrieved_documents_are_not_sent_if_the_chain_returns_its_documents(
    sink: Recorder,
) -> None:
    handler = SourceDocumentStreamingCallbackHandler(sink)
    handler.use_spec(AnswerSpec(returns_documents=True))
    await handler.on_retriever_start({}, "?", run_id=RUN, parent_run_id=ROOT)
    await handler.on_retriever_end([Document("a")], run_id=RUN)
    await handler.on_chain_end("answer", run_id=ROOT)
    assert sink.events == []


def test_a_handler_of_returned_documents_ignores_retriever_events(sink: Recorder) -> None:
    assert SourceDocumentStreamingCallbackHandler(sink, only_returned=True).ignore_retriever
    assert not SourceDocumentStreamingCallbackHandler(sink).ignore_retriever


# -- which callbacks LangChain skips --------------------------------------------------------


async def calls_of(handler: EventCallbackHandler, name: str, ignored_if: str) -> None:
    """Call a callback of the handler as LangChain does, unless its ignore condition holds."""
    await ahandle_event([handler], name, ignored_if, "x", run_id=RUN)


class DefinesLLMEnd(SourceDocumentStreamingCallbackHandler):
    """Defines one callback of a group."""

    called = 0

    async def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.called += 1


class InheritsLLMEnd(DefinesLLMEnd):
    """Inherits the callback."""


class DefinesToolCallbacks(EventCallbackHandler):
    """Defines callbacks of other groups."""

    called = 0

    async def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
        self.called += 1

    async def on_custom_event(self, *args: Any, **kwargs: Any) -> None:
        self.called += 1


@pytest.mark.parametrize("kind", [DefinesLLMEnd, InheritsLLMEnd])
async def test_a_handler_that_defines_one_callback_of_a_group_gets_the_whole_group(
    sink: Recorder, kind: type[DefinesLLMEnd]
) -> None:
    handler = kind(sink)
    await calls_of(handler, "on_llm_new_token", "ignore_llm")
    await calls_of(handler, "on_llm_end", "ignore_llm")
    assert handler.called == 1


async def test_a_handler_gets_tool_and_custom_events_if_it_defines_their_callbacks(
    sink: Recorder,
) -> None:
    handler = DefinesToolCallbacks(sink)
    await calls_of(handler, "on_tool_start", "ignore_agent")
    await calls_of(handler, "on_custom_event", "ignore_custom_event")
    assert handler.called == 2


CONDITIONS = sorted(set(re.findall(r'"(on_\w+)",\s+"(ignore_\w+)"', inspect.getsource(manager))))
"""For each callback the attribute by which LangChain skips a handler."""


@pytest.mark.parametrize(("name", "ignored_if"), CONDITIONS)
async def test_a_handler_that_defines_a_single_callback_gets_it(
    sink: Recorder, name: str, ignored_if: str
) -> None:
    called = []

    async def record(*args: Any, **kwargs: Any) -> None:
        called.append(args)

    await calls_of(type("Single", (EventCallbackHandler,), {name: record})(sink), name, ignored_if)
    assert len(called) == 1


def test_each_langchain_callback_has_a_skip_condition() -> None:
    names = {name for name in vars(AsyncCallbackHandler) if name.startswith("on_")}
    assert names - {"on_text"} == {name for name, _ in CONDITIONS}


def test_a_document_handler_is_not_called_for_tokens(sink: Recorder) -> None:
    handler = SourceDocumentStreamingCallbackHandler(sink)
    assert handler.ignore_llm
    assert handler.ignore_chat_model
    assert handler.ignore_agent
    assert not handler.ignore_chain


def test_a_token_handler_ignores_no_callback_that_it_needs(sink: Recorder) -> None:
    handler = TokenStreamingCallbackHandler(sink)
    assert not handler.ignore_llm
    assert not handler.ignore_chat_model
    assert not handler.ignore_agent  # it tracks the runs inside tools
    assert handler.ignore_custom_event


def test_a_subclass_can_still_set_an_ignore_attribute(sink: Recorder) -> None:
    class IgnoresLLM(DefinesLLMEnd):
        ignore_llm = True

    assert IgnoresLLM(sink).ignore_llm
