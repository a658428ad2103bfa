"""The handlers: what they send for what LangChain calls."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from langchain_classic.callbacks.streaming_stdout_final_only import (
    FinalStreamingStdOutCallbackHandler,
)
from langchain_core.documents import Document
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import Generation, LLMResult
from langchain_core.runnables import RunnableLambda

from quart_lanarky.adapters.langchain import callbacks
from quart_lanarky.adapters.langchain.callbacks import (
    EventCallbackHandler,
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.events import Event
from quart_lanarky.streams import EventStream

STREAMING = [
    TokenStreamingCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    FinalTokenStreamingCallbackHandler,
]
WEBSOCKET = [
    TokenWebSocketCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
]
RUN, OTHER, ROOT = uuid4(), uuid4(), uuid4()


class Recorder:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def send(self, event: Event, /) -> None:
        self.events.append(event)

    def text(self) -> str:
        return "".join(event.data for event in self.events)


def result(text: str) -> LLMResult:
    return LLMResult(generations=[[Generation(text=text)]])


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_an_unknown_mode_is_a_value_error_at_construction(handler: type[Any]) -> None:
    with pytest.raises(ValueError, match="'text' or 'json'"):
        handler(mode="xml")


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_both_modes_are_taken_and_json_is_the_default(handler: type[Any]) -> None:
    assert [handler().mode, handler(mode="text").mode, handler(mode="json").mode] == [
        "json",
        "text",
        "json",
    ]


def test_each_handler_derives_from_the_base_of_its_transport() -> None:
    assert all(issubclass(handler, StreamingCallbackHandler) for handler in STREAMING)
    assert all(issubclass(handler, WebSocketCallbackHandler) for handler in WEBSOCKET)


def test_the_plural_spellings_are_aliases() -> None:
    assert (
        callbacks.SourceDocumentsStreamingCallbackHandler is SourceDocumentStreamingCallbackHandler
    )
    assert (
        callbacks.SourceDocumentsWebSocketCallbackHandler is SourceDocumentWebSocketCallbackHandler
    )


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_a_handler_sends_where_it_is_told(handler: type[EventCallbackHandler]) -> None:
    stream = EventStream()
    assert handler(stream).sink is stream


def test_a_streaming_handler_has_a_stream_of_its_own() -> None:
    first, second = TokenStreamingCallbackHandler(), TokenStreamingCallbackHandler()
    assert first.stream is not second.stream
    with pytest.raises(ValueError, match="does not send into an EventStream"):
        TokenStreamingCallbackHandler(Recorder()).stream  # noqa: B018


async def test_a_websocket_handler_outside_a_websocket_says_so_when_it_sends() -> None:
    with pytest.raises(RuntimeError, match="websocket context"):
        await TokenWebSocketCallbackHandler().send("note", "hi")


async def test_events_of_ones_own_are_text_or_json() -> None:
    sink = Recorder()
    handler = StreamingCallbackHandler(sink)
    await handler.send("note", "hi")
    await handler.send("tool", {"name": "calculator"})
    assert sink.events == [Event("note", "hi"), Event("tool", '{"name": "calculator"}')]
    assert [event.is_json for event in sink.events] == [False, True]


# -- tokens --------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "data"), [("json", '{"token": "hi"}'), ("text", "hi")])
async def test_a_token_is_sent_in_the_handlers_mode(mode: Any, data: str) -> None:
    sink = Recorder()
    await TokenStreamingCallbackHandler(sink, mode=mode).on_llm_new_token("hi", run_id=RUN)
    assert sink.events == [Event("completion", data)]


async def test_an_empty_token_is_not_sent_and_does_not_count() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_llm_new_token("", run_id=RUN)
    await handler.on_llm_end(result("whole"), run_id=RUN)
    assert sink.text() == "whole"


async def test_what_came_as_tokens_is_not_sent_again_by_anything() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_llm_new_token("hi", run_id=RUN)
    await handler.on_llm_end(result("hi"), run_id=RUN)
    await handler.on_chain_end({"output": "hi"}, run_id=ROOT)
    assert sink.text() == "hi"


async def test_a_model_run_that_did_not_stream_is_sent_whole_beside_one_that_did() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_llm_new_token("a", run_id=RUN)
    await handler.on_llm_end(result("b"), run_id=OTHER)
    await handler.on_llm_end(result("a"), run_id=RUN)
    assert sink.text() == "ab"


async def test_only_the_end_of_the_whole_chain_sends_an_output() -> None:
    sink = Recorder()
    handler = TokenStreamingCallbackHandler(sink, mode="text", output_key="answer")
    await handler.on_chain_end({"answer": "inner"}, run_id=RUN, parent_run_id=ROOT)
    assert sink.events == []
    await handler.on_chain_end({"answer": "outer", "other": 1}, run_id=ROOT)
    assert sink.text() == "outer"


async def test_a_token_handler_makes_a_chat_model_stream_under_ainvoke() -> None:
    sink = Recorder()
    model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await model.ainvoke("?", {"callbacks": [handler]})
    assert [event.data for event in sink.events] == ["one", " ", "two"]


async def test_a_token_handler_makes_a_chat_model_stream_under_invoke_in_a_thread() -> None:
    sink = Recorder()
    model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await asyncio.to_thread(model.invoke, "?", {"callbacks": [handler]})
    assert [event.data for event in sink.events] == ["one", " ", "two"]


# -- source documents ----------------------------------------------------------------------


@pytest.mark.parametrize("documents", [[Document("a"), Document("b")], []])
async def test_documents_are_sent_once_when_the_whole_chain_ends(
    documents: list[Document],
) -> None:
    sink = Recorder()
    handler = SourceDocumentStreamingCallbackHandler(sink)
    outputs = {"source_documents": documents, "result": "hi"}
    await handler.on_chain_end(outputs, run_id=RUN, parent_run_id=ROOT)
    assert sink.events == []
    await handler.on_chain_end(outputs, run_id=ROOT)
    [event] = sink.events
    sent = event.json()["source_documents"]
    assert [document["page_content"] for document in sent] == [d.page_content for d in documents]


@pytest.mark.parametrize("outputs", ["text", {"result": "hi"}, None])
async def test_a_chain_that_returns_no_documents_sends_none(outputs: Any) -> None:
    sink = Recorder()
    await SourceDocumentStreamingCallbackHandler(sink).on_chain_end(outputs, run_id=ROOT)
    assert sink.events == []


# -- final tokens --------------------------------------------------------------------------


async def final_text(tokens: list[str], **options: Any) -> str:
    sink = Recorder()
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text", **options)
    for token in tokens:
        await handler.on_llm_new_token(token, run_id=RUN)
    return sink.text()


def langchains_text(tokens: list[str], capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    handler = FinalStreamingStdOutCallbackHandler(**options)
    for token in tokens:
        handler.on_llm_new_token(token)
    return capsys.readouterr().out


@pytest.mark.parametrize("tokens", [["hm", "Final", " Answer", ":", " 42", "!"], ["hm", " 42"]])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stream_prefix": True},
        {"answer_prefix_tokens": ["Final", " Answer", ":"], "strip_tokens": False},
        {"answer_prefix_tokens": ["Answer", ":"]},
    ],
)
async def test_the_arguments_mean_what_langchain_documents(
    tokens: list[str], options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = langchains_text(tokens, capsys, **options)
    # Where white space is ignored it is ignored around the answer too, as agents return it.
    if options.get("strip_tokens", True):
        expected = expected.strip()
    assert await final_text(tokens, **options) == expected


async def test_the_search_starts_anew_with_each_model_run() -> None:
    sink = Recorder()
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_llm_new_token("Final Answer: 1", run_id=RUN)
    await handler.on_llm_new_token("Final Ans", run_id=OTHER)
    await handler.on_llm_end(result(""), run_id=RUN)
    third = UUID(int=3)
    await handler.on_llm_new_token("wer: no", run_id=third)  # not the rest of OTHER's text
    await handler.on_llm_new_token("wer: 2", run_id=OTHER)
    assert sink.text() == "12"


async def test_an_agents_model_that_does_not_stream_is_searched_all_the_same() -> None:
    sink = Recorder()
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_llm_end(result("I think.\nFinal Answer: 42"), run_id=RUN)
    await handler.on_chain_end({"output": "42"}, run_id=ROOT)
    assert sink.text() == "42"


async def test_an_agent_that_never_announced_its_answer_has_its_output_sent() -> None:
    sink = Recorder()
    handler = FinalTokenStreamingCallbackHandler(sink, mode="text")
    await handler.on_llm_new_token("I think", run_id=RUN)
    await handler.on_chain_end({"output": "gave up", "intermediate_steps": []}, run_id=ROOT)
    assert sink.text() == "gave up"


@pytest.mark.parametrize(
    "handler", [FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler]
)
def test_a_prefix_without_text_is_a_value_error_at_construction(handler: type[Any]) -> None:
    with pytest.raises(ValueError, match="answer_prefix_tokens"):
        handler(answer_prefix_tokens=["", " "])


# -- what a handler may do to its chain ----------------------------------------------------


async def test_a_cancelled_chain_ends_as_cancelled_while_a_handler_waits_for_the_reader() -> None:
    stream = EventStream(max_events=1)
    stream.open()
    model = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
    chain = RunnableLambda(lambda text: text) | model
    handler = TokenStreamingCallbackHandler(stream)
    task = asyncio.create_task(chain.ainvoke("?", {"callbacks": [handler]}))
    await asyncio.sleep(0.05)
    assert not task.done()  # the stream is full, and nobody reads
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
