"""Where chains can be used: methods, parameters, blueprints, other decorators, directly."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.live.clients import post_sse, read_turn, socket, text, turn
from tests.servers import Server

ADA = {"Authorization": "Bearer ada"}


async def test_parameters_are_converted_from_path_and_query_string(server: Server) -> None:
    query = "?temperature=0.5&colour=blue&names=a&names=b&flag=true"
    expected = {
        "number": 3,
        "temperature": 0.5,
        "colour": "blue",
        "names": ["a", "b"],
        "flag": True,
    }
    events = await post_sse(server, "/parameters/3" + query, {"question": "?"})
    assert events[0].data == repr(expected)
    async with socket(server, "/parameters/3/ws" + query) as connection:
        frames = await turn(connection, {"question": "?"})
    assert frames[0] == {"event": "completion", "data": repr(expected)}


async def test_omitted_parameters_have_their_defaults(server: Server) -> None:
    events = await post_sse(server, "/parameters/3?temperature=1", {"question": "?"})
    assert events[0].data == repr(
        {"number": 3, "temperature": 1.0, "colour": "red", "names": None, "flag": False}
    )


def test_a_request_that_passes_a_blueprints_login_check_reaches_the_chain(server: Server) -> None:
    url = f"{server.url}/members/chat?question=q"
    assert httpx.get(url).status_code == 401
    assert '{"token": "ada from /members/chat"}' in httpx.get(url, headers=ADA).text


async def test_a_blueprints_login_check_applies_to_websockets(server: Server) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        async with socket(server, "/members/chat/ws"):
            pass
    async with socket(server, "/members/chat/ws", additional_headers=ADA) as connection:
        assert text(await turn(connection, "q")) == "ada from a socket"


def test_a_rate_limit_applies_to_a_chain_route(server: Server) -> None:
    answers = [httpx.get(f"{server.url}/limited?question=q") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert "event: end" in answers[0].text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stream_has_headers_for_its_type_and_against_buffering(
    server: Server, method: str
) -> None:
    inputs: dict[str, Any] = (
        {"params": {"question": "q"}} if method == "GET" else {"json": {"question": "q"}}
    )
    response = httpx.request(method, server.url + "/silent", **inputs)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["vary"] == "Accept"
    assert response.headers["x-accel-buffering"] == "no"
    assert "connection" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/silent?question=q", {"Accept": "application/json"}, 200),
        ("POST", "/silent", {"Accept": "application/json"}, 200),
        ("HEAD", "/silent", {}, 200),
        ("GET", "/silent", {}, 400),
        ("GET", "/silent?question=q", {"Origin": "http://evil.example"}, 403),
        ("GET", "/silent?question=q", {"Last-Event-ID": f"{UUID(int=1)}/end"}, 204),
        ("POST", "/broken/raises", {}, 500),
    ],
)
def test_no_answer_of_a_chain_route_may_be_cached(
    server: Server, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    inputs: dict[str, Any] = {"json": {"question": "q"}} if method == "POST" else {}
    response = httpx.request(method, server.url + path, headers=headers, **inputs)
    assert response.status_code == status
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Vary"] == "Accept"


async def test_a_streaming_handler_can_be_used_directly(server: Server) -> None:
    events = await post_sse(server, "/by-hand", {"question": "q"})
    assert "".join(e.json()["token"] for e in events[:-1]) == "".join(f"q:{n} " for n in range(20))
    assert events[-1].name == "end"


async def test_a_websocket_handler_can_be_used_directly(server: Server) -> None:
    async with socket(server, "/by-hand/direct") as connection:
        frames = await turn(connection, {"question": "q"})
    assert "".join(f["data"] for f in frames) == "".join(f"q:{n} " for n in range(20))


async def test_a_websocket_handler_can_be_used_directly_in_a_run(server: Server) -> None:
    async with socket(server, "/by-hand/run") as connection:
        frames = await turn(connection, {"question": "q"})
    assert text(frames) == "".join(f"q:{number} " for number in range(300))
    assert set(frames[-1]["data"]) == {"run_id", "usage", "outcome"}


async def test_a_websocket_handler_can_be_used_directly_from_another_thread(server: Server) -> None:
    async with socket(server, "/by-hand/thread") as connection:
        await connection.send(json.dumps({"question": "q"}))
        frames = await read_turn(connection)
    assert text(frames) == "".join(f"q:{number} " for number in range(300))
