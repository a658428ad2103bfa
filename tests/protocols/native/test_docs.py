"""What the API docs say of a route in the native protocol is what is sent and taken."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from quart_lanarky.protocols.base import MessageDocs, RouteDescription
from quart_lanarky.protocols.json_schema import Components
from quart_lanarky.protocols.native.docs import NativeDocs
from quart_lanarky.protocols.native.encode import Mode
from quart_lanarky.protocols.native.protocol import NativeProtocol
from tests.apidocs.specs import described, problem

MODES: list[Mode] = ["json", "text"]


class ShortQuestion(BaseModel):
    question: Annotated[str, Field(max_length=20)]


class Impossible(BaseModel):
    question: Annotated[str, Field(pattern=r"^\d+$")]


def made(
    route: RouteDescription | None = None, mode: Mode = "json"
) -> tuple[NativeDocs, Components]:
    components = Components()
    return NativeDocs(route or described(), mode, "Qa", components), components


def by_name(messages: list[MessageDocs]) -> dict[str, MessageDocs]:
    return {message.name: message for message in messages}


def test_the_protocol_describes_a_route_in_its_mode() -> None:
    for mode in MODES:
        protocol = NativeProtocol(mode)
        assert protocol.options == {"mode": mode}
        docs = protocol.docs(described(), "Qa", Components())
        assert docs.http_description == made(mode=mode)[0].http_description


def test_a_request_body_is_the_inputs_with_an_example() -> None:
    docs, components = made()
    body = docs.request_body()
    assert (body.name, body.content_type) == ("QaInput", "application/json")
    assert body.schema == {"$ref": "#/components/schemas/QaInput"}
    assert problem({"question": "x"}, body.schema, components.added) is None
    assert problem({"question": "x", "more": 1}, body.schema, components.added)
    [example] = body.examples
    assert problem(example.value, body.schema, components.added) is None


def test_a_body_that_no_example_fits_has_none() -> None:
    docs, _ = made(described(body=TypeAdapter(Impossible), text_input="question"))
    assert docs.request_body().examples == []
    assert by_name(docs.client_messages())["QaText"].examples == []


@pytest.mark.parametrize("mode", MODES)
def test_the_examples_of_all_messages_fit_their_schemas(mode: Mode) -> None:
    docs, components = made(described(text_input="question"), mode)
    messages = [*docs.client_messages(), *docs.server_messages()]
    assert all(message.examples and message.summary for message in messages)
    for message in messages:
        for example in message.examples:
            assert problem(example.value, message.schema, components.added) is None
            assert example.summary


def test_a_client_sends_inputs_a_text_a_stop_and_a_pong() -> None:
    docs, components = made(described(text_input="question"))
    messages = by_name(docs.client_messages())
    assert list(messages) == ["QaInput", "QaText", "Stop", "Pong"]
    assert messages["QaText"].content_type == "text/plain"
    for name, value in (("Stop", {"event": "stop"}), ("Pong", {"event": "pong"})):
        assert problem(value, messages[name].schema, components.added) is None
        assert problem({**value, "more": 1}, messages[name].schema, components.added)


def test_a_route_without_a_text_input_takes_no_bare_text() -> None:
    assert "QaText" not in by_name(made()[0].client_messages())


@pytest.mark.parametrize("text", ["what?", "", "  [1]"])
def test_a_bare_text_has_to_fit_its_input(text: str) -> None:
    docs, components = made(described(body=TypeAdapter(ShortQuestion), text_input="question"))
    schema = by_name(docs.client_messages())["QaText"].schema
    assert problem(text, schema, components.added) is None
    assert problem(text + 21 * "x", schema, components.added)


@pytest.mark.parametrize("text", ["{", ' \n{"question": "x"}'])
def test_what_begins_with_a_brace_is_no_bare_text(text: str) -> None:
    docs, components = made(described(text_input="question"))
    assert problem(text, by_name(docs.client_messages())["QaText"].schema, components.added)


@pytest.mark.parametrize("mode", MODES)
def test_the_server_sends_a_frame_for_each_event_and_pings(mode: Mode) -> None:
    docs, _ = made(mode=mode)
    suffix = "Text" if mode == "text" else ""
    assert list(by_name(docs.server_messages())) == [
        *(f"Completion{suffix}", "Retract", "SourceDocuments", "Error", f"End{suffix}", "Ping"),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_a_stream_has_examples_of_its_events_and_of_whole_answers(mode: Mode) -> None:
    docs, components = made(mode=mode)
    stream = docs.stream()
    assert stream.content_type == "text/event-stream"
    assert [example.name for example in stream.event_examples] == [
        *("completion", "retract", "source_documents", "error", "end"),
    ]
    for example in stream.event_examples:
        assert problem(example.value, stream.event, components.added) is None
    answer, failure = stream.examples
    assert "event: completion" in answer.value
    assert "event: error" in failure.value
    for example in stream.examples:
        assert example.value.count("event: end") == 1


@pytest.mark.parametrize(("mode", "token"), [("json", '{"token": "A token"}'), ("text", "A token")])
def test_the_descriptions_show_the_events_as_they_are_sent(mode: Mode, token: str) -> None:
    docs, _ = made(mode=mode)
    assert f"| `completion` | `{token}` |" in docs.http_description
    data: Any = token if mode == "json" else f'"{token}"'
    assert f'- `{{"event": "completion", "data": {data}}}` for each token' in docs.send_description
    assert "Each message is a turn." in docs.receive_description
