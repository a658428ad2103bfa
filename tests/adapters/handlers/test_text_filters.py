"""Finding the answer in a model's text while it is streamed."""

import re
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quart_lanarky.adapters.langchain.handlers.text_filters import (
    DEFAULT_ANSWER_PREFIX_TOKENS,
    MAX_GAP,
    AnswerFinder,
    StopFilter,
)
from quart_lanarky.errors import ConfigurationError


def find(pieces: list[str], **options: Any) -> str:
    """Feed the pieces; return the text that the filter returned."""
    settings = {"strip_tokens": True, "stream_prefix": False} | options
    prefix = settings.pop("prefix_tokens", DEFAULT_ANSWER_PREFIX_TOKENS)
    finder = AnswerFinder(prefix, **settings)
    return "".join(map(finder.feed, pieces))


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    edges = [0, *sorted(stop_pattern % (len(text) + 1) for stop_pattern in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


CUTS = st.lists(st.integers(min_value=0), max_size=40)
SPACE = st.text(" \n\t", max_size=3)
# Thoughts that almost match the prefix, repeatedly.
THOUGHTS = st.lists(
    st.sampled_from(["F", "Final", " ", "Answer", ":", "\n", "FinalAns", "Finally", "x"])
).map("".join)


@given(thought=THOUGHTS, gaps=st.tuples(SPACE, SPACE), answer=st.text(), cuts=CUTS)
@example(thought="FFinal ", gaps=(" ", ""), answer=" 42\n", cuts=[1, 2, 3])
def test_the_answer_is_the_text_after_the_prefix_under_any_split(
    thought: str, gaps: tuple[str, str], answer: str, cuts: list[int]
) -> None:
    prefix = f"Final{gaps[0]}Answer{gaps[1]}:"
    text = f"{thought}|{prefix}{answer}"
    pieces = pieces_of(text, cuts)
    # The first prefix is used; the thoughts may contain one, too.
    whole = find([text])
    assert find(pieces) == whole
    if find([thought]) == "" and "Final" not in thought:
        assert whole == answer.strip()


@given(answer=st.text(), cuts=CUTS)
def test_without_stripping_the_answer_is_verbatim(answer: str, cuts: list[int]) -> None:
    pieces = pieces_of(f"so FinalAnswer:{answer}", cuts)
    assert find(pieces, strip_tokens=False) == answer


@given(cuts=CUTS)
def test_without_stripping_the_white_space_of_the_prefix_must_match(cuts: list[int]) -> None:
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


def test_regex_characters_in_a_prefix_are_taken_literally() -> None:
    assert find(["** A(n)swer? ", "no **A(n)", "swer?yes"], prefix_tokens=["**", "A(n)swer?"]) == (
        "no **A(n)swer?yes"
    )


@pytest.mark.parametrize(
    ("begin", "prefix"),
    [
        ("Final", DEFAULT_ANSWER_PREFIX_TOKENS),
        ("Final Answer: 42", DEFAULT_ANSWER_PREFIX_TOKENS),
        ("", ("", "Answer")),
        ("", None),
        ("42", None),
    ],
)
def test_white_space_costs_no_more_the_more_of_it_there_was(begin: str, prefix: Any) -> None:
    finder = AnswerFinder(prefix, strip_tokens=True)
    finder.feed(begin)
    few, many = seconds_for_spaces(finder, 1_000), seconds_for_spaces(finder, 100_000)
    assert many < 1_000 * few  # a hundred times as much; quadratic, it were ten thousand times


def seconds_for_spaces(finder: AnswerFinder, count: int) -> float:
    began_at = time.process_time()
    for _ in range(count):
        finder.feed(" ")
    return time.process_time() - began_at


def test_the_white_space_within_an_answer_is_passed_on_however_long_it_is() -> None:
    gap = [" "] * 1_000 + ["\n"]
    assert find(["Final Answer: a", *gap, "b", *gap]) == "a" + "".join(gap) + "b"


def test_a_prefix_has_no_more_than_a_bit_of_white_space() -> None:
    assert find(["Final", " " * MAX_GAP, "Answer:42"]) == "42"
    assert find(["Final", " " * (MAX_GAP + 1), "Answer:42"]) == ""


def test_only_a_possible_prefix_or_trailing_space_is_buffered() -> None:
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


# -- where the answer ends -----------------------------------------------------------------

SOURCES = (r"SOURCES?:|QUESTION:\s", len("QUESTION: "))


@given(
    answer=st.lists(st.sampled_from(["S", "SOURCE", "QUEST", "x", " ", "\n", ":"])).map("".join),
    mark=st.sampled_from(["", "SOURCES: a", "sources:b", "QUESTION: c SOURCES: d"]),
    cuts=CUTS,
)
def test_the_answer_ends_where_the_sources_begin(answer: str, mark: str, cuts: list[int]) -> None:
    text = answer + mark
    cutter = StopFilter(*SOURCES)
    found = "".join(map(cutter.feed, pieces_of(text, cuts))) + cutter.finish()
    assert found == re.split(SOURCES[0], text, flags=re.IGNORECASE)[0]


def test_only_what_may_begin_the_stop_pattern_is_buffered() -> None:
    cutter = StopFilter(*SOURCES)
    assert cutter.feed("a long enough answer") == "a long enou"
    assert cutter.finish() == "gh answer"


@given(answer=st.text(), cuts=CUTS)
def test_without_a_prefix_the_answer_is_the_whole_text_stripped(
    answer: str, cuts: list[int]
) -> None:
    finder = AnswerFinder(None, strip_tokens=True)
    pieces = pieces_of(answer, cuts)
    assert "".join(map(finder.feed, pieces)) + finder.finish() == answer.strip()
