"""The suite finds problems: one that always passes would show nothing."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conformance.cells import Cache, Column, Frame, problems
from tests.conformance.models import SECRET, Behaviour
from tests.conformance.rows import Row

ROW = Row(
    id="row", group="none", build=lambda kit: kit.chat(""), inputs="", answer="ab", documents=("d",)
)
END: Frame = ("end", {"run_id": "1", "usage": None, "outcome": "finished"})
FAILED: Frame = ("end", {"run_id": "1", "usage": None, "outcome": "failed"})
WAITING: Frame = ("end", {"run_id": "1", "usage": None, "outcome": "interrupted"})
ASKED: Frame = ("interrupt", {"interrupts": [{"id": "1", "value": "?", "response_schema": None}]})
DOCUMENTS: Frame = (
    "source_documents",
    {"source_documents": [{"page_content": "d", "metadata": {}}]},
)
NO_DOCUMENTS: Frame = ("source_documents", {"source_documents": []})
ERROR: Frame = ("error", {"status_code": 500})


def said(*tokens: str) -> list[Frame]:
    return [("completion", {"token": token}) for token in tokens]


def retract(tokens: int) -> Frame:
    return ("retract", {"tokens": tokens})


GOOD = [*said("a", "b"), DOCUMENTS, END]


def found(
    frames: list[Frame], behaviour: Behaviour = "stream", cache: Cache = "none", **facts: Any
) -> str:
    column = Column("sse", "json", behaviour)
    return "; ".join(problems(replace(ROW, **facts), column, cache, frames))


def test_a_correct_cell_has_no_problems() -> None:
    assert not found(GOOD)
    assert not found([*said("ab"), DOCUMENTS, END], "whole")
    assert not found([*said("ab"), DOCUMENTS, END], cache="warm")
    assert not found(GOOD, "sync")
    assert not found([*said("ab"), END], streams="never", documents=None)
    taken_back = [*said(SECRET), retract(1), *GOOD]
    assert not found(taken_back, retracts="may")
    assert not found(taken_back, retracts="must")


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([*said("a", "b", "ab"), DOCUMENTS, END], "the answer is 'abab' and not 'ab'"),
        ([DOCUMENTS, END], "the answer is '' and not 'ab'"),
        ([*said(SECRET[:5], SECRET[5:]), retract(2), *GOOD], "leaked"),
        ([*said("ab"), retract(1), *GOOD], "tokens were taken back"),
        ([*said("a", "b"), retract(0), DOCUMENTS, END], "takes back 0 tokens"),
        ([*said("a"), retract(2), *GOOD], "takes back 2 tokens and leaves -1"),
        ([*said("ab"), DOCUMENTS, END], "the answer came in 1 events; it was to stream"),
        ([*said("a", "b"), END], "after the tokens come ['end']"),
        ([DOCUMENTS, *said("a", "b"), END], "after the tokens come ['source_documents', 'comp"),
        ([*said("a", "b"), DOCUMENTS, DOCUMENTS, END], "'source_documents', 'source_documents'"),
        ([*said("a", "b"), NO_DOCUMENTS, END], "the documents are () and not ('d',)"),
        ([*said("a", "b"), DOCUMENTS, END, END], "'end', 'end'"),
        ([*said("a", "b"), DOCUMENTS, ERROR, END], "error: {'status_code': 500}"),
        ([*said("a", "b"), DOCUMENTS, ("end", {})], "the end event says {}"),
        ([*said("a", "b"), DOCUMENTS, FAILED], "'outcome': 'failed'"),
    ],
)
def test_problems_of_a_cell_are_found(frames: list[Frame], problem: str) -> None:
    assert problem in found(frames)


def test_problems_of_a_row_that_waits_are_found() -> None:
    def wrong(*frames: Frame) -> str:
        return found(list(frames), documents=None, interrupts=("?",), answer="")

    assert not wrong(ASKED, WAITING)
    assert "after the tokens come ['end']" in wrong(WAITING)
    assert "'interrupt', 'interrupt'" in wrong(ASKED, ASKED, WAITING)
    assert "the end event says" in wrong(ASKED, END)
    assert "the answer is '?'" in wrong(*said("?"), ASKED, WAITING)
    asked = {"interrupts": [{"id": "1", "value": "!"}]}
    assert "the interrupts are" in wrong(("interrupt", asked), WAITING)


def test_problems_of_a_row_with_other_expectations_are_found() -> None:
    assert "in 2 events and not in one" in found(GOOD, "whole")
    assert "in 2 events and not in one" in found(GOOD, cache="warm")
    assert "in 2 events and not in one" in found(GOOD, streams="never")
    assert "it was to stream" in found([*said("ab"), DOCUMENTS, END], "whole", streams="always")
    assert "no token was taken back" in found(GOOD, retracts="must")
    assert "after the tokens come" in found(GOOD, documents=None)
    assert "the metadata are ({},)" in found(GOOD, metadata=({"a": 1},))
