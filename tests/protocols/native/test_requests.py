"""What clients send: objects, bare texts, control messages, and garbage."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky.errors import InputError
from quart_lanarky.protocols.native.requests import PONG, STOP, parse_message, parse_object

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON))
def test_a_json_object_round_trips(content: dict[str, object]) -> None:
    assert parse_object(json.dumps(content)) == content
    assert parse_message(json.dumps(content)) == content


@given(st.text() | st.binary() | st.none())
def test_garbage_is_text_or_an_input_error_and_nothing_else(frame: str | bytes | None) -> None:
    with suppress(InputError):
        assert isinstance(parse_message(frame), str | dict)


def test_a_bare_text_is_kept_as_it_is() -> None:
    assert parse_message("  [1] \n") == "  [1] \n"


def test_stop_and_pong_are_parsed() -> None:
    assert parse_message('{"event": "stop"}') == STOP
    assert parse_message(' {"event":"pong"}\n') == PONG


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{not json", "not valid JSON"),
        ("", "not valid JSON"),
        ('{"a": NaN}', "JSON has no NaN"),
        ('{"a": -Infinity}', "JSON has no -Infinity"),
        ("[1]", "must be a JSON object"),
        ('{"a":' * 100_000, "not valid JSON"),
        (b"\xff", "not valid JSON"),
    ],
)
def test_json_other_than_an_object_is_refused_with_the_reason(
    text: str | bytes, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        parse_object(text)


def test_an_input_error_keeps_no_reference_to_the_text() -> None:
    with pytest.raises(InputError) as refusal:
        parse_object("{" + "x" * 1000)
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None  # Python's error references the text


@pytest.mark.parametrize("frame", [b"{}", b"", None])
def test_binary_frames_are_refused(frame: bytes | None) -> None:
    with pytest.raises(InputError, match="text frames"):
        parse_message(frame)


def test_a_broken_object_is_not_taken_for_a_bare_text() -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        parse_message(' {"question": ')
