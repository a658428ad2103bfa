"""The codec of server-sent events, compared with the HTML standard and with itself."""

from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quart_lanarky.events import completion, end
from quart_lanarky.protocols import sse
from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.native.encode import Mode
from quart_lanarky.protocols.native.encode import encode as encoded
from quart_lanarky.protocols.sse import Decoder, encode

LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
NAMES = LINE.filter(bool)
TEXTS = st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]))
EVENTS = st.builds(EncodedEvent, NAMES, TEXTS, st.none() | LINE)


def decode(stream: bytes, *cuts: int) -> list[EncodedEvent]:
    """Decode `stream`, fed in the pieces that `cuts` makes of it."""
    decoder = Decoder()
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    return [event for piece in pieces for event in decoder.feed(piece)]


@given(st.lists(EVENTS), st.lists(st.integers(min_value=0)))
def test_decode_undoes_encode_under_any_split(events: list[EncodedEvent], cuts: list[int]) -> None:
    assert decode(b"".join(map(encode, events)), *cuts) == events


@given(st.lists(EVENTS, max_size=3))
def test_decode_undoes_encode_byte_by_byte(events: list[EncodedEvent]) -> None:
    stream = b"".join(map(encode, events))
    assert decode(stream, *range(len(stream))) == events


@given(st.text())
def test_a_text_arrives_unchanged_except_for_its_line_breaks(text: str) -> None:
    [event] = decode(encode(EncodedEvent("completion", text)))
    assert event.data == text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.text(st.characters(exclude_categories=[])), st.sampled_from(["text", "json"]))
def test_no_token_can_inject_another_event(token: str, mode: Mode) -> None:
    decoded = decode(encode(encoded(completion(token), mode)))
    assert [event.name for event in decoded] == ["completion"]
    if mode == "json":
        assert decoded[0].json() == {"token": token}


def test_the_bytes_of_an_event() -> None:
    assert encode(EncodedEvent("completion", "a\n b", "7")) == (
        b"event: completion\nid: 7\ndata: a\ndata:  b\n\n"
    )


def test_an_event_without_data_still_has_a_data_line() -> None:
    assert encode(EncodedEvent("end", "")) == b"event: end\ndata: \n\n"


def test_half_a_surrogate_pair_leaves_the_stream_valid() -> None:
    assert encode(EncodedEvent("completion", "\ud83d")).decode("utf-8")


# The standard's own examples (HTML, section 9.2.6).


def test_standard_data_of_several_lines_is_joined() -> None:
    stream = b"data: YHOO\ndata: +2\ndata: 10\n\n"
    assert decode(stream) == [EncodedEvent("message", "YHOO\n+2\n10")]


def test_standard_comments_ids_and_an_unfinished_block() -> None:
    decoder = Decoder()
    stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n"
    assert decoder.feed(stream) == [
        EncodedEvent("message", "first event", "1"),
        EncodedEvent("message", "second event", ""),
    ]
    assert decoder.comments == 1
    assert decoder.last_event_id == ""


def test_standard_empty_data_lines() -> None:
    assert decode(b"data\n\ndata\ndata\n\ndata:") == [
        EncodedEvent("message", ""),
        EncodedEvent("message", "\n"),
    ]


def test_standard_a_space_after_the_colon_is_ignored() -> None:
    assert decode(b"data:test\n\ndata: test\n\n") == [EncodedEvent("message", "test")] * 2


# What the parsing rules say beside the examples.


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_all_three_line_endings_work_under_any_split(line_end: bytes) -> None:
    stream = line_end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])
    expected = [EncodedEvent("a", "1"), EncodedEvent("message", "2")]
    for cut in range(len(stream)):
        assert decode(stream, cut) == expected
    assert decode(stream, *range(len(stream))) == expected


def test_a_leading_byte_order_mark_is_ignored_once() -> None:
    bom = "\ufeff".encode()
    assert decode(bom + b"data: 1\n\n" + bom + b"data: 2\n\n", 1) == [EncodedEvent("message", "1")]


def test_a_block_without_data_is_no_event_and_resets_the_decoder() -> None:
    assert decode(b"event: a\nid: 3\n\ndata: 1\n\n") == [EncodedEvent("message", "1")]


def test_an_unknown_field_and_a_bad_id_are_ignored() -> None:
    assert decode(b"colour: red\nid: a\0b\ndata: 1\n\n") == [EncodedEvent("message", "1")]


@pytest.mark.parametrize(("value", "retry"), [(b"250", 250), (b"soon", None), ("²".encode(), None)])
def test_retry_takes_ascii_digits_only(value: bytes, retry: int | None) -> None:
    decoder = Decoder()
    decoder.feed(b"retry: " + value + b"\n\n")
    assert decoder.retry == retry


def test_feeding_no_bytes_changes_nothing() -> None:
    decoder = Decoder()
    decoder.feed(b"data: 1\r")
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n\r\n") == [EncodedEvent("message", "1")]


def test_the_content_type_names_the_charset() -> None:
    assert sse.CONTENT_TYPE == "text/event-stream; charset=utf-8"


def test_the_end_in_text_mode_round_trips_as_bytes() -> None:
    run_id = uuid4()
    assert decode(encode(encoded(end(run_id, None), "text"))) == [
        EncodedEvent("end", "", f"{run_id}/end")
    ]


def test_last_event_id_is_set_by_the_end_and_not_before() -> None:
    run_id, decoder = uuid4(), Decoder()
    decoder.feed(encode(encoded(completion("hi"), "json")))
    assert decoder.last_event_id == ""
    decoder.feed(encode(encoded(end(run_id, None), "json")))
    assert decoder.last_event_id == f"{run_id}/end"


@pytest.mark.timeout(20)
def test_a_long_line_in_many_pieces_is_decoded_in_linear_time() -> None:
    decoder, piece = Decoder(), b"x" * 64
    assert decoder.feed(b"data: ") == []
    for _ in range(100_000):  # to join all of it each time would take minutes
        assert decoder.feed(piece) == []
    [event] = decoder.feed(b"\n\n")
    assert event.data == "x" * 6_400_000


def test_a_heartbeat_is_decoded_as_a_comment_at_any_position() -> None:
    event = encode(encoded(completion("hi"), "json"))
    decoder = Decoder()
    seen = decoder.feed(sse.HEARTBEAT + event + sse.HEARTBEAT * 2 + event)
    assert len(seen) == 2
    assert decoder.comments == 3
