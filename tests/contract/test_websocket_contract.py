"""WebSockets accept the messages that their AsyncAPI spec allows, and refuse all others.

The messages are made from the schemas in the document, by schemathesis, which knows OpenAPI alone:
so each payload is handed to it as the body of a request.
"""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.contract.judge import (
    JSON,
    Document,
    channel_addresses,
    judge_sent,
    judge_turn,
    messages_of,
)
from tests.contract.recording import ApiSpecs, example_messages, fetch_documents
from tests.servers import Server

EXAMPLE_CHANNELS = ["/chat/ws", "/qa/ws", "/agent/ws"]
CHANNELS = {  # each with where it can be reached
    "/search/ws": "/search/ws",
    "/name/ws": "/name/ws",
    "/model/ws": "/model/ws",
    "/agent/ws": "/agent/ws",
    "/text/ws": "/text/ws",
    "/failing/ws": "/failing/ws",
    "/structured/ws": "/structured/ws",
    "/fallback/ws": "/fallback/ws",
    "/fallback/text/ws": "/fallback/text/ws",
    "/unknown/ws": "/unknown/ws",
    "/notices/ws": "/notices/ws",
    "/notices/text/ws": "/notices/text/ws",
    "/numbers/{number}/ws": "/numbers/1/ws?k=1",
    "/choices/{colour}/ws": "/choices/red/ws",
    "/lists/ws": "/lists/ws?names=a",
}
SIGNS = {"Stop": {"event": "stop"}, "Pong": {"event": "pong"}}
"""Messages that are no turns."""
INVALID = ["{", '{"a": NaN}', '{"nonsense": 1}', '{"event": "go"}', "[]", "null", "", " {}", "\n7"]


def payloads(asyncapi: Document, address: str, mode: GenerationMode) -> st.SearchStrategy[str]:
    """Make JSON that fits the inputs of a channel, or that does not."""
    [schema] = [
        message["payload"]
        for message in messages_of(asyncapi, address, "receive")
        if message["contentType"] == JSON and message["name"] not in SIGNS
    ]
    body = {"required": True, "content": {JSON: {"schema": schema}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "", "version": ""},
        "paths": {"/": {"post": {"requestBody": body, "responses": {"200": {"description": ""}}}}},
        "components": {"schemas": asyncapi["components"]["schemas"]},
    }
    config = SchemathesisConfig.from_dict({"base-url": "http://nowhere"})
    loaded: Any = schemathesis.openapi.from_dict(json.loads(json.dumps(document)), config=config)
    cases = loaded["/"]["POST"].as_strategy(generation_mode=mode)
    return cases.map(lambda case: case.body).filter(is_json).map(json.dumps)


def is_json(body: Any) -> bool:
    """Return whether a payload is JSON; schemathesis also makes raw bytes."""
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return body not in SIGNS.values()


def ask(connection: Any, message: str) -> list[str]:
    connection.send(message)
    frames = [str(connection.recv(timeout=10))]
    while json.loads(frames[-1])["event"] != "end":
        frames.append(str(connection.recv(timeout=10)))
    return frames


def check_turn(connection: Any, asyncapi: Document, address: str, message: str) -> bool:
    """Send a message, judge its answer, and return whether the message fits the spec."""
    problems = judge_sent(asyncapi, address, message)
    frames = ask(connection, message)
    assert judge_turn(asyncapi, address, frames) == []
    first = json.loads(frames[0])
    refused = first["event"] == "error" and first["data"]["status_code"] == 400
    assert refused is bool(problems), (message, frames, problems)
    if refused:
        assert [json.loads(frame)["event"] for frame in frames] == ["error", "end"]
    return not problems


def check_channel(server: Server, asyncapi: Document, address: str, url: str, count: int) -> None:
    """Send messages of all kinds over one connection."""
    with connect(server.ws_url + url, max_size=None) as connection:
        seen = [check_turn(connection, asyncapi, address, message) for message in INVALID]
        for message in example_messages(asyncapi, address):
            assert check_turn(connection, asyncapi, address, message)

        valid = payloads(asyncapi, address, GenerationMode.POSITIVE)
        texts = st.text(st.characters(codec="utf-8"), max_size=20)
        known = settings(
            max_examples=count,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )

        @known
        @given(message=valid | texts)
        def check(message: str) -> None:
            seen.append(check_turn(connection, asyncapi, address, message))

        check()
        assert True in seen
        if address != "/unknown/ws":  # where every object fits
            invalid = payloads(asyncapi, address, GenerationMode.NEGATIVE)

            @known
            @given(message=invalid)
            def check_invalid(message: str) -> None:
                assume(judge_sent(asyncapi, address, message))  # a list is a text, and that may fit
                check_turn(connection, asyncapi, address, message)
                seen.append(False)

            check_invalid()
        assert seen.count(False) > len(INVALID) or address == "/unknown/ws"


@pytest.mark.parametrize("address", EXAMPLE_CHANNELS)
def test_a_channel_of_the_example_app_accepts_exactly_the_documented_messages(
    fast_example: Server, address: str
) -> None:
    asyncapi = fetch_documents(fast_example).asyncapi
    assert sorted(channel_addresses(asyncapi)) == sorted(EXAMPLE_CHANNELS)
    check_channel(fast_example, asyncapi, address, address, 15)


@pytest.fixture(scope="module")
def documents(many_kinds: Server) -> ApiSpecs:
    return fetch_documents(many_kinds)


@pytest.mark.parametrize("address", CHANNELS)
def test_a_channel_accepts_exactly_the_documented_messages(
    many_kinds: Server, documents: ApiSpecs, address: str
) -> None:
    assert sorted(channel_addresses(documents.asyncapi)) == sorted(CHANNELS)
    check_channel(many_kinds, documents.asyncapi, address, CHANNELS[address], 25)


def test_an_undocumented_message_that_is_accepted_is_found(
    many_kinds: Server, documents: ApiSpecs
) -> None:
    asyncapi = json.loads(json.dumps(documents.asyncapi))
    question = asyncapi["components"]["schemas"]["TextInput"]["properties"]["question"]
    question["minLength"] = 100
    with pytest.raises(AssertionError, match="is too short"):
        check_channel(many_kinds, asyncapi, "/text/ws", "/text/ws", 5)


HANDSHAKES = [
    ("?k=1", {"k": 1}, True),
    ("?k=10&ratio=0.25&step=15", {"k": 10, "ratio": 0.25, "step": 15}, True),
    ("", {}, False),
    ("?k=11", {"k": 11}, False),
    ("?k=many", {"k": "many"}, False),
    ("?k=1&ratio=1", {"k": 1, "ratio": 1}, False),
    ("?k=1&step=7", {"k": 1, "step": 7}, False),
]


@pytest.mark.parametrize(("query", "values", "fits"), HANDSHAKES)
def test_a_handshake_accepts_the_documented_parameters(
    many_kinds: Server, documents: ApiSpecs, query: str, values: Document, fits: bool
) -> None:
    [channel] = [
        channel
        for channel in documents.asyncapi["channels"].values()
        if channel["address"] == "/numbers/{number}/ws"
    ]
    assert Draft202012Validator(channel["bindings"]["ws"]["query"]).is_valid(values) is fits
    url = f"{many_kinds.ws_url}/numbers/1/ws{query}"
    if fits:
        with connect(url) as connection:
            assert json.loads(ask(connection, '{"question": "?"}')[0])["event"] == "completion"
    else:
        with pytest.raises(InvalidStatus) as refusal, connect(url):
            pass
        assert refusal.value.response.status_code == 400
