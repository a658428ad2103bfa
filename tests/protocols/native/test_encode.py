"""The native protocol: encoding and decoding events in both modes."""

import json
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky import events
from quart_lanarky.errors import ConfigurationError
from quart_lanarky.events import (
    EVENT_KINDS,
    CompletionData,
    EndData,
    ErrorData,
    Event,
    PingData,
    completion,
    json_event,
)
from quart_lanarky.protocols import sse
from quart_lanarky.protocols.base import EncodedEvent, Encoder
from quart_lanarky.protocols.native.encode import (
    LateModeEncoder,
    Mode,
    NativeEncoder,
    check_mode,
    decode,
    decode_frame,
    encode,
    encode_frame,
)
from tests.events.strategies import ANY_JSON, ANY_TEXT

MODES: list[Mode] = ["text", "json"]

ANY_MODE = st.sampled_from(MODES)
NAMES = ANY_TEXT.filter(lambda name: bool(name) and not {"\n", "\r"} & set(name))
OWN_NAMES = NAMES.filter(lambda name: name not in EVENT_KINDS)

EXAMPLES = [event for kind in EVENT_KINDS.values() for event in kind.examples]

ANY_EVENT = (
    st.sampled_from(EXAMPLES)
    | st.builds(completion, ANY_TEXT)
    | st.builds(Event, OWN_NAMES, ANY_TEXT | ANY_JSON)
    | st.builds(json_event, OWN_NAMES, ANY_TEXT | ANY_JSON)
    | st.builds(events.end, st.uuids(), st.none() | st.just({"total_tokens": 3}))
)

each_mode = pytest.mark.parametrize("mode", MODES)


# -- the modes -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["xml", "", "JSON", "texts"])
def test_an_unknown_mode_is_a_value_error_that_names_the_known_ones(mode: str) -> None:
    with pytest.raises(ValueError, match="'text' or 'json'"):
        check_mode(mode)
    with pytest.raises(ConfigurationError):
        check_mode(mode)


def test_known_modes_are_returned() -> None:
    assert [check_mode("text"), check_mode("json")] == ["text", "json"]
    assert list(get_args(Mode)) == MODES


# -- tokens --------------------------------------------------------------------------------


@given(ANY_TEXT)
def test_a_token_in_json_mode_is_exact_and_ascii(token: str) -> None:
    event = encode(completion(token), "json")
    assert event.data.isascii()
    assert event.json() == {"token": token}
    assert event.is_json


@given(st.text())
def test_a_token_in_json_mode_fits_completion_data(token: str) -> None:
    event = encode(completion(token), "json")
    assert CompletionData.model_validate_json(event.data) == CompletionData(token=token)


@given(ANY_TEXT)
def test_the_fast_encoding_of_a_token_equals_that_of_its_model(token: str) -> None:
    model = CompletionData.model_construct(token=token)  # Pydantic refuses a lone surrogate
    by_model = {name: getattr(model, name) for name in CompletionData.model_fields}
    assert encode(completion(token), "json").data == json.dumps(by_model, ensure_ascii=True)


@given(ANY_TEXT)
def test_a_token_in_text_mode_is_the_text_itself(token: str) -> None:
    event = encode(completion(token), "text")
    assert (event.data, event.is_json) == (token, False)


@each_mode
def test_half_a_surrogate_pair_leaves_the_bytes_valid_in_both_modes(mode: Mode) -> None:
    data = NativeEncoder(mode).encode([completion("\ud83d")])
    [event] = sse.Decoder().feed(data)
    assert data.decode("utf-8")
    assert event.data == ("?" if mode == "text" else '{"token": "\\ud83d"}')


# -- the other events ----------------------------------------------------------------------


def test_the_end_has_the_run_id_in_json_mode_and_is_empty_in_text_mode() -> None:
    run_id = UUID(int=7)
    event = encode(events.end(run_id, {"total_tokens": 3}), "json")
    assert EndData.model_validate(event.json()).run_id == str(run_id)
    assert event.json()["usage"] == {"total_tokens": 3}
    assert encode(events.end(run_id, None), "text") == EncodedEvent("end", "", f"{run_id}/end")
    assert not encode(events.end(run_id, None), "text").is_json


@given(st.uuids(), ANY_MODE)
def test_only_the_end_has_an_id_and_is_recognised_by_it(run_id: UUID, mode: Mode) -> None:
    event = encode(events.end(run_id, None), mode)
    assert event.id == events.end_id(run_id) == f"{run_id}/end"
    assert events.is_end_id(event.id)
    others = [completion("a"), events.error(500, "no"), events.ping()]
    assert [encode(other, mode).id for other in others] == [None] * 3


@each_mode
def test_errors_documents_and_retracts_are_json_in_both_modes(mode: Mode) -> None:
    error = encode(events.error(500, "Internal Server Error"), mode)
    assert error.data == '{"status_code": 500, "detail": "Internal Server Error"}'
    assert ErrorData.model_validate(error.json())
    assert encode(events.retract(2), mode).data == '{"tokens": 2}'
    assert encode(events.source_documents([]), mode).json() == {"source_documents": []}
    ping = encode(events.ping(), mode)
    assert (ping.name, ping.data, ping.is_json, ping.id) == ("ping", "null", True, None)
    assert PingData.model_validate(ping.json()) == PingData(None)


@given(OWN_NAMES, ANY_TEXT, ANY_JSON, ANY_MODE)
def test_custom_events_are_encoded_the_same_in_both_modes(
    name: str, text: str, data: Any, mode: Mode
) -> None:
    bare, quoted = encode(Event(name, text, "7"), mode), encode(json_event(name, text), mode)
    assert (bare.name, bare.data, bare.id, bare.is_json) == (name, text, "7", False)
    assert (quoted.name, quoted.data, quoted.is_json) == (name, json.dumps(text), True)
    as_json = encode(Event(name, data), mode)
    assert (as_json.data, as_json.is_json) == (json.dumps(data), True)


@given(ANY_EVENT, ANY_MODE)
def test_data_marked_as_json_is_ascii_json(event: Event, mode: Mode) -> None:
    encoded = encode(event, mode)
    if encoded.is_json:
        assert encoded.data.isascii()
        encoded.json()


def test_bare_text_is_not_marked_as_json() -> None:
    with pytest.raises(json.JSONDecodeError):
        EncodedEvent("completion", "Hel").json()


def test_encoded_events_are_compared_without_is_json() -> None:
    assert EncodedEvent("x", "1", is_json=True) == EncodedEvent("x", "1")
    assert EncodedEvent("x", "1") != EncodedEvent("x", "1", "7")


# -- decoding ------------------------------------------------------------------------------


def arrived(event: Event, mode: Mode) -> Event:
    """Return an event as it is decoded: in text mode, `end` has lost its data."""
    return Event("end", "", event.id) if (event.name, mode) == ("end", "text") else event


@each_mode
@pytest.mark.parametrize("name", EVENT_KINDS)
def test_an_example_of_each_kind_round_trips(name: str, mode: Mode) -> None:
    for event in EVENT_KINDS[name].examples:
        assert decode(encode(event, mode), mode) == arrived(event, mode)


@each_mode
@pytest.mark.parametrize("name", EVENT_KINDS)
def test_an_example_of_each_kind_round_trips_as_bytes(name: str, mode: Mode) -> None:
    for event in EVENT_KINDS[name].examples:
        [received] = sse.Decoder().feed(NativeEncoder(mode).encode([event]))
        assert decode(received, mode) == arrived(event, mode)


@given(ANY_TEXT, ANY_MODE)
def test_any_token_round_trips(token: str, mode: Mode) -> None:
    assert decode(encode(completion(token), mode), mode) == completion(token)


@given(st.uuids(), st.none() | st.dictionaries(st.text(), st.integers()), ANY_MODE)
def test_any_end_round_trips_in_text_mode_with_only_its_id(
    run_id: UUID, usage: dict[str, Any] | None, mode: Mode
) -> None:
    event = events.end(run_id, usage)
    assert decode(encode(event, mode), mode) == arrived(event, mode)


@given(st.integers(1), st.integers(100, 599), ANY_TEXT, ANY_MODE)
def test_any_retract_and_any_error_round_trip(
    tokens: int, status: int, detail: str, mode: Mode
) -> None:
    retract = events.retract(tokens)
    error = json_event("error", {"status_code": status, "detail": detail})
    assert decode(encode(retract, mode), mode) == retract
    assert decode(encode(error, mode), mode) == error


@given(OWN_NAMES, ANY_TEXT | ANY_JSON, ANY_MODE)
def test_the_data_of_custom_events_is_decoded_as_text(name: str, data: Any, mode: Mode) -> None:
    encoded = encode(Event(name, data, "7"), mode)
    assert decode(encoded, mode) == Event(name, encoded.data, "7")


@pytest.mark.parametrize("name", [name for name in EVENT_KINDS if name != "end"])
@pytest.mark.parametrize("data", ["bare text", "", "{"])
def test_data_that_is_no_json_is_refused_in_json_mode(name: str, data: str) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        decode(EncodedEvent(name, data), "json")


def test_a_token_that_looks_like_json_is_a_token_in_text_mode() -> None:
    encoded = EncodedEvent("completion", '{"token": "a"}')
    assert decode(encoded, "text") == completion('{"token": "a"}')
    assert decode(encoded, "json") == completion("a")


# -- bytes and frames ----------------------------------------------------------------------


@given(st.lists(ANY_EVENT, max_size=5), ANY_MODE)
def test_the_bytes_of_a_batch_are_those_of_its_encoded_events(
    batch: list[Event], mode: Mode
) -> None:
    encoded = [encode(event, mode) for event in batch]
    assert NativeEncoder(mode).encode(batch) == sse.encode(*encoded)


@given(st.lists(ANY_EVENT, max_size=5), ANY_MODE)
def test_the_frames_of_a_batch_are_those_of_its_encoded_events(
    batch: list[Event], mode: Mode
) -> None:
    encoded = [encode(event, mode) for event in batch]
    assert NativeEncoder(mode).frames(batch) == [encode_frame(event) for event in encoded]


@each_mode
def test_an_encoder_has_the_sse_content_type_and_a_comment_as_heartbeat(
    mode: Mode,
) -> None:
    encoder: Encoder = NativeEncoder(mode)
    assert encoder.content_type == sse.CONTENT_TYPE == "text/event-stream; charset=utf-8"
    assert encoder.heartbeat == sse.HEARTBEAT == b":\n"
    decoder = sse.Decoder()
    assert decoder.feed(encoder.heartbeat) == []
    assert decoder.comments == 1


@each_mode
def test_an_empty_batch_is_encoded_as_nothing(mode: Mode) -> None:
    assert NativeEncoder(mode).encode([]) == b""
    assert NativeEncoder(mode).frames([]) == []


def test_the_bytes_of_an_answer_in_both_modes() -> None:
    run_id = UUID(int=7)
    said = [completion("a\n b"), events.retract(1), Event("note", "hi"), events.end(run_id, None)]
    rest = b'event: retract\ndata: {"tokens": 1}\n\nevent: note\ndata: hi\n\n'
    assert NativeEncoder("text").encode(said) == (
        b"event: completion\ndata: a\ndata:  b\n\n%s"
        b"event: end\nid: 00000000-0000-0000-0000-000000000007/end\ndata: \n\n" % rest
    )
    assert NativeEncoder("json").encode(said) == (
        b'event: completion\ndata: {"token": "a\\n b"}\n\n%s'
        b"event: end\nid: 00000000-0000-0000-0000-000000000007/end\n"
        b'data: {"run_id": "00000000-0000-0000-0000-000000000007", "usage": null, '
        b'"outcome": "finished"}\n\n' % rest
    )


@given(ANY_TEXT, NAMES)
def test_a_frame_is_ascii_json_of_the_events_name_and_data(token: str, name: str) -> None:
    for event, data in (
        (encode(completion(token), "text"), token),
        (encode(completion(token), "json"), {"token": token}),
        (encode(json_event(name, [token]), "json"), [token]),
    ):
        text = encode_frame(event)
        assert text.isascii()
        assert json.loads(text) == {"event": event.name, "data": data}


@each_mode
def test_data_in_a_frame_is_an_object_and_not_json_in_a_string(mode: Mode) -> None:
    assert NativeEncoder(mode).frames([events.error(500, "no")]) == [
        '{"event": "error", "data": {"status_code": 500, "detail": "no"}}'
    ]


def test_empty_data_is_an_empty_string() -> None:
    assert encode_frame(EncodedEvent("end", "")) == '{"event": "end", "data": ""}'


def test_a_ping_frame_has_no_data_and_no_frame_has_an_id() -> None:
    assert encode_frame(encode(events.ping(), "json")) == '{"event": "ping", "data": null}'
    assert encode_frame(encode(events.ping(), "text")) == '{"event": "ping", "data": null}'
    assert encode_frame(EncodedEvent("end", "", "7/end")) == '{"event": "end", "data": ""}'
    assert (
        encode_frame(encode(events.end(UUID(int=7), None), "text"))
        == '{"event": "end", "data": ""}'
    )


@given(ANY_TEXT)
def test_a_text_is_the_same_in_a_frame_whether_bare_or_json(text: str) -> None:
    bare, quoted = Event("note", text), json_event("note", text)
    for mode in MODES:
        first, second = NativeEncoder(mode).frames([bare, quoted])
        assert first == second
        assert json.loads(first) == {"event": "note", "data": text}


def test_fields_of_a_newer_server_are_ignored() -> None:
    data = {"run_id": "7", "usage": None, "outcome": "finished"}
    decoded = decode(EncodedEvent("end", json.dumps(data | {"later": 1})), "json")
    assert decoded.data == data


@pytest.mark.parametrize("text", ["{}", '{"event": "end"}', "[", "7"])
def test_what_is_no_frame_cannot_be_decoded(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_frame(text)


@pytest.mark.parametrize("data", ["text", "", {"token": "x"}, None, [1]])
def test_a_frame_is_decoded_to_what_was_encoded(data: Any) -> None:
    event = json_event("mine", data) if not isinstance(data, str) else Event("mine", data)
    decoded = decode_frame(encode_frame(encode(event, "json")))
    assert decoded.name == "mine"
    assert (decoded.data if isinstance(data, str) else decoded.json()) == data


@dataclass
class Moded:
    mode: str | None = None


@pytest.mark.parametrize(("mode", "data"), [(None, b'{"token": "x"}'), ("text", b"x")])
def test_a_late_mode_is_read_at_the_first_event_and_kept(mode: str | None, data: bytes) -> None:
    run = Moded()
    encoder: Encoder = LateModeEncoder(run)
    assert (encoder.content_type, dict(encoder.headers)) == (sse.CONTENT_TYPE, {})
    assert encoder.heartbeat == sse.HEARTBEAT
    run.mode = mode
    for _ in range(2):
        assert encoder.encode([completion("x")]) == b"event: completion\ndata: " + data + b"\n\n"
        run.mode = "json" if mode else "text"


def test_a_ping_does_not_settle_a_late_mode() -> None:
    run = Moded()
    encoder = LateModeEncoder(run)
    assert encoder.frames([events.ping()]) == ['{"event": "ping", "data": null}']
    run.mode = "text"
    assert encoder.frames([completion("x")]) == ['{"event": "completion", "data": "x"}']
    assert encoder.frames([events.ping()]) == ['{"event": "ping", "data": null}']


def test_a_late_mode_encodes_frames() -> None:
    run = Moded()
    encoder = LateModeEncoder(run)
    run.mode = "text"
    assert encoder.frames([completion("x")]) == ['{"event": "completion", "data": "x"}']


def test_a_mode_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError):
        LateModeEncoder(Moded("loud"))


def test_a_mode_that_is_none_is_logged_where_the_stream_has_begun(
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = Moded()
    encoder = LateModeEncoder(run)
    run.mode = "loud"
    assert encoder.encode([completion("x")]) == b'event: completion\ndata: {"token": "x"}\n\n'
    assert encoder.encode([events.end(UUID(int=1), None)]).startswith(b"event: end\n")
    [record] = caplog.records
    assert record.getMessage() == "the run has no valid mode: its events are sent in json mode"
    assert "not 'loud'" in caplog.text
