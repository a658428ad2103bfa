"""Both transports require a login and are rate limited."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from quart import Quart
from websockets.exceptions import InvalidStatus

from quart_lanarky.testing import RefusedError, answer_of, connect, stream
from tests.contract.judge import chain_operations, channel_addresses
from tests.contract.recording import fetch_documents
from tests.examples.numbered import numbered, started
from tests.live.clients import post_sse, socket, text, turn
from tests.servers import Server

ASKED = {"question": "Who may ask here?"}
ANSWER = "Whoever has signed in may ask here."
MOST = 5  # questions a minute
ADA, ALAN = {"name": "ada", "password": "lovelace"}, {"name": "alan", "password": "turing"}


def post(url: str, **options: Any) -> httpx.Response:
    """Wait for a server that has just been started; it may take its time."""
    return httpx.post(url, timeout=30, verify=False, **options)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(numbered("09"), tmp_path_factory.mktemp("09")) as running:
        yield running


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """Serve it anew, where it counts."""
    with started(numbered("09"), tmp_path) as running:
        yield running


def signed_in(server: Server, user: dict[str, str]) -> dict[str, str]:
    """Sign in and return the headers that show it."""
    answer = post(f"{server.url}/login", data=user)
    assert (answer.status_code, answer.headers["location"]) == (302, "/playground")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    return {"Cookie": cookie.partition(";")[0]}


def test_without_a_login_the_http_route_answers_401_as_json(server: Server) -> None:
    answer = post(f"{server.url}/chat", json=ASKED)
    assert (answer.status_code, answer.json()["status_code"]) == (401, 401)


async def test_without_a_login_the_websocket_is_not_accepted(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket(server, "/chat/ws"):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["status_code"] == 401


def test_a_wrong_name_and_a_wrong_password_get_the_same_refusal(server: Server) -> None:
    for user in ({}, {"name": "ada"}, {**ADA, "password": "Lovelace"}, {**ADA, "name": "eve"}):
        answer = post(f"{server.url}/login", data=user)
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert answer.json()["detail"] == "the name or the password is wrong"


async def test_a_signed_in_user_can_use_both_transports(server: Server) -> None:
    headers = signed_in(server, ADA)
    events = await post_sse(server, "/chat", ASKED, headers=headers)
    assert answer_of(events) == ANSWER
    async with socket(server, "/chat/ws", additional_headers=headers) as connection:
        assert text(await turn(connection, ASKED)) == ANSWER


def test_a_forged_cookie_is_refused(server: Server) -> None:
    cookie = signed_in(server, ADA)["Cookie"]
    for made_up in (cookie[:-1], "QUART_AUTH=ada", cookie.replace("=", "=x", 1)):
        answer = post(f"{server.url}/chat", json=ASKED, headers={"Cookie": made_up})
        assert answer.status_code == 401


async def test_a_rate_limited_http_client_gets_a_retry_after(fresh: Server) -> None:
    ada, alan = signed_in(fresh, ADA), signed_in(fresh, ALAN)
    for _ in range(MOST):
        assert answer_of(await post_sse(fresh, "/chat", ASKED, headers=ada)) == ANSWER
    refused = post(f"{fresh.url}/chat", json=ASKED, headers=ada)
    assert (refused.status_code, refused.json()["status_code"]) == (429, 429)
    assert 0 < int(refused.headers["retry-after"]) <= 60 / MOST
    assert answer_of(await post_sse(fresh, "/chat", ASKED, headers=alan)) == ANSWER


async def test_requests_without_a_login_do_not_count_against_any_users_limit(fresh: Server) -> None:
    statuses = [post(f"{fresh.url}/chat", json=ASKED).status_code for _ in range(MOST + 1)]
    assert statuses == [401] * MOST + [429]
    ada = signed_in(fresh, ADA)
    assert answer_of(await post_sse(fresh, "/chat", ASKED, headers=ada)) == ANSWER


async def test_websocket_turns_are_limited_across_connections(
    fresh: Server,
) -> None:
    headers = signed_in(fresh, ADA)
    for _ in range(MOST):
        async with socket(fresh, "/chat/ws", additional_headers=headers) as connection:
            assert text(await turn(connection, ASKED)) == ANSWER
    async with socket(fresh, "/chat/ws", additional_headers=headers) as connection:
        for _ in range(2):
            error, end = await turn(connection, ASKED)
            assert error["data"]["detail"] == f"no more than {MOST} questions a minute"
            assert (error["event"], end["event"]) == ("error", "end")


def test_login_attempts_are_limited_even_with_forged_addresses(fresh: Server) -> None:
    statuses = [
        post(
            f"{fresh.url}/login",
            data={"name": "ada", "password": str(number)},
            headers={"X-Forwarded-For": f"10.0.0.{number}"},
        ).status_code
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2


def test_both_api_specs_have_their_route(server: Server) -> None:
    documents = fetch_documents(server)
    assert chain_operations(documents.openapi) == [("post", "/chat")]
    assert channel_addresses(documents.asyncapi) == ["/chat/ws"]


async def test_a_test_client_can_sign_in(app: Quart) -> None:
    client: Any = app.test_client()
    with pytest.raises(RefusedError) as refused:
        await anext(stream(client, "/chat", json=ASKED))
    assert refused.value.status_code == 401
    await client.post("/login", form=ADA)
    assert answer_of([event async for event in stream(client, "/chat", json=ASKED)]) == ANSWER
    async with connect(client, "/chat/ws") as conversation:
        assert answer_of([event async for event in conversation.ask(ASKED)]) == ANSWER
