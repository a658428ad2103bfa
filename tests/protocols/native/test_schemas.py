"""The schemas of inputs and events accept exactly what is sent."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from quart_lanarky import events
from quart_lanarky.events import CompletionData, EndData, ErrorData, Event, json_event
from quart_lanarky.protocols import sse
from quart_lanarky.protocols.base import EncodedEvent, RouteDescription
from quart_lanarky.protocols.json_schema import Components
from quart_lanarky.protocols.native.encode import Mode, encode, encode_frame
from quart_lanarky.protocols.native.examples import example_events
from quart_lanarky.protocols.native.schemas import (
    RouteEvent,
    event_kinds,
    event_table,
    frame_kinds,
    frame_schema,
    server_sent_event,
)
from tests.apidocs.specs import OURS, described, parsed, problem

RUN_ID = UUID(int=7)


class Step(BaseModel):
    """A step that was taken.

    What comes here is for developers.
    """

    name: str
    seconds: float = Field(alias="secs")


OWN = {"step": Step, "note": str, "counts": list[int]}

DOCUMENT = events.SourceDocument(page_content="x", metadata={}, id=None, type="Document")

SENT: dict[str, list[Event]] = {
    "json": [
        events.completion("Hel\n|`"),
        events.completion(""),
        events.retract(2),
        events.source_documents([]),
        events.source_documents([DOCUMENT]),
        events.error(500, "Internal Server Error"),
        events.end(RUN_ID, None),
        events.end(RUN_ID, {"input_tokens": 3, "more": {"a": [None]}}),
    ],
    "text": [
        events.completion("Hel\nlo\u2028"),
        events.completion(""),
        events.retract(2),
        events.source_documents([DOCUMENT]),
        events.error(400, "no"),
        events.end(RUN_ID, None),
    ],
}
"""Events as the encoder makes them."""

OF_ONES_OWN = [
    json_event("step", {"name": "search", "secs": 0.5}),
    Event("note", "hello\nworld"),
    Event("note", ""),
    json_event("counts", [1, 2]),
]

MODES: list[Mode] = ["json", "text"]

CASES = [(mode, encode(event, mode)) for mode in MODES for event in SENT[mode] + OF_ONES_OWN]


def kinds_by_name(mode: Mode = "json", **known: Any) -> dict[str, RouteEvent]:
    return {kind.name: kind for kind in event_kinds(described(**known), mode)}


def decoded(event: EncodedEvent) -> Any:
    """Return an event as it comes out of a parser of server-sent events."""
    [same] = sse.Decoder().feed(sse.encode(event))
    return parsed(same)


def sse_problem(value: Any, kind: RouteEvent) -> str | None:
    components = Components()
    return problem(value, server_sent_event(kind, components), components.added)


def frame_problem(value: Any, kind: RouteEvent) -> str | None:
    components = Components()
    return problem(value, frame_schema(kind, components), components.added)


@pytest.mark.parametrize(("mode", "event"), CASES)
def test_an_encoded_event_fits_the_schema_of_its_kind(mode: Mode, event: EncodedEvent) -> None:
    kind = kinds_by_name(mode=mode, events=OURS | OWN)[event.name]
    assert sse_problem(decoded(event), kind) is None
    assert frame_problem(json.loads(encode_frame(event)), kind) is None


@pytest.mark.parametrize(("mode", "event"), CASES)
def test_an_encoded_event_fits_the_schema_of_no_other_kind(mode: Mode, event: EncodedEvent) -> None:
    kinds = kinds_by_name(mode=mode, events=OURS | OWN)
    del kinds[event.name]
    framed = json.loads(encode_frame(event))
    assert all(sse_problem(decoded(event), kind) for kind in kinds.values())
    assert all(frame_problem(framed, kind) for kind in kinds.values())


@pytest.mark.parametrize(("mode", "event"), CASES)
def test_an_envelope_has_its_keys_and_no_others(mode: Mode, event: EncodedEvent) -> None:
    kind = kinds_by_name(mode=mode, events=OURS | OWN)[event.name]
    for check, value in (
        (sse_problem, decoded(event)),
        (frame_problem, json.loads(encode_frame(event))),
    ):
        for name in value:
            assert check({key: value[key] for key in value if key != name}, kind)
        assert check({**value, "id": "1"}, kind)
        assert check({**value, "more": "1"}, kind)
        assert check(list(value.values()), kind)


def test_only_the_end_of_a_stream_has_an_id_and_no_frame_has_one() -> None:
    for mode, kinds in ((mode, kinds_by_name(mode=mode)) for mode in MODES):
        components = Components()
        for kind in kinds.values():
            reference = server_sent_event(kind, components)
            frame_schema(kind, components)
            has_id = "id" in components.resolve(reference)["required"]
            assert has_id is (kind.name == "end"), (mode, kind.name)
            assert "id" not in components.added[f"{kind.title}Frame"]["properties"]


@pytest.mark.parametrize(
    "id_", ["", "end", f"{RUN_ID}", f"{RUN_ID}/END", f"{RUN_ID}/end/", f"x{RUN_ID}/end", 7, None]
)
def test_an_invalid_id_of_an_end_does_not_fit(id_: Any) -> None:
    for mode in MODES:
        value = decoded(encode(SENT[mode][-1], mode))
        kind = kinds_by_name(mode=mode)["end"]
        assert sse_problem(value, kind) is None
        assert sse_problem({**value, "id": id_}, kind)


JSON_CASES = [
    (mode, event) for mode, event in CASES if event.is_json and isinstance(event.json(), dict)
]


@pytest.mark.parametrize(("mode", "event"), JSON_CASES)
def test_a_payload_without_one_of_its_fields_does_not_fit(mode: Mode, event: EncodedEvent) -> None:
    kind = kinds_by_name(mode=mode, events=OURS | OWN)[event.name]
    payload = event.json()
    for name in payload:
        less = {key: value for key, value in payload.items() if key != name}
        assert sse_problem(decoded(event) | {"data": json.dumps(less)}, kind)
        assert frame_problem({"event": event.name, "data": less}, kind)


@pytest.mark.parametrize(("mode", "event"), JSON_CASES)
def test_a_built_in_payload_with_an_extra_field_does_not_fit(
    mode: Mode, event: EncodedEvent
) -> None:
    kind = kinds_by_name(mode=mode, events=OURS | OWN)[event.name]
    more = {**event.json(), "more": 1}
    is_ours = event.name not in OWN  # a user's model decides itself
    assert bool(sse_problem(decoded(event) | {"data": json.dumps(more)}, kind)) is is_ours
    assert bool(frame_problem({"event": event.name, "data": more}, kind)) is is_ours


@pytest.mark.parametrize(("mode", "event"), [case for case in CASES if case[1].is_json])
def test_data_that_is_no_json_does_not_fit(mode: Mode, event: EncodedEvent) -> None:
    kind = kinds_by_name(mode=mode, events=OURS | OWN)[event.name]
    for data in ("bare text", "", "{", event.json(), None):
        assert sse_problem(decoded(event) | {"data": data}, kind)
    assert frame_problem({"event": event.name, "data": event.data}, kind)  # JSON within JSON


def test_the_end_has_no_data_in_text_mode() -> None:
    kind = kinds_by_name(mode="text")["end"]
    end = decoded(encode(events.end(RUN_ID, None), "text"))
    assert sse_problem(end, kind) is None
    assert sse_problem({**end, "data": "x"}, kind)
    assert frame_problem({"event": "end", "data": ""}, kind) is None
    assert frame_problem({"event": "end", "data": "x"}, kind)


@given(st.text(), st.sampled_from(["json", "text"]))
def test_any_token_fits(token: str, mode: Mode) -> None:
    event = encode(events.completion(token), mode)
    kind = kinds_by_name(mode=mode)["completion"]
    assert sse_problem(decoded(event), kind) is None
    assert frame_problem(json.loads(encode_frame(event)), kind) is None


def test_events_are_listed_in_the_order_in_which_they_are_sent() -> None:
    shuffled = {"source_documents": OURS["source_documents"], "step": Step, **OURS}
    expected = ["step", "completion", "retract", "source_documents", "error", "end"]
    assert [kind.name for kind in event_kinds(described(events=shuffled), "json")] == expected


def test_every_route_sends_errors_and_ends() -> None:
    kinds = event_kinds(described(events={}), "json")
    assert [(kind.name, kind.payload) for kind in kinds] == [
        ("error", ErrorData),
        ("end", EndData),
    ]


@pytest.mark.parametrize(("mode", "as_text"), [("json", set()), ("text", {"completion", "end"})])
def test_the_mode_decides_whether_tokens_are_bare_text(mode: Mode, as_text: set[str]) -> None:
    kinds = event_kinds(described(), mode)
    assert {kind.name for kind in kinds if kind.as_text} == as_text
    assert {kind.name for kind in kinds if kind.is_empty} == as_text - {"completion"}


@pytest.mark.parametrize("mode", ["json", "text"])
def test_an_event_declared_as_str_is_bare_text_in_both_modes(mode: Mode) -> None:
    assert kinds_by_name(mode=mode, events={"note": str})["note"].as_text
    assert not kinds_by_name(mode=mode, events={"step": Step})["step"].as_text


def test_a_declared_completion_replaces_the_built_in_one() -> None:
    kind = kinds_by_name(mode="text", events={"completion": Step})["completion"]
    assert kind.payload is Step
    assert not kind.as_text


def test_handlers_without_declared_events_may_send_other_events() -> None:
    *_, other = event_kinds(described(sends_other_events=True), "json")
    assert other.name == ""
    assert sse_problem({"event": "mine", "data": "x"}, other) is None
    assert frame_problem({"event": "mine", "data": {"a": [1]}}, other) is None
    for name in ("completion", "retract", "source_documents", "error", "end"):
        assert sse_problem({"event": name, "data": "x"}, other)
        assert frame_problem({"event": name, "data": "x"}, other)


def test_a_websocket_has_pings_besides_the_events_of_a_turn() -> None:
    route = described()
    kinds = frame_kinds(route, "json")
    assert kinds[:-1] == event_kinds(route, "json")
    assert frame_problem(json.loads(encode_frame(encode(events.ping(), "json"))), kinds[-1]) is None
    for wrong in (
        {"event": "ping"},
        {"event": "ping", "data": ""},
        {"event": "pong", "data": None},
    ):
        assert frame_problem(wrong, kinds[-1])


def test_a_ping_does_not_fit_the_schema_of_other_events() -> None:
    *_, ping, other = frame_kinds(described(sends_other_events=True), "json")
    value = json.loads(encode_frame(encode(events.ping(), "json")))
    assert frame_problem(value, ping) is None
    assert frame_problem(value, other)


def test_both_modes_have_components_of_their_own() -> None:
    components = Components()
    for mode in MODES:
        for kind in event_kinds(described(), mode):
            server_sent_event(kind, components)
        for kind in frame_kinds(described(), mode):
            frame_schema(kind, components)
    names = (
        *("Completion", "CompletionText", "Retract", "SourceDocuments"),
        *("Error", "End", "EndText"),
    )
    envelopes = {name for name in components.added if name.endswith(("Event", "Frame"))}
    assert envelopes == {f"{n}{s}" for n in names for s in ("Event", "Frame")} | {"PingFrame"}


def test_the_description_of_an_event_is_the_first_paragraph_of_its_docstring() -> None:
    kinds = kinds_by_name(events=OURS | OWN)
    assert kinds["step"].description == "A step that was taken. It comes by a handler of this app."
    assert "for developers" not in kinds["step"].description
    assert kinds["note"].description == "It comes by a handler of this app."
    assert kinds["end"].description.endswith("It comes exactly once, last, whatever happened.")


def test_an_event_without_a_docstring_does_not_inherit_one() -> None:
    class Plain(BaseModel):
        name: str

    kinds = kinds_by_name(events={"plain": Plain})
    assert kinds["plain"].description == "It comes by a handler of this app."


def rows(route: RouteDescription, mode: Mode = "json") -> list[str]:
    examples = {name: event.data for name, event in example_events(route, mode).items()}
    return event_table(event_kinds(route, mode), examples).splitlines()


def test_the_table_has_a_row_for_each_event() -> None:
    heading, line, *body = rows(described(events=OURS | OWN, sends_other_events=True))
    assert heading == "| event | data, for example | sent |"
    assert line == "|---|---|---|"
    assert [row.split("|")[1].strip() for row in body] == [
        *("`step`", "`note`", "`counts`", "`completion`", "`retract`", "`source_documents`"),
        *("`error`", "`end`", "`…`"),
    ]
    assert {row.count("|") for row in body} == {4}


def test_the_table_shows_example_data() -> None:
    as_json, as_text = (rows(described(), mode) for mode in MODES)
    assert '| `completion` | `{"token": "A token"}` | for each token of the answer |' in as_json
    assert "| `completion` | `A token` | for each token of the answer |" in as_text
    assert "| `end` | empty | exactly once, last, whatever happened |" in as_text


def test_the_table_has_a_placeholder_if_there_is_no_example() -> None:
    table = event_table([RouteEvent("step", Step), RouteEvent("", Any)], {})
    assert "| `step` | JSON | by a handler of this app |" in table
    assert "| `…` | of the app's own | by a handler of this app |" in table


def test_a_pipe_is_escaped_in_a_cell() -> None:
    table = event_table([RouteEvent("note", str, as_text=True)], {"note": "a|b"})
    assert r"`a\|b`" in table


def test_events_with_similar_names_have_separate_components() -> None:
    route = described(events={"a_step": Step, "a-step": CompletionData})
    components = Components()
    references = {
        server_sent_event(kind, components)["$ref"]
        for kind in event_kinds(route, "json")
        if kind.name in route.events
    }
    assert references == {f"#/components/schemas/AStepEvent{n}" for n in ("", "2")}
