"""The page about CORS is right about requests, on a real server; `tests/browser/` has the pages."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.blocks import write_files
from tests.how_to.pages import page_blocks, serving_page
from tests.servers import Server, hypercorn

LISTED = {"Origin": "https://chat.example.org"}
FOREIGN = {"Origin": "https://elsewhere.example"}
QUESTION = {"question": "?"}
WITH_ADD_CHAIN = '\nlanarky.add_chain("/qa", chain)\n'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving_page("cors", tmp_path_factory.mktemp("cors")) as running:
        yield running


def preflight(server: Server, origin: dict[str, str]) -> httpx.Headers:
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    answer = httpx.options(server.url + "/chat", headers=origin | asking, timeout=60)  # to start
    return answer.headers


def may_read(answer: httpx.Response, origin: dict[str, str]) -> bool:
    return answer.headers.get("Access-Control-Allow-Origin") == origin["Origin"]


async def status_of_websocket(server: Server, path: str, origin: dict[str, str]) -> int:
    try:
        async with connect(server.ws_url + path, additional_headers=origin):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def test_an_allowed_origin_may_send_json_and_another_may_not(server: Server) -> None:
    allowed = preflight(server, LISTED)
    assert allowed["Access-Control-Allow-Origin"] == LISTED["Origin"]
    assert allowed["Access-Control-Allow-Headers"].lower() == "content-type"
    assert allowed["Access-Control-Allow-Methods"] == "GET, POST"
    assert allowed["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Origin" not in preflight(server, FOREIGN)


def test_an_allowed_origin_may_read_the_stream_the_error_and_retry_after(
    server: Server,
) -> None:
    for inputs, status in [(QUESTION, 200), ({}, 400)]:
        answer = httpx.post(server.url + "/chat", json=inputs, headers=LISTED)
        assert answer.status_code == status
        assert may_read(answer, LISTED)
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"


def test_an_allowed_origin_may_run_a_get_route_and_another_may_not(server: Server) -> None:
    answer = httpx.get(server.url + "/chat", params=QUESTION, headers=LISTED)
    assert answer.status_code == 200
    assert may_read(answer, LISTED)
    assert httpx.get(server.url + "/chat", params=QUESTION, headers=FOREIGN).status_code == 403


async def test_websockets_are_for_allowed_origins_own_pages_and_other_clients(
    server: Server,
) -> None:
    statuses = [
        await status_of_websocket(server, "/chat/ws", origin)
        for origin in [LISTED, {"Origin": server.url}, {}, FOREIGN]
    ]
    assert statuses == [101, 101, 101, 403]


async def test_without_the_exemption_quart_cors_refuses_our_own_pages(tmp_path: Path) -> None:
    last = page_blocks("cors", "python")[-1]
    write_files(last, tmp_path)
    (tmp_path / "app.py").write_text(last.code + WITH_ADD_CHAIN, encoding="utf-8")
    with hypercorn("app:app", tmp_path, PYTHONPATH=str(tmp_path)) as server:
        statuses = [
            await status_of_websocket(server, "/qa/ws", origin)
            for origin in [LISTED, {"Origin": server.url}, {}]
        ]
    assert statuses == [101, 400, 400]
