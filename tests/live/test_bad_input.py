"""Bad input is refused with its reason, before any byte of a stream, and nothing breaks."""

from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.live.clients import names, read_turn, socket, text, turn
from tests.servers import Server

JSON = {"Content-Type": "application/json"}


def post(server: Server, path: str, body: str, **headers: str) -> httpx.Response:
    return httpx.post(server.url + path, content=body, headers={**JSON, **headers}, timeout=10)


PLAIN = "Input should be a text, a number or a boolean"


@pytest.mark.parametrize(
    ("path", "body", "field", "reason"),
    [
        ("/echo", "{}", "question", "Field required"),
        ("/echo", '{"question": [7]}', "question", PLAIN),
        ("/echo", '{"question": "q", "colour": 1}', "colour", "Extra inputs are not permitted"),
        ("/paced?delay=soon", '{"question": "q"}', "delay", "Input should be a valid number"),
        ("/paced?dely=1", '{"question": "q"}', "dely", "there is none"),
        ("/parameters/1", '{"question": "q"}', "temperature", "Field required"),
        ("/parameters/1?temperature=1&colour=mauve", "{}", "colour", "Input should be 'red' or"),
        ("/retrieval", '{"question": "q"}', "query", "Field required"),
        ("/react", '{"question": "q"}', "input", "Field required"),
    ],
)
def test_a_missing_or_wrong_field_or_parameter_is_named(
    server: Server, path: str, body: str, field: str, reason: str
) -> None:
    response = post(server, path, body)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    problem = response.json()
    assert problem["status_code"] == 400
    [error] = [error for error in problem["errors"] if error["field"] == field]
    assert error["message"].startswith(reason)
    assert f"{field}: {reason}" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [("{not json", "not valid JSON"), ("", "not valid JSON"), ('"q"', "must be a JSON object")],
)
def test_a_body_that_is_no_json_object_is_refused(server: Server, body: str, reason: str) -> None:
    response = post(server, "/echo", body)
    assert response.status_code == 400
    assert reason in response.json()["detail"]


def test_a_body_of_another_content_type_is_refused_with_the_expected_one(server: Server) -> None:
    # A page of another origin could send a form or plain text without asking first.
    response = post(server, "/echo", '{"question": "q"}', **{"Content-Type": "text/plain"})
    assert response.status_code == 400
    assert "Content-Type: application/json" in response.json()["detail"]


def test_a_get_takes_its_inputs_from_the_query_string(server: Server) -> None:
    response = httpx.get(server.url + "/echo", params={"qestion": "q"}, timeout=10)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["question", "qestion"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"question": ', "not valid JSON"),
        ({}, "question: Field required"),
        ({"question": [1]}, f"question: {PLAIN}"),
        ({"question": "q", "colour": 1}, "colour: Extra inputs are not permitted"),
    ],
)
async def test_on_a_websocket_a_bad_message_gets_error_and_end_and_the_next_is_served(
    server: Server, message: Any, reason: str
) -> None:
    async with socket(server, "/echo/ws") as connection:
        frames = await turn(connection, message)
        assert [frame["event"] for frame in frames] == ["error", "end"]
        assert frames[0]["data"]["status_code"] == 400
        assert reason in frames[0]["data"]["detail"]
        frames = await turn(connection, {"question": "next"})
        assert names(frames) == ["completion", "end"]
        assert text(frames).startswith("next:0 ")


@pytest.mark.parametrize("frame", [b"{}", b""])
async def test_on_a_websocket_a_binary_frame_is_refused_and_the_next_is_served(
    server: Server, frame: bytes
) -> None:
    async with socket(server, "/echo/ws") as connection:
        await connection.send(frame)
        frames = await read_turn(connection)
        assert "text frames" in frames[0]["data"]["detail"]
        assert text(await turn(connection, "bare text")).startswith("bare text:0 ")


@pytest.mark.parametrize("query", ["?delay=soon", "?unknown=1"])
async def test_a_handshake_with_a_wrong_parameter_is_refused_with_the_reason(
    server: Server, query: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(server, "/paced/ws" + query):
            pass
    response = refused.value.response
    assert response.status_code == 400
    assert query[1:].partition("=")[0].encode() in response.body
