"""Live servers respond as in their API specs, on every route of the example app."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from quart_lanarky.protocols.sse import Decoder
from quart_lanarky.settings import Settings
from tests.contract.judge import (
    JSON,
    STREAM,
    chain_operations,
    channel_addresses,
    judge_sent,
    judge_turn,
)
from tests.contract.recording import (
    ApiSpecs,
    Recorded,
    example_inputs,
    example_messages,
    fetch_documents,
    record,
    record_turns,
)
from tests.live.models import SECRET
from tests.servers import Server, hypercorn

ANSWERS = [STREAM, JSON]
EXAMPLE_OPERATIONS = [
    ("post", "/chat"),
    ("get", "/qa"),
    ("post", "/qa"),
    ("get", "/agent"),
    ("post", "/agent"),
]
EXAMPLE_CHANNELS = ["/chat/ws", "/qa/ws", "/agent/ws"]
ASK = {"question": "?"}
AGENT_STEPS = {
    "input": json.dumps(
        [["Action: shout\nAction Input: ", "psst", "\n"], ["Final Answer:", " PS", "ST"]]
    )
}


def assert_documented(documents: ApiSpecs, recorded: Recorded, status: int) -> None:
    assert (recorded.judged_by(documents.openapi), recorded.status) == ([], status)
    assert SECRET.encode() not in recorded.body


def event_names(recorded: Recorded) -> set[str]:
    lines = recorded.body.decode().splitlines()
    return {line.removeprefix("event: ") for line in lines if line.startswith("event: ")}


# -- the example app -------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["3.2.0", "3.1.0"])
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, ApiSpecs]]:
    """Serve the example app with either version of its OpenAPI spec."""
    if request.param == "3.2.0":
        server = request.getfixturevalue("demo")
        yield server, fetch_documents(server)
        return
    folder = tmp_path_factory.mktemp("example_31")
    with hypercorn("tests.contract.example_31:app", folder) as server:
        yield server, fetch_documents(server)


def test_these_tests_cover_every_route_of_the_api_specs(
    example: tuple[Server, ApiSpecs], request: pytest.FixtureRequest
) -> None:
    _, documents = example
    assert documents.openapi["openapi"] == request.node.callspec.params["example"]
    assert sorted(chain_operations(documents.openapi)) == sorted(EXAMPLE_OPERATIONS)
    assert sorted(channel_addresses(documents.asyncapi)) == sorted(EXAMPLE_CHANNELS)


@pytest.mark.parametrize("accept", ANSWERS)
@pytest.mark.parametrize(("method", "path"), EXAMPLE_OPERATIONS)
def test_an_answer_of_the_example_app_is_as_documented(
    example: tuple[Server, ApiSpecs], method: str, path: str, accept: str
) -> None:
    server, documents = example
    inputs = example_inputs(documents.openapi, path)
    recorded = record(server, method, path, inputs, accept=accept)
    assert recorded.content_type.partition(";")[0] == accept
    assert_documented(documents, recorded, 200)


BAD_REQUESTS: list[dict[str, Any]] = [
    {"inputs": {}},
    {"inputs": {"nonsense": 1}},
    {"query": "?nonsense=1"},
    {"body": b"{not json", "methods": ["post"]},
    {"body": b'"a text"', "methods": ["post"]},
    {"body": b"", "methods": ["post"]},
    {"body": b"{}", "headers": {"Content-Type": "text/plain"}, "methods": ["post"]},
    {"query": "?k=11", "paths": ["/qa"]},
    {"query": "?k=many", "paths": ["/qa"]},
]


@pytest.mark.parametrize("accept", ANSWERS)
@pytest.mark.parametrize(("method", "path"), EXAMPLE_OPERATIONS)
def test_every_kind_of_bad_input_is_refused_as_documented(
    example: tuple[Server, ApiSpecs], method: str, path: str, accept: str
) -> None:
    server, documents = example
    for bad in BAD_REQUESTS:
        options = {"inputs": example_inputs(documents.openapi, path), **bad}
        if method in options.pop("methods", [method]) and path in options.pop("paths", [path]):
            recorded = record(server, method, path, accept=accept, **options)
            assert_documented(documents, recorded, 400)


@pytest.mark.parametrize("path", [path for method, path in EXAMPLE_OPERATIONS if method == "post"])
def test_a_body_that_is_too_large_is_refused_as_documented(
    example: tuple[Server, ApiSpecs], path: str
) -> None:
    server, documents = example
    body = b'{"question": "' + Settings().max_message_bytes * b"a" + b'"}'
    recorded = record(server, "post", path, body=body)
    assert_documented(documents, recorded, 413)


GETS = [path for method, path in EXAMPLE_OPERATIONS if method == "get"]


@pytest.mark.parametrize("path", GETS)
def test_a_browser_that_reconnects_after_the_end_gets_204_as_documented(
    example: tuple[Server, ApiSpecs], path: str
) -> None:
    server, documents = example
    inputs = example_inputs(documents.openapi, path)
    *_, end = Decoder().feed(record(server, "get", path, inputs).body)
    assert end.id is not None
    again = record(server, "get", path, inputs, headers={"Last-Event-ID": end.id})
    assert_documented(documents, again, 204)
    assert again.body == b""


@pytest.mark.parametrize("path", GETS)
def test_a_cross_site_page_is_refused_as_documented(
    example: tuple[Server, ApiSpecs], path: str
) -> None:
    server, documents = example
    inputs = example_inputs(documents.openapi, path)
    foreign = {"Origin": "https://evil.example"}
    assert_documented(documents, record(server, "get", path, inputs, headers=foreign), 403)


@pytest.mark.parametrize("address", EXAMPLE_CHANNELS)
async def test_the_turns_of_a_websocket_are_as_documented(
    example: tuple[Server, ApiSpecs], address: str
) -> None:
    server, documents = example
    good = example_messages(documents.asyncapi, address)
    assert len(good) == 2  # an object, a text
    for message in good:
        assert judge_sent(documents.asyncapi, address, message) == []
    bad = ["{}", '{"nonsense": 1}', "{not json", '{"event": "stop", "now": true}']
    for message in bad:
        assert judge_sent(documents.asyncapi, address, message) != []
    for turn in await record_turns(server, address, *good):
        assert judge_turn(documents.asyncapi, address, turn) == []
        assert "error" not in {json.loads(frame)["event"] for frame in turn}
    for turn in await record_turns(server, address, *bad):
        assert judge_turn(documents.asyncapi, address, turn) == []
        assert json.loads(turn[0])["data"]["status_code"] == 400


def test_the_retrieval_chain_sends_its_sources_as_documented(
    example: tuple[Server, ApiSpecs],
) -> None:
    server, documents = example
    question = {"query": "How does BM25 rank documents?"}
    recorded = record(server, "get", "/qa", question, query="?k=2")
    assert event_names(recorded) == {"completion", "source_documents", "end"}
    assert_documented(documents, recorded, 200)


# -- the app of the live tests ---------------------------------------------------------------


@pytest.fixture(scope="module")
def live(server: Server) -> ApiSpecs:
    return fetch_documents(server)


TEXT = json.dumps(["one", " two\r\nthree\n", "", "\u2028", '{"token": "?"}'])

LIVE: dict[str, dict[str, Any]] = {
    "/recite/json": {"inputs": {"question": TEXT}},
    "/recite/text": {"inputs": {"question": TEXT}},
    "/silent": {},
    "/sync-model": {},
    "/sync-llm": {},
    "/sync-chain": {},
    "/function": {"inputs": {"input": "hi"}},
    "/blocked-loop": {},
    "/retrieval": {"inputs": {"query": '["one", "two"]'}},
    "/react": {"inputs": AGENT_STEPS},
    "/tools": {"inputs": AGENT_STEPS},
    "/options/awaited": {},
    "/options/yielding-twice": {},
    "/options/configured-once": {},
    "/options/input-model": {"inputs": {"q": "why", "times": 2}},
}

PARAMETERS: dict[str, dict[str, Any]] = {
    "/paced": {"query": "?count=3&delay=0", "inputs": ASK},
    "/options/yielding": {"query": "?key=contract", "inputs": ASK},
    "/parameters/{number}": {
        "number": 7,
        "query": "?temperature=0.5&colour=blue&names=a&names=b&flag=true",
        "inputs": ASK,
    },
    "/options/under-a-decorator": {"inputs": {"q": "why", "times": 2}},
}


def methods(documents: ApiSpecs, path: str) -> list[str]:
    return [method for method, known in chain_operations(documents.openapi) if known == path]


@pytest.mark.parametrize("accept", ANSWERS)
@pytest.mark.parametrize("path", [*LIVE, *PARAMETERS])
def test_answers_of_many_kinds_of_chains_are_as_documented(
    server: Server, live: ApiSpecs, path: str, accept: str
) -> None:
    options = {"inputs": ASK, **LIVE.get(path, {}), **PARAMETERS.get(path, {})}
    assert methods(live, path)
    for method in methods(live, path):
        recorded = record(server, method, path, accept=accept, **options)
        assert_documented(live, recorded, 200)


@pytest.mark.parametrize("path", LIVE)
async def test_turns_with_many_kinds_of_chains_are_as_documented(
    server: Server, live: ApiSpecs, path: str
) -> None:
    address = f"{path}/ws"
    message = json.dumps(LIVE[path].get("inputs", ASK))
    assert judge_sent(live.asyncapi, address, message) == []
    [turn, refused] = await record_turns(server, address, message, "{")
    assert judge_turn(live.asyncapi, address, turn) == []
    assert judge_turn(live.asyncapi, address, refused) == []
    assert "error" not in {json.loads(frame)["event"] for frame in turn}
    assert json.loads(refused[0])["data"]["status_code"] == 400


async def test_a_websocket_with_parameters_in_its_address_is_as_documented(
    server: Server, live: ApiSpecs
) -> None:
    address = "/parameters/{number}/ws"
    turns = await record_turns(server, address, json.dumps(ASK), query="?temperature=1", number=7)
    assert judge_turn(live.asyncapi, address, turns[0]) == []


def test_a_handler_without_declared_events_is_documented_as_sending_other_events(
    server: Server, live: ApiSpecs
) -> None:
    recorded = record(server, "post", "/tools", AGENT_STEPS)
    assert event_names(recorded) == {"tool", "end"}
    assert_documented(live, recorded, 200)


FAILING = {
    "/failing": ASK,
    "/options/broken-tool/react": {
        "input": json.dumps([["Action: break_down\nAction Input: x\n"]])
    },
    "/options/broken-tool/agent": {"messages": "go"},
    "/options/fails-after-its-tokens": ASK,
    "/options/broken-handler": ASK,
    "/options/nothing": ASK,
}


@pytest.mark.parametrize("path", FAILING)
async def test_a_chain_that_fails_is_as_documented_on_every_transport(
    server: Server, live: ApiSpecs, path: str
) -> None:
    for method in methods(live, path):
        stream = record(server, method, path, FAILING[path])
        assert_documented(live, stream, 200)
        answer = record(server, method, path, FAILING[path], accept=JSON)
        assert_documented(live, answer, 200 if path.endswith("broken-handler") else 500)
    [turn] = await record_turns(server, f"{path}/ws", json.dumps(FAILING[path]))
    assert judge_turn(live.asyncapi, f"{path}/ws", turn) == []


def test_a_chain_that_fails_after_some_tokens_is_as_documented(
    server: Server, live: ApiSpecs
) -> None:
    recorded = record(server, "get", "/failing", ASK, query="?after=3")
    assert event_names(recorded) == {"completion", "error", "end"}
    assert_documented(live, recorded, 200)


async def test_a_turn_that_is_stopped_is_as_documented(server: Server, live: ApiSpecs) -> None:
    from tests.live.clients import socket

    frames = []
    async with socket(server, "/paced/ws") as connection:
        await connection.send(json.dumps(ASK))
        frames.append(str(await connection.recv()))
        await connection.send('{"event": "stop"}')
        while json.loads(frames[-1])["event"] != "end":
            frames.append(str(await connection.recv()))
    assert judge_sent(live.asyncapi, "/paced/ws", '{"event": "stop"}') == []
    assert judge_turn(live.asyncapi, "/paced/ws", frames) == []


BROKEN_FACTORIES: dict[str, dict[str, Any]] = {
    "/broken/{kind}": {"kind": "raises"},
    "/options/yielding-nothing": {},
    "/options/failing-config": {},
}


@pytest.mark.parametrize("accept", ANSWERS)
@pytest.mark.parametrize("path", BROKEN_FACTORIES)
def test_a_factory_that_fails_is_answered_as_documented(
    server: Server, live: ApiSpecs, path: str, accept: str
) -> None:
    for method in methods(live, path):
        recorded = record(server, method, path, ASK, accept=accept, **BROKEN_FACTORIES[path])
        assert_documented(live, recorded, 500)


def test_bad_parameters_are_refused_as_documented(server: Server, live: ApiSpecs) -> None:
    for query in ["", "?temperature=hot", "?temperature=1&colour=mauve", "?temperature=1&x=1"]:
        recorded = record(server, "post", "/parameters/{number}", ASK, query=query, number=1)
        assert_documented(live, recorded, 400)
