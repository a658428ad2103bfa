"""Extracting answers and documents from the outputs of LangChain."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    Generation,
    GenerationChunk,
    LLMResult,
)

from quart_lanarky.adapters.langchain.handlers.extraction import (
    answer_text,
    calls_tools,
    distinct,
    is_same_answer,
    result_text,
    to_source_document,
    token_text,
)

CALL = AIMessage("let me see", tool_calls=[{"name": "look", "args": {}, "id": "1"}])
BLOCKS: list[str | dict[Any, Any]] = [
    {"type": "text", "text": "hi"},
    {"type": "tool_use", "id": "1"},
]


@pytest.mark.parametrize(
    ("token", "chunk", "text"),
    [
        ("hi", None, "hi"),
        ("hi", GenerationChunk(text="hi"), "hi"),
        (BLOCKS, ChatGenerationChunk(message=AIMessageChunk(content=BLOCKS)), "hi"),
        ([], ChatGenerationChunk(message=AIMessageChunk(content=[])), ""),
        (BLOCKS, None, ""),
    ],
)
def test_the_text_of_a_token_is_extracted(token: Any, chunk: Any, text: str) -> None:
    assert token_text(token, chunk) == text


def test_the_text_of_a_model_result_is_extracted() -> None:
    assert result_text(LLMResult(generations=[[Generation(text="hi")]])) == "hi"
    assert result_text(LLMResult(generations=[])) == ""
    assert result_text(LLMResult(generations=[[]])) == ""


@pytest.mark.parametrize(
    ("output", "keys", "text"),
    [
        ("hi", None, "hi"),
        (AIMessage("hi"), None, "hi"),
        (AIMessage(BLOCKS), None, "hi"),
        ({"output": "hi", "steps": []}, "output", "hi"),
        ({"output": AIMessage("hi")}, "output", "hi"),
        ({"output": {"output": 1}}, "output", '{"output": 1}'),
        ({"a": 1, "b": "x"}, None, '{"a": 1, "b": "x"}'),
        ({"a": 1}, "output", '{"a": 1}'),
        (None, None, ""),
        ({"a": None, "b": "x"}, (("a", "b"),), "x"),
        ({"a": AIMessage("x"), "b": [AIMessage("y")]}, None, '{"a": "x", "b": ["y"]}'),
        ([AIMessage("x"), AIMessage("y")], None, '["x", "y"]'),
        ({"messages": [HumanMessage("?"), AIMessage("hi")]}, "messages", "hi"),
        ({"messages": [AIMessage("hi"), HumanMessage("?")]}, "messages", ""),
        ({"messages": []}, "messages", "[]"),
        ({"messages": [HumanMessage("hi", name="expert")]}, "messages", "hi"),
        ({"messages": [CALL]}, "messages", ""),
        ({"messages": [HumanMessage("?")], "answer": "hi"}, (("messages", "answer"),), "hi"),
        ([HumanMessage("?"), AIMessage("hi")], None, "hi"),
        ({"a": {"b": "x", "c": 1}}, (("a",), ("b",)), "x"),
        ({"a": "x"}, (("a",), ("b",)), "x"),
        ({"a": {"c": 1}}, (("a",), ("b",)), '{"c": 1}'),
        ([1, float("nan")], None, "[1, null]"),
    ],
)
def test_the_answer_is_extracted_from_a_chains_output(output: Any, keys: Any, text: str) -> None:
    assert answer_text(output, ((keys,),) if isinstance(keys, str) else keys or ()) == text


@pytest.mark.parametrize(
    ("last", "text"),
    [
        ({"role": "assistant", "content": "42"}, "42"),
        ({"role": "assistant", "content": [{"type": "text", "text": "42"}, {"type": "x"}]}, "42"),
        ({"type": "ai", "content": "42", "response_metadata": {}, "name": None}, "42"),
        ({"type": "ai", "data": {"content": "42", "type": "ai"}}, "42"),
        (("ai", "42"), "42"),
        (["assistant", "42"], "42"),
        (("user", "42"), ""),
        ({"role": "user", "content": "42", "name": "expert"}, "42"),
        ({"role": "system", "content": "42"}, ""),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, ""),
        ({"role": "assistant", "content": "see", "tool_calls": [{"id": "1"}]}, ""),
        ({"type": "AIMessageChunk", "content": "42", "tool_call_chunks": []}, "42"),
    ],
)
@pytest.mark.parametrize("asked", [HumanMessage("?"), {"role": "user", "content": "?"}])
def test_the_last_message_of_a_graph_is_read_in_all_forms(asked: Any, last: Any, text: str) -> None:
    output = {"messages": [asked, last]}
    assert answer_text(output, (("structured_response", "messages"),)) == text


@pytest.mark.parametrize(
    "other",
    [
        {"role": "wizard", "content": "42"},
        {"role": ["user"], "content": "42"},
        {"role": "user"},
        {"type": "ai", "content": [1]},
        {"type": "ai", "content": 1},
        ("ai", "42", "43"),
        "42",
        1,
    ],
)
def test_a_list_of_other_things_than_messages_is_json(other: Any) -> None:
    whole = [{"role": "user", "content": "?"}, other]
    assert json.loads(answer_text({"messages": whole}, (("messages",),))) == json.loads(
        json.dumps(whole)
    )


def test_dicts_with_roles_elsewhere_than_in_a_graphs_messages_are_data() -> None:
    dialogue = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    assert json.loads(answer_text({"dialogue": dialogue}, (("dialogue",),))) == dialogue
    assert json.loads(answer_text(dialogue, ())) == dialogue


@pytest.mark.parametrize(
    ("text", "answer", "same"),
    [
        ("hi", "hi", True),
        ("hi", "hi ", False),
        ('{"b":1,\n"a": 2}', '{"a": 2, "b": 1}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ("", "", True),
        ("", "{}", False),
        ("[" * 100_000, "[]", False),
        ("[]", '{"a":' * 100_000, False),
        ("1" * 5_000, "2", False),
    ],
)
def test_whether_two_texts_are_the_same_answer(text: str, answer: str, same: bool) -> None:
    assert is_same_answer(text, answer) is same


def test_documents_are_distinguished_by_id_or_else_by_their_whole_content() -> None:
    a, b = Document("x", id="1"), Document("y", id="1")
    c, d, e = Document("x"), Document("x", metadata={"n": float("nan")}), Document("x")
    assert distinct([a, b, c, d, e]) == [a, c, d]


@pytest.mark.parametrize(
    ("message", "calls"),
    [
        (AIMessage("hi"), False),
        (AIMessage("hi", tool_calls=[{"name": "a", "args": {}, "id": "1"}]), True),
        (AIMessage("", additional_kwargs={"function_call": {"name": "a"}}), True),
    ],
)
def test_whether_a_model_called_a_tool(message: AIMessage, calls: bool) -> None:
    assert calls_tools(LLMResult(generations=[[ChatGeneration(message=message)]])) is calls
    assert not calls_tools(LLMResult(generations=[]))


def test_a_document_with_any_metadata_is_serialised_as_json() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    metadata = {
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "uuid": UUID(int=1),
        "score": float("nan"),
        "raw": b"\xff\xfe",
        "parts": [{"raw": bytearray(b"\xff")}, (memoryview(b"?>"),), {b"\xfb"}],
        "odd": Odd(),
        "number": np.float32(0.5),
        "numbers": np.array([1, 2]),
        "tags": {"a"},
    }
    payload = to_source_document(Document("text", id="7", metadata=metadata))
    assert payload.model_dump(mode="json") == {
        "page_content": "text",
        "metadata": {
            "when": "2026-01-02T00:00:00Z",
            "uuid": "00000000-0000-0000-0000-000000000001",
            "score": None,
            "raw": "//4=",
            "parts": [{"raw": "/w=="}, ["Pz4="], ["+w=="]],
            "odd": "odd",
            "number": 0.5,
            "numbers": [1, 2],
            "tags": ["a"],
        },
        "id": "7",
        "type": "Document",
    }
