"""Where the answer is in what LangChain hands over: tokens, results, outputs, documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from ...errors import ConfigurationError
from ...events import SourceDocument

__all__ = [
    "DEFAULT_ANSWER_PREFIX_TOKENS",
    "AnswerFinder",
    "answer_text",
    "result_text",
    "to_json",
    "to_source_document",
    "token_text",
]

DEFAULT_ANSWER_PREFIX_TOKENS = ("Final", "Answer", ":")
"""How a ReAct agent announces its answer, as LangChain's own handler has it."""

Chunk = GenerationChunk | ChatGenerationChunk


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


def answer_text(output: Any, output_key: str | None) -> str:
    """Return the answer that a chain's output holds, as text.

    Args:
        output: What the chain returned: a message, a text, a dict of outputs, or anything.
        output_key: Which value of a dict is the answer; without it, the whole dict is.
    """
    if isinstance(output, Mapping) and output_key in output:
        return answer_text(output[output_key], None)
    if isinstance(output, BaseMessage):
        return str(output.text)
    return output if isinstance(output, str) else json.dumps(to_json(output))


def to_json(value: Any) -> JsonValue:
    """Return `value` as plain JSON data; what JSON cannot express becomes text, NaN null."""
    jsonable: JsonValue = to_jsonable_python(
        value, fallback=str, inf_nan_mode="null", bytes_mode="base64"
    )
    return jsonable


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


class AnswerFinder:
    """Finds where an agent's answer begins in the text of one model run, and passes it on.

    It looks at the text and not at the tokens, for models cut one text in many ways. Only what
    may still turn out to be the prefix, or to be white space at the end, is held back.

    Args:
        prefix_tokens: What announces the answer, cut anyhow.
        strip_tokens: Whether white space is ignored around the prefix, between its tokens, and
            around the answer (agents' own parsers strip the answer as well).
        stream_prefix: Whether the prefix itself is passed on, as the model wrote it.

    Raises:
        ConfigurationError: The prefix has no text.
    """

    def __init__(
        self, prefix_tokens: Sequence[str], *, strip_tokens: bool, stream_prefix: bool
    ) -> None:
        self._prefix = _prefix_pattern(prefix_tokens, strip_tokens=strip_tokens)
        self._strip = strip_tokens
        self._stream_prefix = stream_prefix
        self._held = ""  # text that was fed and is neither passed on nor given up
        self._found = False
        self._started = False  # something of the answer was passed on

    def feed(self, text: str) -> str:
        """Take the next text of the model; return what of the answer can be passed on now."""
        self._held += text
        prefix = "" if self._found else self._find_prefix()
        return prefix + self._take_answer() if self._found else ""

    def _find_prefix(self) -> str:
        match = self._prefix.search(self._held)
        if match is None or match["whole"] is None:
            self._held = "" if match is None else match[0]
            return ""
        self._found = True
        self._started = self._stream_prefix  # then the space after the prefix is sent as well
        self._held = self._held[match.end() :]
        return match[0] if self._stream_prefix else ""

    def _take_answer(self) -> str:
        if not self._strip:
            answer, self._held = self._held, ""
            return answer
        answer = self._held.rstrip()
        self._held = self._held[len(answer) :]
        if not self._started:
            answer = answer.lstrip()
            self._started = bool(answer)
        return answer


def _prefix_pattern(tokens: Sequence[str], *, strip_tokens: bool) -> re.Pattern[str]:
    r"""Return a pattern that finds the whole prefix, or its beginning at the end of the text.

    For the prefix `ab` it is ``a(?:b(?P<whole>)|\Z)``: after each part either the next part
    follows or the text ends, and only the whole prefix sets the group.
    """
    tokens = [token.strip() for token in tokens] if strip_tokens else tokens
    if not "".join(tokens):
        raise ConfigurationError("answer_prefix_tokens must hold some text to look for")
    pattern = "(?P<whole>)"
    for part in reversed(list(_parts(tokens, strip_tokens=strip_tokens))):
        pattern = rf"{part}(?:{pattern}|\Z)"
    return re.compile(pattern)


def _parts(tokens: Iterable[str], *, strip_tokens: bool) -> Iterable[str]:
    for number, token in enumerate(tokens):
        if number and strip_tokens:
            yield r"\s*"
        yield from map(re.escape, token)
