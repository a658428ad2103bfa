"""Finding the answer in what LangChain hands over."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, Generation, GenerationChunk, LLMResult

from quart_lanarky.adapters.langchain.answers import (
    DEFAULT_ANSWER_PREFIX_TOKENS,
    AnswerFinder,
    answer_text,
    result_text,
    to_source_document,
    token_text,
)
from quart_lanarky.errors import ConfigurationError


def find(pieces: list[str], **options: Any) -> str:
    """Feed the pieces; return all that came out."""
    settings = {"strip_tokens": True, "stream_prefix": False} | options
    prefix = settings.pop("prefix_tokens", DEFAULT_ANSWER_PREFIX_TOKENS)
    finder = AnswerFinder(prefix, **settings)
    return "".join(map(finder.feed, pieces))


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(min_value=0), max_size=40)
SPACE = st.text(" \n\t", max_size=3)
# Thoughts that come close to the prefix, again and again.
THOUGHTS = st.lists(
    st.sampled_from(["F", "Final", " ", "Answer", ":", "\n", "FinalAns", "Finally", "x"])
).map("".join)


@given(thought=THOUGHTS, gaps=st.tuples(SPACE, SPACE), answer=st.text(), cuts=CUTS)
@example(thought="FFinal ", gaps=(" ", ""), answer=" 42\n", cuts=[1, 2, 3])
def test_the_answer_is_the_text_after_the_prefix_however_it_is_cut(
    thought: str, gaps: tuple[str, str], answer: str, cuts: list[int]
) -> None:
    prefix = f"Final{gaps[0]}Answer{gaps[1]}:"
    text = f"{thought}|{prefix}{answer}"
    pieces = pieces_of(text, cuts)
    # The first prefix counts; the thoughts may hold one as well.
    whole = find([text])
    assert find(pieces) == whole
    if find([thought]) == "" and "Final" not in thought:
        assert whole == answer.strip()


@given(answer=st.text(), cuts=CUTS)
def test_without_stripping_the_answer_is_verbatim(answer: str, cuts: list[int]) -> None:
    pieces = pieces_of(f"so FinalAnswer:{answer}", cuts)
    assert find(pieces, strip_tokens=False) == answer


@given(cuts=CUTS)
def test_without_stripping_white_space_in_the_prefix_counts(cuts: list[int]) -> None:
    assert find(pieces_of("Final Answer: 42", cuts), strip_tokens=False) == ""
    tokens = ["Final", " Answer", ":"]
    pieces = pieces_of("Final Answer: 42", cuts)
    assert find(pieces, strip_tokens=False, prefix_tokens=tokens) == " 42"


@given(cuts=CUTS)
def test_the_prefix_is_streamed_as_the_model_wrote_it_if_asked(cuts: list[int]) -> None:
    pieces = pieces_of("hm\nFinal  Answer\n:  42 \n", cuts)
    assert find(pieces, stream_prefix=True) == "Final  Answer\n:  42"
    pieces = pieces_of("hmFinalAnswer: 42 ", cuts)
    assert find(pieces, stream_prefix=True, strip_tokens=False) == "FinalAnswer: 42 "


@given(text=st.text().filter(lambda text: "Answer" not in text), cuts=CUTS)
def test_a_text_without_the_prefix_has_no_answer(text: str, cuts: list[int]) -> None:
    assert find(pieces_of(text, cuts)) == ""


def test_special_characters_of_patterns_are_taken_literally() -> None:
    assert find(["** A(n)swer? ", "no **A(n)", "swer?yes"], prefix_tokens=["**", "A(n)swer?"]) == (
        "no **A(n)swer?yes"
    )


def test_only_what_may_be_the_prefix_or_trailing_space_is_held_back() -> None:
    finder = AnswerFinder(DEFAULT_ANSWER_PREFIX_TOKENS, strip_tokens=True, stream_prefix=False)
    outcome = [finder.feed(piece) for piece in ["Final", " Answer", ": ", "4", "2 ", "is", "\n"]]
    assert outcome == ["", "", "", "4", "2", " is", ""]


@pytest.mark.parametrize(("tokens", "strip"), [([], True), ([" ", "\n"], True), ([""], False)])
def test_a_prefix_without_text_is_refused(tokens: list[str], strip: bool) -> None:
    with pytest.raises(ConfigurationError, match="answer_prefix_tokens"):
        AnswerFinder(tokens, strip_tokens=strip, stream_prefix=False)


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
def test_the_text_of_a_token(token: Any, chunk: Any, text: str) -> None:
    assert token_text(token, chunk) == text


def test_the_text_of_a_result() -> None:
    assert result_text(LLMResult(generations=[[Generation(text="hi")]])) == "hi"
    assert result_text(LLMResult(generations=[])) == ""
    assert result_text(LLMResult(generations=[[]])) == ""


@pytest.mark.parametrize(
    ("output", "key", "text"),
    [
        ("hi", None, "hi"),
        (AIMessage("hi"), None, "hi"),
        (AIMessage(BLOCKS), None, "hi"),
        ({"output": "hi", "steps": []}, "output", "hi"),
        ({"output": AIMessage("hi")}, "output", "hi"),
        ({"output": {"output": 1}}, "output", '{"output": 1}'),
        ({"a": 1, "b": "x"}, None, '{"a": 1, "b": "x"}'),
        ({"a": 1}, "output", '{"a": 1}'),
        (None, None, "null"),
        ([1, float("nan")], None, "[1, null]"),
    ],
)
def test_the_answer_in_a_chains_output(output: Any, key: str | None, text: str) -> None:
    assert answer_text(output, key) == text


def test_a_document_is_json_whatever_its_metadata_holds() -> None:
    class Odd:
        def __str__(self) -> str:
            return "odd"

    metadata = {
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "uuid": UUID(int=1),
        "score": float("nan"),
        "raw": b"\xff",
        "odd": Odd(),
        "tags": {"a"},
    }
    payload = to_source_document(Document("text", id="7", metadata=metadata))
    assert payload.model_dump(mode="json") == {
        "page_content": "text",
        "metadata": {
            "when": "2026-01-02T00:00:00Z",
            "uuid": "00000000-0000-0000-0000-000000000001",
            "score": None,
            "raw": "_w==",
            "odd": "odd",
            "tags": ["a"],
        },
        "id": "7",
        "type": "Document",
    }
