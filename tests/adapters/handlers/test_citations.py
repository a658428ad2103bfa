"""Citations: those of the message that the answer came in, with their places in the answer."""

import json
import logging
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from langgraph.graph import MessagesState, StateGraph

from quart_lanarky.adapters.langchain.callbacks import (
    CitationStreamingCallbackHandler,
    TokenStreamingCallbackHandler,
)
from quart_lanarky.adapters.langchain.handlers.citations import message_citations
from tests.adapters.handlers.messages import Saying, events_of_chain
from tests.adapters.handlers.recorder import OTHER, ROOT, RUN, Recorder

URL = "https://example.org"


def cited(text: str, title: str = "A", **annotation: Any) -> dict[str, Any]:
    """Return a block of text, all of which cites a source."""
    place = {"start_index": 0, "end_index": len(text)}
    given = {"type": "citation", "url": URL, "title": title, **place, **annotation}
    return {"type": "text", "text": text, "annotations": [given]}


def message_of(*content: str | dict[str, Any], **metadata: Any) -> AIMessage:
    return AIMessage(list(content), response_metadata=metadata)


def summary(message: BaseMessage) -> list[tuple[Any, ...]]:
    return [tuple(each.model_dump().values()) for each in message_citations(message)]


# -- extraction ----------------------------------------------------------------------------


def test_places_count_the_blocks_before() -> None:
    plain = {"type": "text", "text": "🦜é "}
    reasoning = {"type": "reasoning", "reasoning": "Hm"}
    message = message_of(reasoning, plain, cited("One."), plain, cited("Two.", "B"))
    assert summary(message) == [(3, 7, URL, "A", None), (10, 14, URL, "B", None)]


@pytest.mark.parametrize(
    "place",
    [
        {"start_index": None, "end_index": None},
        {"start_index": 3, "end_index": 99},
        {"start_index": -1, "end_index": 2},
        {"start_index": 3, "end_index": 1},
        {"start_index": "0", "end_index": 2},
    ],
)
def test_a_place_that_is_not_known_is_null(place: dict[str, Any]) -> None:
    assert summary(message_of(cited("One.", **place))) == [(None, None, URL, "A", None)]


def test_what_quotes_its_source_and_has_no_place_is_about_its_block() -> None:
    place = {"start_index": None, "end_index": None}
    message = message_of({"type": "text", "text": "Hm. "}, cited("One.", cited_text="one", **place))
    assert summary(message) == [(4, 8, URL, "A", "one")]


def test_openai_cites_files_by_their_names() -> None:
    annotation = {"type": "file_citation", "filename": "a.pdf", "file_id": "f", "file_index": 3}
    block = {"type": "text", "text": "One.", "annotations": [annotation]}
    message = message_of(block, model_provider="openai")
    assert summary(message) == [(None, None, None, "a.pdf", None)]


def test_other_annotations_are_left_out() -> None:
    other = {"type": "container_file_citation", "file_id": "f"}
    block = {"type": "text", "text": "One.", "annotations": [other, "x", {}]}
    assert summary(message_of(block)) == []
    assert summary(message_of({"type": "text", "text": "One.", "annotations": None})) == []
    assert summary(AIMessage("One.")) == []


def test_text_outside_of_the_blocks_makes_places_unknown() -> None:
    message = AIMessage(
        ["Hm. ", {"type": "text", "text": "One.", "citations": [quote()]}],
        response_metadata={"model_provider": "anthropic"},
    )
    assert summary(message) == [(None, None, URL, "A", "one")]


def quote() -> dict[str, Any]:
    return {"type": "web_search_result_location", "url": URL, "title": "A", "cited_text": "one"}


def grounded(text: str, *supports: dict[str, Any]) -> AIMessage:
    chunks = [{"web": {"uri": URL, "title": "A"}, "maps": None}, {"web": None}, {}]
    grounding = {"grounding_chunks": chunks, "grounding_supports": list(supports)}
    return AIMessage(text, response_metadata={"grounding_metadata": grounding})


def support(said: str | None, start: int | None, *chunks: int) -> dict[str, Any]:
    segment = {"text": said, "start_index": start, "end_index": 99}
    return {"segment": segment, "grounding_chunk_indices": list(chunks)}


@pytest.mark.parametrize(
    ("said", "start", "expected"),
    [
        ("ab", 7, (4, 6)),  # in bytes, the second of two
        ("ab", None, (0, 2)),
        ("ab", 1, (0, 2)),  # wrong
        ("🦜", 3, (3, 4)),
        ("cd", 0, (None, None)),
        (None, 0, (None, None)),
    ],
)
def test_google_counts_bytes(said: str | None, start: int | None, expected: Any) -> None:
    message = grounded("ab 🦜ab", support(said, start, 0))
    assert summary(message) == [(*expected, URL, "A", None)]


def test_google_cites_several_sources_for_one_part() -> None:
    message = grounded("ab", support("ab", 0, 0, 1, 9), {"segment": None})
    nothing = (0, 2, None, None, None)
    assert summary(message) == [(0, 2, URL, "A", None), nothing, nothing]


# -- which message -------------------------------------------------------------------------


def places(events: list[Any]) -> list[str]:
    """Return the cited parts of what was sent."""
    tokens: list[str] = []
    for name, data in events:
        if name == "retract":
            del tokens[-data["tokens"] :]
        elif name == "completion":
            tokens.append(data)
    text = "".join(tokens)
    return [text[data["start"] : data["end"]] for name, data in events if name == "citation"]


def names(events: list[Any]) -> list[str]:
    """Return the names of events, of those in a row only one."""
    return [name for name, _ in groupby(name for name, _ in events)]


async def citing(chain: Runnable[Any, Any], inputs: Any = "hi", **plan: Any) -> list[Any]:
    return await events_of_chain(chain, inputs, show=("citations",), **plan)


SAYING = Saying(messages=[message_of(" See: ", cited("One. "), cited("Two. ", "B"))])


async def test_citations_come_after_the_answer() -> None:
    events = await citing(SAYING)
    assert names(events) == ["completion", "citation"]
    assert places(events) == ["One. ", "Two. "]
    assert json.dumps(events[-2][1]) == json.dumps(
        {"start": 6, "end": 11, "url": URL, "title": "A", "cited_text": None}
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda message: message.text.strip(), ["One. ", "Two."]),
        (lambda message: f"> {message.text}", ["One. ", "Two. "]),
        (lambda message: {"answer": message.text}, []),
        (lambda message: message.text[-4:], ["wo. "]),
        (lambda message: "something else", []),
        (lambda message: ["a", "value"], []),
        (lambda message: "", []),
    ],
)
async def test_what_the_chain_makes_of_the_text_moves_its_citations(
    made: Any, expected: list[str]
) -> None:
    chain = SAYING.with_config(tags=["final"]) | RunnableLambda(made)
    events = await citing(chain, final_tag="final")
    assert places(events) == expected
    assert "error" not in dict(events)


async def test_each_citation_comes_once() -> None:
    twice = cited("One.")
    twice["annotations"] *= 2
    assert places(await citing(Saying(messages=[message_of(twice)]))) == ["One."]


def agent(*messages: AIMessage, steps: int = 2) -> Any:
    """Return a graph that calls its model several times, each in a node of its own."""
    model = Saying(messages=list(messages))
    graph = StateGraph(MessagesState)

    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    for number in range(steps):
        graph.add_node(f"n{number}", node)
        graph.add_edge(f"n{number - 1}" if number else "__start__", f"n{number}")
    return graph.compile()


CALL = {"name": "look", "args": {}, "id": "1", "type": "tool_call"}
THINKS = AIMessage([cited("I look it up.")], tool_calls=[CALL])


async def test_of_what_was_taken_back_no_citation_stays() -> None:
    events = await citing(agent(THINKS, message_of(cited("Yes."))), {"messages": [("user", "hi")]})
    assert places(events[-2:]) == ["Yes."]
    assert [name for name, _ in events].count("citation") == 1
    events = await citing(agent(message_of(cited("No.")), AIMessage("Yes.")), {"messages": []})
    assert "citation" not in dict(events)


async def test_of_two_messages_with_the_same_text_the_last_one_counts() -> None:
    recorder = Recorder()
    handler = CitationStreamingCallbackHandler(recorder)
    for run_id, title in ((RUN, "A"), (OTHER, "B")):
        await handler.on_chat_model_start({}, [], run_id=run_id)
        generation = ChatGeneration(message=message_of(cited("Yes.", title)))
        await handler.on_llm_end(LLMResult(generations=[[generation]]), run_id=run_id)
    await handler.on_chain_end("Yes.", run_id=ROOT)
    assert [event.data["title"] for event in recorder.events] == ["B"]


async def test_a_message_that_no_model_run_made_has_citations_too() -> None:
    graph = StateGraph(MessagesState)
    graph.add_node("n", lambda state: {"messages": [message_of(cited("Yes."))]})
    chain = graph.add_edge("__start__", "n").compile()
    assert places(await citing(chain, {"messages": [HumanMessage("hi")]})) == ["Yes."]


async def test_a_chain_that_puts_out_messages_of_its_own_has_citations() -> None:
    async def generate(inputs: AsyncIterator[Any]) -> AsyncIterator[AIMessageChunk]:
        async for _ in inputs:
            yield AIMessageChunk("Hm. ")
            yield AIMessageChunk([cited("One.")])

    events = await citing(RunnableGenerator(generate))
    assert events[-1][0] == "citation"


async def test_citations_come_after_the_source_documents() -> None:
    class Retriever(BaseRetriever):
        def _get_relevant_documents(self, query: str, **kwargs: Any) -> list[Document]:
            return [Document("One.")]

    chain = Retriever() | RunnableLambda(str) | SAYING
    assert names(await citing(chain)) == ["completion", "source_documents", "citation"]


async def test_by_hand_the_last_message_of_a_graph_is_the_answer() -> None:
    recorder = Recorder()
    handlers = [TokenStreamingCallbackHandler(recorder), CitationStreamingCallbackHandler(recorder)]
    graph = agent(message_of(cited("No.")), message_of(cited("Yes.", "B")))
    await graph.ainvoke({"messages": []}, config={"callbacks": handlers})
    assert [e.data["title"] for e in recorder.events if e.name == "citation"] == ["B"]


async def test_a_malformed_citation_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    broken = AIMessage("Yes.", response_metadata={"grounding_metadata": {"grounding_supports": 1}})
    with caplog.at_level(logging.ERROR):
        events = await citing(Saying(messages=[broken]))
    assert events == [("completion", "Yes.")]
    assert "cannot read the answer's message" in caplog.text


async def test_what_is_no_chat_model_has_none() -> None:
    recorder = Recorder()
    handler = CitationStreamingCallbackHandler(recorder)
    await handler.on_chain_start({}, {}, run_id=RUN)
    await handler.on_llm_start({}, [], run_id=RUN)
    await handler.on_llm_end(LLMResult(generations=[[Generation(text="hi")]]), run_id=RUN)
    await handler.on_llm_error(ValueError(), run_id=RUN)
    await handler.on_chain_end({"a": 1}, run_id=RUN)
    assert recorder.events == []
