"""The answer that a client shows: the tokens of a run without retracted ones."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky import events
from quart_lanarky.events import EVENT_KINDS, Event, SourceDocument, completion, json_event, retract
from quart_lanarky.events.fold import Answer

DOCUMENT = SourceDocument(page_content="hi", metadata={}, id=None, type="Document")

TOKENS = st.text(st.characters(exclude_categories=[]), min_size=1)


def answer_after(*said: Event) -> Answer:
    answer = Answer()
    for event in said:
        answer.add(event)
    return answer


def test_an_answer_is_empty_at_first() -> None:
    answer = answer_after()
    assert (answer.tokens, answer.text, answer.fields) == ([], "", {})


def test_tokens_are_joined_in_order() -> None:
    answer = answer_after(completion("a"), completion(" b"), completion("a"))
    assert answer.tokens == ["a", " b", "a"]
    assert answer.text == "a ba"


def test_a_retract_removes_only_the_last_tokens() -> None:
    answer = answer_after(*map(completion, "abcd"), retract(2), completion("e"))
    assert answer.tokens == ["a", "b", "e"]
    assert answer.text == "abe"


def test_all_tokens_can_be_retracted() -> None:
    assert answer_after(*map(completion, "abc"), retract(3)).tokens == []
    assert answer_after(*map(completion, "abc"), retract(1), retract(2)).text == ""


def test_retracting_more_tokens_than_there_are_leaves_none() -> None:
    assert answer_after(completion("a"), retract(5)).tokens == []
    assert answer_after(retract(1), completion("a")).text == "a"


@given(st.lists(TOKENS | st.integers(1, 4)))
def test_the_answer_is_right_after_each_event(said: list[str | int]) -> None:
    answer, standing = Answer(), list[str]()
    for each in said:
        if isinstance(each, str):
            answer.add(completion(each))
            standing.append(each)
        else:
            answer.add(retract(each))
            standing = standing[: max(0, len(standing) - each)]
        assert answer.tokens == standing
        assert answer.text == "".join(standing)


def test_source_documents_are_a_field_and_not_part_of_the_text() -> None:
    answer = answer_after(completion("a"), events.source_documents([DOCUMENT]))
    assert answer.text == "a"
    assert answer.fields == {"source_documents": [DOCUMENT.model_dump(mode="json")]}


def test_the_last_value_of_a_field_is_kept() -> None:
    answer = answer_after(events.source_documents([DOCUMENT]), events.source_documents([]))
    assert answer.fields == {"source_documents": []}


def test_two_answers_share_no_state() -> None:
    said = events.source_documents([DOCUMENT])
    first, second = answer_after(completion("a"), said), answer_after(said)
    first.fields["more"] = 1
    assert (second.tokens, list(second.fields)) == ([], ["source_documents"])
    assert list(said.data) == ["source_documents"]


@pytest.mark.parametrize(
    "event",
    [
        *(Event("note", "a text"), Event("note", ""), json_event("note", "a text")),
        *(Event("tool", {"token": "x", "tokens": 1}), Event("tool", None), Event("tool", [1])),
        *(events.error(500, "no"), events.ping()),
        *EVENT_KINDS["end"].examples,
    ],
    ids=lambda event: f"{event.name} {event.data}",
)
def test_events_that_are_not_part_of_the_answer_are_ignored(event: Event) -> None:
    answer = answer_after(completion("a"), event, completion("b"), event)
    assert (answer.tokens, answer.fields) == (["a", "b"], {})


def test_each_event_kind_in_the_json_response_becomes_a_field() -> None:
    for kind in EVENT_KINDS.values():
        fields: dict[str, Any] = {}
        for event in kind.examples:
            fields |= event.data if kind.in_json_response else {}
        assert answer_after(*kind.examples).fields == fields


def test_the_json_response_has_only_the_fields_of_the_payload() -> None:
    answer = Answer()
    answer.add(json_event("source_documents", {"source_documents": [], "output": "forged"}))
    assert answer.fields == {"source_documents": []}
