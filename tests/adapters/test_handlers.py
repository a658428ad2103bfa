"""What the handler of source documents sends for what LangChain tells it of a run."""

from typing import Any

import pytest
from langchain_core.documents import Document

from quart_lanarky.adapters.langchain.callbacks import SourceDocumentStreamingCallbackHandler
from quart_lanarky.adapters.langchain.speakers import Speech
from tests.adapters.test_tokens import OTHER, ROOT, RUN, Recorder


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


async def documents_sent(sink: Recorder) -> list[str]:
    [event] = sink.events
    return [document["page_content"] for document in event.json()["source_documents"]]


@pytest.mark.parametrize(
    ("key", "contents"),
    [("source_documents", ["a", "b"]), ("source_documents", []), ("context", ["a", "b"])],
)
async def test_returned_documents_are_sent_once_when_the_whole_chain_ends(
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


async def test_what_was_retrieved_is_sent_where_the_chain_drops_it(sink: Recorder) -> None:
    handler = SourceDocumentStreamingCallbackHandler(sink)
    await handler.on_retriever_start({}, "?", run_id=RUN, parent_run_id=ROOT)
    await handler.on_retriever_start({}, "?", run_id=OTHER, parent_run_id=RUN)  # one inside
    await handler.on_retriever_end([Document("inner")], run_id=OTHER)
    await handler.on_retriever_end([Document("a"), Document("b"), Document("a")], run_id=RUN)
    await handler.on_chain_end("answer", run_id=ROOT)
    assert await documents_sent(sink) == ["a", "b"]


async def test_what_was_retrieved_is_not_sent_for_a_chain_that_keeps_it(sink: Recorder) -> None:
    handler = SourceDocumentStreamingCallbackHandler(sink)
    handler.follow(Speech(returns_documents=True))
    await handler.on_retriever_start({}, "?", run_id=RUN, parent_run_id=ROOT)
    await handler.on_retriever_end([Document("a")], run_id=RUN)
    await handler.on_chain_end("answer", run_id=ROOT)
    assert sink.events == []


def test_a_handler_of_returned_documents_is_not_told_of_retrievers(sink: Recorder) -> None:
    assert SourceDocumentStreamingCallbackHandler(sink, only_returned=True).ignore_retriever
    assert not SourceDocumentStreamingCallbackHandler(sink).ignore_retriever
