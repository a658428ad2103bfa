"""The page about rate limits is right, on a real server."""

import json
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.blocks import write_files
from tests.how_to.pages import page_blocks, serving_page
from tests.servers import Server, hypercorn

QUESTION = {"question": "?"}
REFUSAL = {"status_code": 429, "detail": "you ask too often: try again later"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving_page("rate-limits", tmp_path) as running:
        yield running


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Server]:
    write_files(page_blocks("rate-limits", "python")[-1], tmp_path)
    with hypercorn("app:proxied", tmp_path, PYTHONPATH=str(tmp_path)) as running:
        yield running


def ask(server: Server, path: str = "/chat", **headers: str) -> httpx.Response:
    return httpx.post(server.url + path, json=QUESTION, headers=headers, timeout=60)  # to start


@pytest.mark.parametrize("path", ["/chat", "/qa"])
def test_the_eleventh_question_gets_429_with_retry_after(server: Server, path: str) -> None:
    for _ in range(9):
        assert ask(server, path).status_code == 200
    assert httpx.get(server.url + path, params=QUESTION).status_code == 200
    refused = ask(server, path)
    assert (refused.status_code, refused.json()) == (429, REFUSAL)
    assert 1 <= int(refused.headers["Retry-After"]) <= 6


def test_bad_input_counts_and_a_preflight_does_not(server: Server) -> None:
    for _ in range(12):
        assert httpx.options(server.url + "/chat").status_code == 200
    for _ in range(10):
        assert httpx.post(server.url + "/chat", json={}).status_code == 400
    assert ask(server).status_code == 429


def test_a_forged_header_does_not_evade_the_limit(server: Server, proxied: Server) -> None:
    for place, claim in [(server, "{}"), (proxied, "{}, 192.0.2.1")]:
        answers = [
            ask(place, **{"X-Forwarded-For": claim.format(f"10.0.0.{i}")}).status_code
            for i in range(11)
        ]
        assert answers == [200] * 10 + [429]


def test_behind_a_proxy_each_client_has_its_own_limit(proxied: Server) -> None:
    for address in ["192.0.2.1", "192.0.2.2"]:
        answers = [ask(proxied, **{"X-Forwarded-For": address}).status_code for _ in range(11)]
        assert answers == [200] * 10 + [429]


async def test_the_fourth_websocket_is_refused_until_another_closes(
    server: Server,
) -> None:
    url = server.ws_url + "/chat/ws"
    async with AsyncExitStack() as stack:
        first, *_ = [await stack.enter_async_context(connect(url)) for _ in range(3)]
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "60"
        assert json.loads(refused.value.response.body) == REFUSAL
        await first.close()
        await _open(url)


async def _open(url: str) -> None:
    """Open a WebSocket as soon as the server has noticed that another one has closed."""
    deadline = time.monotonic() + 10
    while True:
        try:
            await (await connect(url)).close()
        except InvalidStatus:
            assert time.monotonic() < deadline
        else:
            return


async def test_the_rate_limiter_does_not_apply_to_websockets(server: Server) -> None:
    """Which is why the page has a decorator of its own."""
    async with connect(server.ws_url + "/chat/ws") as connection:
        for _ in range(12):
            await connection.send("?")
            assert json.loads(await connection.recv())["event"] == "completion"
            while json.loads(await connection.recv())["event"] != "end":
                pass


async def test_no_route_of_the_page_is_without_a_limit(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(server.ws_url + "/qa/ws")
    assert refused.value.response.status_code == 404


async def test_turns_beyond_the_queue_limit_close_the_websocket(server: Server) -> None:
    async with connect(server.ws_url + "/chat/ws") as connection:
        for _ in range(200):
            await connection.send("?")
        with suppress(ConnectionClosed):
            while True:
                await connection.recv()
    assert connection.close_code == 1008


async def test_a_models_rate_limiter_delays_its_calls(tmp_path: Path) -> None:
    code = page_blocks("rate-limits", "python")[-1].code
    page: dict[str, object] = {}
    imports = "from langchain_core.language_models import FakeListChatModel\n"
    exec(imports + code.replace("max_bucket_size=10", "max_bucket_size=1"), page)  # noqa: S102
    model = page["model"]
    begun = time.monotonic()
    for _ in range(4):
        await model.ainvoke("?")  # type: ignore[attr-defined]
    assert time.monotonic() - begun > 0.5  # three waits of a fifth of a second
