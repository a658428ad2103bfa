"""Events and their payloads: the models say what is on the wire."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky import events
from quart_lanarky.errors import ConfigurationError
from quart_lanarky.events import CompletionData, EndData, ErrorData, Event, PingData, SourceDocument
from quart_lanarky.protocols.native.encode import Mode

RUN_ID = UUID(int=0xA7)
ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # half surrogate pairs as well


@given(ANY_TEXT)
def test_a_token_in_json_mode_is_exact_and_pure_ascii(token: str) -> None:
    event = events.completion(token, "json")
    assert event.data.isascii()
    assert event.json() == {"token": token}
    assert event.is_json


@given(st.text())
def test_a_token_in_json_mode_is_what_its_model_says(token: str) -> None:
    event = events.completion(token, "json")
    assert CompletionData.model_validate_json(event.data) == CompletionData(token=token)


@given(ANY_TEXT)
def test_the_short_way_to_write_a_token_is_the_long_way(token: str) -> None:
    model = CompletionData.model_construct(token=token)  # Pydantic takes no half surrogate pair
    by_model = {name: getattr(model, name) for name in CompletionData.model_fields}
    assert events.completion(token, "json").data == json.dumps(by_model, ensure_ascii=True)


@given(ANY_TEXT)
def test_a_token_in_text_mode_is_the_text_itself(token: str) -> None:
    event = events.completion(token, "text")
    assert (event.data, event.is_json) == (token, False)


def test_the_end_carries_the_run_in_json_mode_and_nothing_in_text_mode() -> None:
    run_id = UUID(int=7)
    event = events.end(run_id, {"total_tokens": 3}, "json")
    assert EndData.model_validate(event.json()).run_id == str(run_id)
    assert event.json()["usage"] == {"total_tokens": 3}
    assert events.end(run_id, None, "text") == Event("end", "", f"{run_id}/end")


@given(st.uuids(), st.sampled_from(["text", "json"]))
def test_the_end_alone_has_an_id_by_which_it_is_known_again(run_id: UUID, mode: Mode) -> None:
    event = events.end(run_id, None, mode)
    assert event.id == events.end_id(run_id) == f"{run_id}/end"
    assert events.is_end_id(event.id)
    others = [events.completion("a", mode), events.error(500, "no"), events.ping()]
    assert [other.id for other in others] == [None] * 3


@pytest.mark.parametrize(
    "id_",
    [
        *("", "end", "/end", f"{RUN_ID}", f"{RUN_ID}/", f"{RUN_ID}/end\n", f" {RUN_ID}/end"),
        *(f"{RUN_ID}/ended", f"{RUN_ID}/END", f"{RUN_ID.hex}/end", f"{RUN_ID}/end" * 2),
    ],
)
def test_no_other_id_is_taken_for_that_of_an_end(id_: str) -> None:
    assert not events.is_end_id(id_)


def test_a_ping_is_json_without_anything_in_it() -> None:
    event = events.ping()
    assert (event.name, event.data, event.is_json, event.id) == ("ping", "null", True, None)
    assert PingData.model_validate(event.json()) == PingData(None)


def test_an_error_is_json() -> None:
    event = events.error(500, "Internal Server Error")
    assert event.json() == {"status_code": 500, "detail": "Internal Server Error"}
    assert ErrorData.model_validate(event.json())


def test_source_documents_are_json_with_every_field() -> None:
    document = SourceDocument(page_content="hi", metadata={"page": 1}, id=None, type="Document")
    assert events.source_documents([document]).json() == {
        "source_documents": [
            {"page_content": "hi", "metadata": {"page": 1}, "id": None, "type": "Document"}
        ]
    }
    assert events.source_documents([]).json() == {"source_documents": []}


@pytest.mark.parametrize("data", [None, 7, b"hi", ["hi"]])
def test_data_that_is_no_text_is_refused_where_it_is_made(data: Any) -> None:
    with pytest.raises(TypeError, match="an event's data is text, not "):
        Event("mine", data)


@pytest.mark.parametrize("name", ["", "a\nb", "a\rb", "\n"])
def test_a_name_that_would_break_the_format_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="one line of text"):
        Event(name, "")


@pytest.mark.parametrize("id_", ["1\n2", "1\r", "\0"])
def test_an_id_that_would_break_the_format_is_refused(id_: str) -> None:
    with pytest.raises(ConfigurationError, match="no line break and no NUL"):
        Event("end", "", id_)


@pytest.mark.parametrize("payload", [{1, 2}, float("nan"), object()])
def test_a_payload_that_json_cannot_express_fails_where_it_is_made(payload: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        events.json_event("mine", payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["xml", "", "JSON", "texts"])
def test_an_unknown_mode_is_a_value_error_that_names_the_known_ones(mode: str) -> None:
    with pytest.raises(ValueError, match="'text' or 'json'"):
        events.check_mode(mode)


def test_known_modes_pass() -> None:
    assert [events.check_mode("text"), events.check_mode("json")] == ["text", "json"]


def test_bare_text_is_not_taken_for_json() -> None:
    with pytest.raises(json.JSONDecodeError):
        Event("completion", "Hel").json()
