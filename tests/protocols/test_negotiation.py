"""What `Accept` asks for: parsed as by Werkzeug, but in linear time."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from quart_lanarky.protocols.negotiation import prefers_json

OFFERS = ["text/event-stream", "application/json"]


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", False),
        ("*/*", False),
        ("text/event-stream", False),
        ("application/json", True),
        ("Application/JSON", True),
        ("application/*", True),
        ("text/*", False),
        ("image/png", False),
        ("text/event-stream, application/json", False),
        ("application/json, text/event-stream", False),  # the stream wins a tie
        ("application/json, text/plain, */*", True),  # what axios sends: the named one is meant
        ("application/json, text/event-stream;q=0.9", True),
        ("application/json;q=0.9, text/event-stream;q=0.8", True),
        ("application/json;q=0.8, text/event-stream;q=0.9", False),
        ("application/json ; q=0.8 ,text/event-stream; Q=0.7", True),
        ("application/json;q=0", False),
        ("text/event-stream;q=0, */*", True),
        ("application/json;q=0, */*", False),
        ("text/event-stream;q=0, application/json;q=0", False),
        ("text/*, application/json", True),
        ("application/*;q=0.9, application/json;q=0.1, text/*;q=0.5", False),
        ("application/json;q=0.1, application/json", True),
        ("application/json;version=1", False),  # another representation than ours
        ("application/*;a=b;q=0.1, application/*, text/*;q=0.5", False),  # more specific
        ("application/*;a=b;c=d;q=0.1, application/*;a=b, text/*;q=0.5", False),
        ('text/plain;note="a, application/json, b", text/event-stream', False),
        ('text/plain;note="say \\", application/json, \\""', False),
        ('application/*;note=";q=0", text/*;q=0.5', True),
    ],
)
def test_accept_decides_between_a_stream_and_a_json_response(accept: str, is_json: bool) -> None:
    assert prefers_json(accept) is is_json
    assert best_of_werkzeug(accept) is is_json


@pytest.mark.parametrize(
    "malformed",
    [
        "*/json",
        "json",
        "*",
        "",
        ";",
        ";q=1",
        "application/json;q=high",
        "application/json;q=2",
        "application/json;q=.5",
        "application/json;q=-1",
        "application/json;q=",
        'application/json;q="',
        '"',
    ],
)
def test_malformed_media_ranges_are_ignored(malformed: str) -> None:
    assert not prefers_json(malformed)
    assert not prefers_json(f"text/event-stream;q=0.4, {malformed}")
    assert prefers_json(f"application/json;q=0.4, {malformed}")


TOKENS = st.text("abcqxyz019-+.", min_size=1, max_size=4)
SPACES = st.sampled_from(["", "", " ", "\t", "  "])
QUALITIES = st.sampled_from(["0", "1", "0.0", "1.0", "0.001", "0.5", "0.50", "0.7", "0.999"])
RANGES = st.sampled_from(
    [*OFFERS, "Text/Event-Stream", "text/*", "application/*", "*/*", "*/*", "text/html"]
)
ESCAPED = 'text/*,application/json;a="\\\\"'
"""An escaped backslash in a quoted parameter, of which Werkzeug 3.1.0 loses the parameter."""

READS_ESCAPES = parse_accept_header(ESCAPED, MIMEAccept).best_match(OFFERS) == OFFERS[0]
QUOTED = st.text("abc ,=" + READS_ESCAPES * '\\"', max_size=5).map(
    lambda text: '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
)


@st.composite
def media_ranges(draw: st.DrawFn) -> str:
    names = TOKENS.filter(lambda name: name != "q")
    values = draw(st.dictionaries(names, TOKENS | QUOTED, max_size=2))
    parts = [f"{name}={value}" for name, value in values.items()]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), f"q={draw(QUALITIES)}")
    pieces = [draw(RANGES), *parts]
    return ";".join(draw(SPACES) + piece + draw(SPACES) for piece in pieces)


def best_of_werkzeug(accept: str) -> bool:
    return parse_accept_header(accept, MIMEAccept).best_match(OFFERS) == OFFERS[1]


@given(st.lists(media_ranges(), max_size=6).map(",".join))
def test_a_well_formed_accept_is_read_as_by_werkzeug(accept: str) -> None:
    assert prefers_json(accept) is best_of_werkzeug(accept)


@pytest.mark.parametrize("accept", [ESCAPED, 'text/*,application/json;a="\\",b"'])
def test_escaped_characters_in_a_parameter_are_read(accept: str) -> None:
    assert not prefers_json(accept)


@given(st.text('*/;,=q01." \\' + "application/json text/event-stream"))
def test_any_accept_is_parsed_without_an_error(accept: str) -> None:
    assert prefers_json(accept) in (True, False)


LONG = 120_000


@pytest.mark.parametrize(
    "piece",
    [*' \t,;"\\/*1', '\\"', "a/b,", "*/*;", "*/*;a=b,", ';a="', "; "],
)
@pytest.mark.parametrize("start", ["", "a/b", "*/*", "*/*;q=", "*/*;q=0.", '*/*;a="'])
def test_a_hostile_accept_is_parsed_in_linear_time(start: str, piece: str) -> None:
    accept = start + piece * (LONG // len(piece)) + "x"
    began = time.process_time()
    prefers_json(accept)
    # It takes a few milliseconds; in quadratic time it would be half a minute.
    assert time.process_time() - began < 2
