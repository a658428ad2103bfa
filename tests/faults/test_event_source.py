"""A browser's `EventSource` reconnects after the end of a stream: the model is not called again."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest

from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.sse import Decoder
from tests.faults.clients import seen, vitals
from tests.servers import Server, hypercorn

APP = "tests.faults.middle:app"

TOKENS = ["0 ", "1 ", "2 "]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("event-source")
    with hypercorn(APP, folder, QUART_LANARKY_HEARTBEAT="0.05") as server:
        yield server


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        yield client


@pytest.fixture
def question() -> str:
    return str(uuid4())


def events_of(response: httpx.Response) -> list[EncodedEvent]:
    return Decoder().feed(response.content)


async def get(
    client: httpx.AsyncClient, path: str, question: str, last: str | None = None
) -> httpx.Response:
    headers = {} if last is None else {"Last-Event-ID": last}
    mark = "&" if "?" in path else "?"
    return await client.get(f"{path}{mark}question={question}", headers=headers)


@pytest.mark.parametrize("path", ["/quick", "/quick/text"])
async def test_only_the_end_has_an_id_and_it_is_unique(
    client: httpx.AsyncClient, question: str, path: str
) -> None:
    ends = []
    for _ in range(2):
        *tokens, end = events_of(await get(client, path, question))
        assert [token.id for token in tokens] == [None] * 3
        assert (end.name, bool(end.id)) == ("end", True)
        ends.append(end.id)
    assert ends[0] != ends[1]


@pytest.mark.parametrize("path", ["/quick", "/quick/text"])
async def test_a_reconnect_after_the_end_gets_204_and_calls_no_model(
    client: httpx.AsyncClient, server: Server, question: str, path: str
) -> None:
    decoder = Decoder()
    decoder.feed((await get(client, path, question)).content)
    for _ in range(3):
        response = await get(client, path, question, decoder.last_event_id)
        assert (response.status_code, response.content) == (204, b"")
    assert (await seen(server, question))["asked"] == 3


async def test_a_reconnect_after_the_end_does_not_call_the_factory(
    client: httpx.AsyncClient, server: Server, question: str
) -> None:
    *_, end = events_of(await get(client, "/paced?delay=0&count=1", question))
    before = (await vitals(server))["opened"]
    response = await get(client, "/paced?delay=0&count=1", question, end.id)
    assert response.status_code == 204
    assert (await vitals(server))["opened"] == before


async def test_a_reconnect_after_an_error_and_its_end_gets_204(
    client: httpx.AsyncClient, question: str
) -> None:
    *_, error, end = events_of(await get(client, "/faulty?fault=raises", question))
    assert error.name == "error"
    assert (await get(client, "/faulty?fault=raises", question, end.id)).status_code == 204


A_RUN = "3f0e6c2a-5d0b-4c39-9f5b-2f6c1b1f4a53"


@pytest.mark.parametrize("last", ["", "7", "end", A_RUN, f"{A_RUN}/7", f"{A_RUN}/end?"])
async def test_a_reconnect_before_the_end_gets_the_answer(
    client: httpx.AsyncClient, question: str, last: str
) -> None:
    response = await get(client, "/quick", question, last)
    assert response.status_code == 200
    assert [event.name for event in events_of(response)] == ["completion"] * 3 + ["end"]


async def test_a_post_is_answered_whatever_its_last_event_id(
    client: httpx.AsyncClient, question: str
) -> None:
    *_, end = events_of(await get(client, "/quick", question))
    headers = {"Last-Event-ID": end.id or ""}
    response = await client.post("/quick", json={"question": question}, headers=headers)
    assert [event.name for event in events_of(response)] == ["completion"] * 3 + ["end"]


async def test_heartbeats_come_between_events_and_never_within_one(
    client: httpx.AsyncClient, question: str
) -> None:
    path = "/paced?delay=0.2&count=4"
    text = (await get(client, path, question)).text
    assert text.count("\n:\n") > 4
    *blocks, rest = text.split("\n\n")
    assert rest == ""
    assert [block.lstrip(":\n").split("\n")[0] for block in blocks] == ["event: completion"] * 4 + [
        "event: end"
    ]
    for block in blocks:
        beats, _, event = block.rpartition(":\n")
        assert set(beats) <= {":", "\n"}
        assert "\n:" not in event
