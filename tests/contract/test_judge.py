"""The judge finds problems: each test changes a real recording in one place."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from quart_lanarky.events import end
from quart_lanarky.protocols import sse
from quart_lanarky.protocols.native.encode import encode
from tests.contract.judge import JSON, Document, judge_response, judge_sent, judge_turn
from tests.contract.recording import ApiSpecs, Recorded, fetch_documents, record, record_turns
from tests.servers import Server

ASK = {"question": "?"}


@pytest.fixture(scope="module")
def specs(many_kinds: Server) -> ApiSpecs:
    return fetch_documents(many_kinds)


@pytest.fixture(scope="module")
def stream(many_kinds: Server) -> Recorded:
    """Events of all kinds: JSON and text of a handler's own, a token, the end."""
    return record(many_kinds, "post", "/notices", ASK)


@pytest.fixture(scope="module")
def specs_31(specs: ApiSpecs) -> ApiSpecs:
    """The same as 3.1 has it, where `schema` stands for one event."""
    openapi = copy.deepcopy(specs.openapi) | {"openapi": "3.1.0"}
    for item in openapi["paths"].values():
        for operation in item.values():
            media = operation["responses"]["200"]["content"]["text/event-stream"]
            media["schema"] = media.pop("itemSchema")
    return replace(specs, openapi=openapi)


def test_an_unchanged_recording_has_no_problems(
    stream: Recorded, specs: ApiSpecs, specs_31: ApiSpecs
) -> None:
    assert stream.judged_by(specs.openapi) == []
    assert stream.judged_by(specs_31.openapi) == []


END = b"event: end\n"
STREAM_CHANGES: dict[str, tuple[bytes, bytes, str]] = {
    "another name": (b"event: asking", b"event: azking", "0 components for the event 'azking'"),
    "no name": (b"event: asking\n", b"", "0 components for the event 'message'"),
    "another type": (b'"messages": 1', b'"messages": "1"', "'1' is not of type 'integer'"),
    "no such value": (b'"red"', b'"mauve"', "'mauve' is not one of"),
    "a field that is missing": (b'{"messages": 1, ', b"{", "'messages' is a required property"),
    "a field too many": (b'{"token"', b'{"x": 1, "token"', "('x' was unexpected)"),
    "a field too many, not forbidden": (b'{"messages"', b'{"x": 1, "messages"', "no field 'x'"),
    "no JSON": (b'{"token"', b'{"token', "the data of 'completion' is no JSON"),
    "a number that JSON has not": (b'"messages": 1', b'"messages": NaN', "is no JSON"),
    "text and no JSON": (b"{", b"", "is no JSON"),
    "an id": (b"event: note\n", b"event: note\nid: 1\n", "('id' was unexpected)"),
    "no id": (END + b"id", END + b"x", "'id' is a required property"),
    "no id of an end": (b"/end\n", b"\n", "does not match"),
    "no end": (END, b"event: completion\n", "`end` came 0 times"),
    "two ends": (b"event: note", b"event: end", "`end` came 2 times"),
    "something after the end": (b"\n\n" + END, b"\n\n" + END + b"data: 1\n\n" + END, "2 times"),
    "two events in one": (b"}\n\n" + END, b"}\n" + END, "is no JSON: Extra data"),
}


@pytest.mark.parametrize(("old", "new", "problem"), STREAM_CHANGES.values(), ids=STREAM_CHANGES)
def test_a_change_of_a_stream_is_found(
    stream: Recorded,
    specs: ApiSpecs,
    specs_31: ApiSpecs,
    old: bytes,
    new: bytes,
    problem: str,
) -> None:
    assert old in stream.body
    changed = replace(stream, body=stream.body.replace(old, new, 1))
    for each in (specs, specs_31):
        assert problem in "; ".join(changed.judged_by(each.openapi))


def test_a_stream_that_breaks_off_or_continues_after_its_end_is_found(
    stream: Recorded, specs: ApiSpecs
) -> None:
    cut = replace(stream, body=stream.body[:-1])
    assert cut.judged_by(specs.openapi) == ["the stream breaks off in an event"]
    first, _, _ = stream.body.partition(b"\n\n")
    longer = replace(stream, body=stream.body + first + b"\n\n")
    assert longer.judged_by(specs.openapi) == ["the last event is 'asking' and not `end`"]
    assert replace(stream, body=b"").judged_by(specs.openapi) != []


def test_a_second_error_event_is_found(many_kinds: Server, specs: ApiSpecs) -> None:
    failed = record(many_kinds, "post", "/failing", ASK)
    assert failed.judged_by(specs.openapi) == []
    start, error, end = failed.body.partition(b"event: error\n")
    data, _, rest = end.partition(b"\n\n")
    twice = replace(failed, body=start + error + data + b"\n\n" + error + data + b"\n\n" + rest)
    assert twice.judged_by(specs.openapi) == ["`error` came 2 times"]


RESPONSE_CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "status": ({"status": 418}, "the status 418 is not documented"),
    "type": ({"content_type": "text/html"}, "200 with the type 'text/html' is not documented"),
    "JSON for a stream": ({"content_type": JSON}, "the body is no JSON"),
    "method": ({"method": "delete"}, "delete /notices is not documented"),
    "path": ({"path": "/nowhere"}, "post /nowhere is not documented"),
    "another route": ({"path": "/model"}, "0 components for the event 'asking'"),
}


@pytest.mark.parametrize(("change", "problem"), RESPONSE_CHANGES.values(), ids=RESPONSE_CHANGES)
def test_a_change_of_a_response_is_found(
    stream: Recorded, specs: ApiSpecs, change: dict[str, Any], problem: str
) -> None:
    assert problem in "; ".join(replace(stream, **change).judged_by(specs.openapi))


JSON_CHANGES: dict[str, tuple[bytes, bytes, str]] = {
    "no JSON": (b"}", b"", "the body is no JSON"),
    "another type": (b'"number": 2', b'"number": "2"', "output.number"),
    "a field that is missing": (b'"output"', b'"result"', "'output' is a required property"),
    "a field too many": (b'{"output"', b'{"x": 1, "output"', "('x' was unexpected)"),
    "a field too many, not forbidden": (b'"number"', b'"x": 1, "number"', "no field 'output.x'"),
}


@pytest.mark.parametrize(("old", "new", "problem"), JSON_CHANGES.values(), ids=JSON_CHANGES)
def test_a_change_of_a_json_response_is_found(
    many_kinds: Server, specs: ApiSpecs, old: bytes, new: bytes, problem: str
) -> None:
    answer = record(many_kinds, "post", "/structured", {"first": 1, "last": 2}, accept=JSON)
    assert answer.judged_by(specs.openapi) == []
    assert old in answer.body
    changed = replace(answer, body=answer.body.replace(old, new, 1))
    assert problem in "; ".join(changed.judged_by(specs.openapi))


def test_a_change_of_a_refusal_is_found(many_kinds: Server, specs: ApiSpecs) -> None:
    refusal = record(many_kinds, "post", "/text", {})
    assert (refusal.status, refusal.judged_by(specs.openapi)) == (400, [])
    for old, new in [(b'"errors"', b'"faults"'), (b"400", b'"400"'), (b'"field"', b'"name"')]:
        assert old in refusal.body
        changed = replace(refusal, body=refusal.body.replace(old, new, 1))
        assert changed.judged_by(specs.openapi) != []


def without_field(component: str, *path: str) -> Callable[[Document], None]:
    """Return a function that deletes something from a component of a spec."""

    def change(document: Document) -> None:
        inside = document["components"]["schemas"][component]
        for step in path[:-1]:
            inside = inside[step]
        del inside[path[-1]]

    return change


def without_event(name: str) -> Callable[[Document], None]:
    """Return a function that deletes an event of the route."""

    def change(document: Document) -> None:
        union = document["components"]["schemas"]["NoticesEvent"]["oneOf"]
        union.remove({"$ref": f"#/components/schemas/{name}"})

    return change


@pytest.mark.parametrize(
    "change",
    [
        without_field("Asking", "properties", "colour"),
        without_field("CompletionData", "properties", "token"),
        without_field("EndData", "properties", "usage"),
        without_field("EndEvent", "properties", "data"),
        without_event("NoteEvent"),
        without_event("EndEvent"),
    ],
)
def test_a_deletion_from_the_openapi_spec_is_found(
    stream: Recorded, specs: ApiSpecs, change: Callable[[Document], None]
) -> None:
    openapi = copy.deepcopy(specs.openapi)
    change(openapi)
    assert stream.judged_by(openapi) != []


def test_two_schemas_for_one_event_are_a_problem(stream: Recorded, specs: ApiSpecs) -> None:
    openapi = copy.deepcopy(specs.openapi)
    union = openapi["components"]["schemas"]["NoticesEvent"]["oneOf"]
    union.append(union[0])
    assert "there are 2 components for the event" in "; ".join(stream.judged_by(openapi))


def test_an_undeclared_event_fits_if_the_spec_allows_other_events(
    server: Server,
) -> None:
    openapi = fetch_documents(server).openapi
    body = b"event: anything\ndata: x\n\n" + sse.encode(encode(end(UUID(int=7), None), "json"))
    for path, fits in [("/tools", True), ("/echo", False)]:
        problems = judge_response(openapi, "post", path, 200, "text/event-stream", body)
        assert (problems == []) is fits


# -- WebSockets ------------------------------------------------------------------------------


async def test_a_change_of_a_turn_is_found(many_kinds: Server, specs: ApiSpecs) -> None:
    [turn] = await record_turns(many_kinds, "/notices/ws", '{"question": "?"}')
    asyncapi = specs.asyncapi
    assert judge_turn(asyncapi, "/notices/ws", turn) == []
    changes = [
        ('"asking"', '"azking"', "0 messages for the event 'azking'"),
        ('"messages": 1', '"messages": "1"', "'1' is not of type 'integer'"),
        ('{"messages": 1, ', "{", "'messages' is a required property"),
        ('{"messages"', '{"x": 1, "messages"', "no field 'data.x'"),
        ('"data"', '"id": 1, "data"', "('id' was unexpected)"),
        ('"event"', '"name"', "no object with the name of an event"),
        ("{", "", "it is no JSON"),
    ]
    for old, new, problem in changes:
        assert old in turn[0]
        changed = [turn[0].replace(old, new, 1), *turn[1:]]
        assert problem in "; ".join(judge_turn(asyncapi, "/notices/ws", changed))
    assert judge_turn(asyncapi, "/notices/ws", turn[:-1]) == ["`end` came 0 times"]
    assert judge_turn(asyncapi, "/notices/ws", [*turn, turn[-1]]) == ["`end` came 2 times"]


async def test_a_turn_on_the_wrong_channel_is_found(many_kinds: Server, specs: ApiSpecs) -> None:
    [turn] = await record_turns(many_kinds, "/notices/ws", '{"question": "?"}')
    found = judge_turn(specs.asyncapi, "/model/ws", turn)
    assert "frame 0: there are 0 messages for the event 'asking'" in found
    assert judge_turn(specs.asyncapi, "/nowhere", turn) != []
    text_mode = judge_turn(specs.asyncapi, "/text/ws", [turn[-2], turn[-1]])
    assert len(text_mode) >= 2  # tokens and the end are of other forms there


async def test_a_deletion_from_the_asyncapi_spec_is_found(
    many_kinds: Server, specs: ApiSpecs
) -> None:
    [turn] = await record_turns(many_kinds, "/notices/ws", '{"question": "?"}')
    for name in ("Asking", "CompletionData", "EndData"):
        asyncapi = copy.deepcopy(specs.asyncapi)
        asyncapi["components"]["schemas"][name]["properties"].popitem()
        assert judge_turn(asyncapi, "/notices/ws", turn) != []
    asyncapi = copy.deepcopy(specs.asyncapi)
    asyncapi["operations"]["notices.send"]["messages"].pop(0)
    assert judge_turn(asyncapi, "/notices/ws", turn) != []


@pytest.mark.parametrize(
    ("message", "fits"),
    [
        ('{"question": "?"}', True),
        ("a text", True),
        ("[1]", True),  # a text, too
        ('{"event": "stop"}', True),
        ('{"question": [1]}', False),
        ('{"question": "?", "x": 1}', False),
        ('{"event": "go"}', False),
        ("{}", False),
        ("{a text", False),
    ],
)
def test_client_messages_are_checked_against_the_messages_of_the_channel(
    specs: ApiSpecs, message: str, fits: bool
) -> None:
    assert (judge_sent(specs.asyncapi, "/notices/ws", message) == []) is fits


def test_a_bare_text_does_not_fit_a_channel_with_several_inputs(specs: ApiSpecs) -> None:
    assert judge_sent(specs.asyncapi, "/search/ws", "a text") != []
    assert judge_sent(specs.asyncapi, "/nowhere", "a text") != []
