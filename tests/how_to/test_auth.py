"""The page about logins is right about cookies, tokens and WebSockets, on a real server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.how_to.pages import page_blocks, serving_page
from tests.live.clients import text, turn
from tests.servers import Server, hypercorn

QUESTION = {"question": "Who am I?"}
REFUSAL = {"status_code": 401, "detail": "log in first"}
WHICH_THREAD = """
from langchain_core.runnables import RunnableLambda


@app.post("/thread")
@app.websocket("/thread/ws")
@login_required
@stream_chain(config=conversation)
async def which_thread(thread: str = "main"):
    return RunnableLambda(lambda _, config: config["configurable"]["thread_id"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("auth")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SECRET_KEY", "of the server and of the command")
        with serving_page("auth", folder) as running:
            yield running


PASSWORD = "difference"


def log_in(server: Server, name: str = "ada", password: str = PASSWORD) -> httpx.Response:
    return httpx.post(server.url + "/login", json={"name": name, "password": password})


def cookie_of(response: httpx.Response) -> dict[str, str]:
    return {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}


@pytest.fixture(scope="module")
def cookie(server: Server) -> dict[str, str]:
    return cookie_of(log_in(server))


@pytest.fixture(scope="module")
def token(folder: Path, server: Server) -> dict[str, str]:
    command = [Path(sys.executable).with_name("quart"), "--app", "app", "token", "ada"]
    printed = subprocess.check_output(command, cwd=folder, text=True)
    return {"Authorization": f"Bearer {printed.strip()}"}


@pytest.mark.parametrize("name", ["ada", "eve"])
def test_a_wrong_password_is_refused(server: Server, name: str) -> None:
    refused = log_in(server, name, "wrong")
    assert (refused.status_code, refused.json()) == (401, REFUSAL)


def test_the_cookie_is_http_only_and_secure(server: Server) -> None:
    attributes = set(log_in(server).headers["Set-Cookie"].split("; "))
    assert {"HttpOnly", "Secure", "SameSite=Lax"} <= attributes


@pytest.mark.parametrize("path", ["/chat", "/qa"])
async def test_without_a_login_there_is_neither_a_stream_nor_a_websocket(
    server: Server, path: str
) -> None:
    for answer in [
        httpx.post(server.url + path, json=QUESTION),
        httpx.get(server.url + path, params=QUESTION),
    ]:
        assert (answer.status_code, answer.json()) == (401, REFUSAL)
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.ws_url}{path}/ws")
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body) == REFUSAL


@pytest.mark.parametrize("proof", ["cookie", "token"])
async def test_with_a_cookie_or_a_token_ada_is_greeted_on_every_route(
    server: Server, proof: str, request: pytest.FixtureRequest
) -> None:
    headers = request.getfixturevalue(proof)
    as_json = headers | {"Accept": "application/json"}
    for answer in [
        httpx.post(server.url + "/chat", json=QUESTION, headers=as_json),
        httpx.get(server.url + "/chat", params=QUESTION, headers=as_json),
    ]:
        assert answer.json()["output"] == "Hello, ada."
    async with connect(server.ws_url + "/chat/ws", additional_headers=headers) as connection:
        assert text(await turn(connection, QUESTION)) == "Hello, ada."


async def test_a_chain_of_add_chain_accepts_the_token(
    server: Server, token: dict[str, str]
) -> None:
    answer = httpx.post(server.url + "/qa", json={"query": "?"}, headers=token)
    assert answer.text.startswith("event: completion")
    async with connect(server.ws_url + "/qa/ws", additional_headers=token) as connection:
        assert text(await turn(connection, {"query": "?"})) == "42"


def test_a_forged_token_is_refused(server: Server, token: dict[str, str]) -> None:
    forged = {"Authorization": token["Authorization"][:-3] + "xyz"}
    assert httpx.post(server.url + "/chat", json=QUESTION, headers=forged).status_code == 401


async def test_threads_of_two_users_are_separate_even_with_the_same_name(tmp_path: Path) -> None:
    code = "".join(block.code for block in page_blocks("auth", "python")) + WHICH_THREAD
    (tmp_path / "app.py").write_text(
        code.replace("USERS = {", 'USERS = {"bob": generate_password_hash("difference"), '),
        encoding="utf-8",
    )
    with hypercorn("app:app", tmp_path, PYTHONPATH=str(tmp_path)) as server:
        for name in ["ada", "bob"]:
            headers = cookie_of(log_in(server, name))
            path = "/thread?thread=secret"
            answer = httpx.post(server.url + path, json={"input": "?"}, headers=headers).text
            thread = json.dumps([name, "secret"])
            assert json.dumps({"token": thread}) in answer
            url = f"{server.ws_url}/thread/ws?thread=secret"
            async with connect(url, additional_headers=headers) as connection:
                assert text(await turn(connection, "?")) == thread


def test_the_token_made_in_the_shell_is_accepted(folder: Path, server: Server) -> None:
    [block] = page_blocks("auth", "sh")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    printed = subprocess.check_output(
        ["/bin/sh", "-c", block.code.replace("http://127.0.0.1:8000", server.url)],
        cwd=folder,
        text=True,
        env={**os.environ, "PATH": path},
    )
    assert printed.count("event: completion") == len("Hello, ada.")
