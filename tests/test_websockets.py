"""The frames of the WebSocket side; its sessions are tested on a real socket in `live/`."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky.events import Event, completion, error, json_event
from quart_lanarky.websockets import WebSocketSink, encode

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@given(ANY_TEXT, ANY_TEXT.filter(lambda name: bool(name) and not {"\n", "\r"} & set(name)))
def test_a_frame_is_ascii_json_of_the_events_name_and_data(token: str, name: str) -> None:
    for event, data in (
        (completion(token, "text"), token),
        (completion(token, "json"), {"token": token}),
        (json_event(name, [token]), [token]),
    ):
        frame = encode(event)
        assert frame.isascii()
        assert json.loads(frame) == {"event": event.name, "data": data}


def test_data_is_the_object_itself_and_not_json_inside_a_string() -> None:
    assert encode(error(500, "no")) == (
        '{"event": "error", "data": {"status_code": 500, "detail": "no"}}'
    )


def test_empty_data_is_an_empty_string() -> None:
    assert encode(Event("end", "")) == '{"event": "end", "data": ""}'


async def test_a_sink_without_a_websocket_says_so_when_it_is_used() -> None:
    with pytest.raises(RuntimeError, match="websocket context"):
        await WebSocketSink().send(Event("end", ""))
