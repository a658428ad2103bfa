"""Extract the answer from what LangChain gives: tokens, results, outputs, source documents."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, GenerationChunk, LLMResult
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from ....events import SOURCE_DOCUMENTS, SourceDocument
from .conversations import as_conversation, has_question, is_conversation, is_unanswered

__all__ = [
    "INTERRUPT_KEY",
    "MESSAGES",
    "announced_phase",
    "answer_json",
    "answer_text",
    "calls_tools",
    "distinct",
    "documents_in",
    "event_is_tool_call",
    "event_text",
    "find_answer",
    "is_same_answer",
    "is_tool_call",
    "result_text",
    "to_json",
    "to_source_document",
    "token_text",
]

INTERRUPT_KEY = "__interrupt__"
"""Where a graph returns what it waits for, as LangGraph has it."""

MESSAGES = "messages"
"""Where a graph returns its conversation."""

DOCUMENT_KEYS = (SOURCE_DOCUMENTS, "context")
"""Where retrieval chains return their documents, the classic ones and today's."""

_TOOL_CALLS = ("tool_call", "tool_call_chunk", "invalid_tool_call")
"""The types of content blocks that are tool calls, whole or in part."""

Chunk = GenerationChunk | ChatGenerationChunk

OutputPath = Sequence[Sequence[str]]
"""The keys that lead to an answer in nested dicts: for each level, which to try."""


def token_text(token: str | list[Any], chunk: Chunk | None) -> str:
    """Return the text of a token; empty for a tool call, a usage report and their like.

    A chat model's token may be a list of content blocks; the text of its chunk is right in
    every case, but a custom model that calls the callback itself may not pass a chunk.
    """
    if chunk is not None:
        return chunk.text
    return token if isinstance(token, str) else ""


def result_text(result: LLMResult) -> str:
    """Return the text that a model's run ended with."""
    return result.generations[0][0].text if result.generations and result.generations[0] else ""


def is_tool_call(chunk: Chunk | None) -> bool:
    """Tell whether a token belongs to a tool call, also in the way that models had before."""
    message = chunk.message if isinstance(chunk, ChatGenerationChunk) else None
    return isinstance(message, AIMessageChunk) and bool(
        message.tool_call_chunks or message.additional_kwargs.get("function_call")
    )


def announced_phase(chunk: Chunk | None) -> str | None:
    """Return what a model says of the text that it begins: "commentary" or "final_answer".

    OpenAI's Responses API does, for some models, in an empty block before the text; without it,
    and with other providers, it is None.
    """
    content = chunk.message.content if isinstance(chunk, ChatGenerationChunk) else ""
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict):
            phase = block.get("phase") or (block.get("extras") or {}).get("phase")
            if phase is not None:
                return str(phase)
    return None


def event_text(event: Mapping[str, Any]) -> str:
    """Return the text that an event of a model's stream adds; empty for all other events."""
    delta = event.get("delta") if event.get("event") == "content-block-delta" else None
    is_text = isinstance(delta, Mapping) and delta.get("type") == "text-delta"
    return str(delta.get("text") or "") if is_text and delta is not None else ""


def event_is_tool_call(event: Mapping[str, Any]) -> bool:
    """Tell whether an event of a model's stream begins a tool call."""
    block = event.get("content") if event.get("event") == "content-block-start" else None
    return isinstance(block, Mapping) and block.get("type") in _TOOL_CALLS


def calls_tools(result: LLMResult) -> bool:
    """Tell whether a model's run ended in a tool call instead of an answer."""
    generation = result.generations[0][0] if result.generations and result.generations[0] else None
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return isinstance(message, AIMessage) and bool(
        message.tool_calls or message.additional_kwargs.get("function_call")
    )


def find_answer(output: Any, output_path: OutputPath) -> tuple[Any, bool]:
    """Return the part of a chain's output that is its answer, and whether it was expected there.

    Args:
        output: What the chain returned.
        output_path: The keys that lead to the answer, level by level; of each level the first that
            there is, preferably one whose conversation does not end with an open question.
    """
    for keys in output_path:
        if not isinstance(output, Mapping):
            break
        given = [_read_key(output, key) for key in keys if output.get(key) is not None]
        if not given:
            return output, False
        output = next((value for value in given if not is_unanswered(value)), given[0])
    return output, bool(output_path) or not isinstance(output, Mapping)


def _read_key(output: Mapping[str, Any], key: str) -> Any:
    """Return what an output has under a key, in the forms that graphs return it in."""
    return as_conversation(output[key]) if key == MESSAGES else output[key]


def answer_json(output: Any, output_path: OutputPath) -> JsonValue:
    """Return the answer that a chain's output holds, as JSON: messages as their text.

    Args:
        output: What the chain returned: a message, a text, a dict of outputs, or anything.
        output_path: The keys that lead to the answer. Of a conversation it is the last message,
            unless that is the user's or calls a tool.
    """
    answer, _ = find_answer(output, output_path)
    if is_conversation(answer) and (output_path or has_question(answer)):
        return "" if is_unanswered(answer) else str(answer[-1].text)
    return to_json(_with_texts(answer))


def answer_text(output: Any, output_path: OutputPath) -> str:
    """Return the same answer as text: what is no text already as JSON."""
    answer = answer_json(output, output_path)
    if answer is None:
        return ""
    return answer if isinstance(answer, str) else json.dumps(answer)


def is_same_answer(text: str, answer: str) -> bool:
    """Tell whether a model's text is the answer, be it that JSON is written another way."""
    if text == answer:
        return True
    try:
        return bool(json.loads(text) == json.loads(answer))
    except (ValueError, RecursionError):  # no JSON, or nested deeper than Python reads it
        return False


def _with_texts(value: Any) -> Any:
    """Return `value` with the texts of messages in place of the messages, at any depth."""
    if type(value) in _SCALARS:
        return value
    if isinstance(value, BaseMessage):
        return str(value.text)
    if isinstance(value, Mapping):
        return {key: _with_texts(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_texts(item) for item in value]
    return value


_SCALARS = frozenset({str, int, float, bool, type(None)})
"""What most of an output is, and is written as it is."""


def to_json(value: Any) -> JsonValue:
    """Return `value` as plain JSON data; what JSON cannot express becomes text, NaN null."""
    jsonable: JsonValue = to_jsonable_python(
        _with_base64(value), fallback=_plain, inf_nan_mode="null", bytes_mode="base64"
    )
    return jsonable


def _with_base64(value: Any) -> Any:
    """Return `value` with bytes as base64 in the standard alphabet, at any depth.

    Pydantic would write the alphabet of URLs, which `atob` of browsers refuses.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: _with_base64(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_with_base64(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Return numbers and arrays of numpy and its like as those of Python, the rest as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def documents_in(output: Any) -> list[Document] | None:
    """Return the source documents that a chain returned beside its answer, if it did."""
    for key in DOCUMENT_KEYS if isinstance(output, Mapping) else ():
        documents = output.get(key)
        named = bool(documents) or key == SOURCE_DOCUMENTS  # an empty context may be anything
        if isinstance(documents, list) and named and all(map(_is_document, documents)):
            return documents
    return None


def _is_document(value: Any) -> bool:
    return isinstance(value, Document)


def distinct(documents: Iterable[Document]) -> list[Document]:
    """Return the documents without duplicates, in their order."""
    seen: dict[str, Document] = {}
    for document in documents:
        content = json.dumps([document.page_content, to_json(document.metadata)])
        seen.setdefault(document.id or content, document)
    return list(seen.values())


def to_source_document(document: Document) -> SourceDocument:
    """Return the payload for `document`; metadata that JSON cannot express becomes text."""
    return SourceDocument.model_validate(
        {
            "page_content": document.page_content,
            "metadata": to_json(document.metadata),
            "id": document.id,
            "type": document.type,
        }
    )
