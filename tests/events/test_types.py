"""Events and their payloads: the data of an event fits its model."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky import events
from quart_lanarky.errors import ConfigurationError
from quart_lanarky.events import (
    EVENT_KINDS,
    SHOWABLE,
    EndData,
    ErrorData,
    Event,
    EventKind,
    PingData,
    RetractData,
    SourceDocument,
    ToolCallData,
)
from tests.events.strategies import ANY_JSON, ANY_TEXT

RUN_ID = UUID(int=0xA7)

each_kind = pytest.mark.parametrize("kind", EVENT_KINDS.values(), ids=lambda kind: kind.name)


# -- what the events carry -----------------------------------------------------------------


@given(ANY_TEXT)
def test_the_data_of_a_token_is_its_text(token: str) -> None:
    event = events.completion(token)
    assert (event.name, event.data, event.json, event.id) == ("completion", token, None, None)


def test_the_end_has_the_run_id_and_its_usage() -> None:
    run_id = UUID(int=7)
    event = events.end(run_id, {"total_tokens": 3})
    assert EndData.model_validate(event.data).run_id == str(run_id)
    assert event.data["usage"] == {"total_tokens": 3}
    assert events.end(run_id, None) == Event(
        "end", {"run_id": str(run_id), "usage": None, "outcome": "finished"}, f"{run_id}/end"
    )


@given(st.uuids())
def test_only_the_end_has_an_id_and_is_recognised_by_it(run_id: UUID) -> None:
    event = events.end(run_id, None)
    assert event.id == events.end_id(run_id) == f"{run_id}/end"
    assert events.is_end_id(event.id)
    others = [events.completion("a"), events.error(500, "no"), events.ping()]
    assert [other.id for other in others] == [None] * 3


@pytest.mark.parametrize(
    "id_",
    [
        *("", "end", "/end", f"{RUN_ID}", f"{RUN_ID}/", f"{RUN_ID}/end\n", f" {RUN_ID}/end"),
        *(f"{RUN_ID}/ended", f"{RUN_ID}/END", f"{RUN_ID.hex}/end", f"{RUN_ID}/end" * 2),
    ],
)
def test_no_other_id_is_recognised_as_that_of_an_end(id_: str) -> None:
    assert not events.is_end_id(id_)


def test_the_data_of_a_ping_is_null() -> None:
    event = events.ping()
    assert (event.name, event.data, event.json, event.id) == ("ping", None, "null", None)
    assert PingData.model_validate(event.data) == PingData(None)


def test_an_error_is_json() -> None:
    event = events.error(500, "Internal Server Error")
    assert event.data == {"status_code": 500, "detail": "Internal Server Error"}
    assert event.json == '{"status_code": 500, "detail": "Internal Server Error"}'
    assert ErrorData.model_validate(event.data)


def test_a_retract_is_json() -> None:
    event = events.retract(2)
    assert (event.data, event.json) == ({"tokens": 2}, '{"tokens": 2}')
    assert RetractData.model_validate(event.data) == RetractData(tokens=2)


def test_source_documents_are_json_with_every_field() -> None:
    document = SourceDocument(page_content="hi", metadata={"page": 1}, id=None, type="Document")
    event = events.source_documents([document])
    assert event.data == {
        "source_documents": [
            {"page_content": "hi", "metadata": {"page": 1}, "id": None, "type": "Document"}
        ]
    }
    assert json.loads(event.json or "") == event.data
    assert events.source_documents([]).data == {"source_documents": []}
    assert events.source_documents([]).json == '{"source_documents": []}'


# -- text and JSON -------------------------------------------------------------------------


def test_a_text_is_bare_in_event_and_json_in_json_event() -> None:
    assert Event("x", "a").json is None
    assert events.json_event("x", "a").json == '"a"'
    assert Event("x", "a").data == events.json_event("x", "a").data == "a"
    assert Event("x", "a") != events.json_event("x", "a")


@given(ANY_JSON)
def test_data_other_than_text_is_encoded_as_ascii_json(data: Any) -> None:
    event = Event("mine", data)
    assert event.json is not None
    assert event.json.isascii()
    assert json.loads(event.json) == data == event.data
    assert event == events.json_event("mine", data)


@given(ANY_TEXT)
def test_a_text_encoded_as_json_is_exact_and_ascii(text: str) -> None:
    event = events.json_event("mine", text, "7")
    assert event.json is not None
    assert event.json.isascii()
    assert json.loads(event.json) == text
    assert (event.data, event.id) == (text, "7")


def test_a_payload_that_is_a_model_becomes_plain_json() -> None:
    event = events.json_event("mine", RetractData(tokens=2))
    assert (event.data, event.json) == ({"tokens": 2}, '{"tokens": 2}')


@given(ANY_TEXT, ANY_JSON)
def test_the_size_of_an_event_is_the_length_of_its_text_or_json(text: str, data: Any) -> None:
    assert Event("mine", text).size == events.completion(text).size == len(text)
    assert Event("mine", data).size == len(json.dumps(data))
    assert events.json_event("mine", text).size == len(json.dumps(text))


# -- what is refused -----------------------------------------------------------------------


UNSPEAKABLE = [
    *(b"hi", {"hi"}, object(), 1j, UUID(int=7), PingData(None)),
    *(float("nan"), float("inf"), float("-inf")),
    *([b"hi"], {"a": {"b": float("nan")}}, {("a", "b"): 1}, [1, {"hi"}]),
]
"""Values that are not JSON-serialisable."""


@pytest.mark.parametrize("data", UNSPEAKABLE)
def test_data_that_is_not_json_serialisable_is_refused_by_event(data: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Event("mine", data)


@pytest.mark.parametrize("data", [None, 7, 0.5, True, ["hi"], {"hi": [None]}, [], {}])
def test_json_serialisable_data_is_accepted(data: Any) -> None:
    event = Event("mine", data)
    assert (event.data, event.json) == (data, json.dumps(data))


@pytest.mark.parametrize("name", ["", "a\nb", "a\rb", "\n"])
def test_a_name_that_would_break_the_format_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="one line of text"):
        Event(name, "")


@pytest.mark.parametrize("id_", ["1\n2", "1\r", "\0"])
def test_an_id_that_would_break_the_format_is_refused(id_: str) -> None:
    with pytest.raises(ConfigurationError, match="no line break and no NUL"):
        Event("end", "", id_)


@pytest.mark.parametrize("payload", [{1, 2}, float("nan"), object()])
def test_a_payload_that_is_not_json_serialisable_is_refused_by_event(payload: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        events.json_event("mine", payload)  # type: ignore[arg-type]


# -- the registry --------------------------------------------------------------------------


def test_each_event_name_has_one_record_and_each_record_a_name() -> None:
    assert list(EVENT_KINDS) == [
        *("completion", "retract", "source_documents"),
        *("reasoning", "tool_call", "tool_progress", "tool_result", "step", "custom"),
        *("citation", "media", "interrupt", "error", "end", "ping"),
    ]
    assert {kind.name: kind for kind in EVENT_KINDS.values()} == EVENT_KINDS


@each_kind
def test_each_kind_has_a_text_about_when_it_is_sent(kind: EventKind) -> None:
    assert kind.when
    assert kind.when == kind.when.strip().rstrip(".")
    assert kind.when[0].islower()


@each_kind
def test_each_kind_has_examples_that_fit_its_payload(kind: EventKind) -> None:
    assert kind.examples
    for event in kind.examples:
        assert event.name == kind.name
        payload = event.data if kind.text_field is None else {kind.text_field: event.data}
        model = kind.payload.model_validate(payload, strict=True)
        assert model.model_dump(mode="json", exclude_unset=True) == payload


@each_kind
def test_an_example_is_bare_text_if_its_kind_has_a_text_field_and_else_json(
    kind: EventKind,
) -> None:
    assert all((event.json is None) is (kind.text_field is not None) for event in kind.examples)
    if kind.text_field is not None:
        assert set(kind.payload.model_fields) == {kind.text_field}


@each_kind
def test_each_payload_model_has_a_description(kind: EventKind) -> None:
    assert vars(kind.payload)["__doc__"]


def test_when_to_try_again_has_its_minimum_in_the_schema() -> None:
    """Pydantic writes `ge`, which no schema has, where a bound is of a type and None together."""
    found = ErrorData.model_json_schema()["properties"]["retry_after"]
    assert found.keys() == {"description", "minimum", "title", "type"}


def test_the_records_tell_events_of_every_run_from_those_of_the_connection() -> None:
    kinds = EVENT_KINDS.values()
    assert {kind.name for kind in kinds if kind.is_always_sent} == {"error", "end"}
    assert {kind.name for kind in kinds if kind.in_json_response} == {
        "source_documents",
        "interrupt",
    }
    assert {kind.name for kind in kinds if kind.is_of_the_connection} == {"ping"}
    assert {kind.name: kind.text_field for kind in kinds if kind.text_field} == {
        "completion": "token",
        "reasoning": "token",
    }


def test_what_is_private_leaves_only_if_it_is_shown() -> None:
    private = {kind.name: kind.shown_by for kind in EVENT_KINDS.values() if kind.shown_by}
    assert private == {
        "reasoning": "reasoning",
        "tool_call": "tools",
        "tool_progress": "tools",
        "tool_result": "tools",
        "step": "steps",
        "custom": "custom",
        "citation": "citations",
        "media": "media",
    }
    assert set(SHOWABLE) == set(private.values())


def test_fields_that_say_nothing_are_absent() -> None:
    event = events.payload_event("tool_call", ToolCallData(id="1", name="search", args={}))
    assert event.data == {"id": "1", "name": "search", "args": {}}


@each_kind
def test_payloads_in_the_json_response_are_objects(kind: EventKind) -> None:
    if kind.in_json_response:
        assert all(isinstance(event.data, dict) for event in kind.examples)
        assert "output" not in kind.payload.model_fields


def test_only_the_end_among_the_examples_has_an_id() -> None:
    examples = [event for kind in EVENT_KINDS.values() for event in kind.examples]
    assert {event.name for event in examples if event.id is not None} == {"end"}
    assert all(events.is_end_id(event.id or "") for event in EVENT_KINDS["end"].examples)


def test_events_can_be_hashed_whatever_their_data() -> None:
    assert len({Event("a", {"b": [1]}), Event("a", {"b": [1]}), Event("a", {"b": [2]})}) == 2
