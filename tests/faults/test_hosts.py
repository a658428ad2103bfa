"""A page whose name its owner points to this machine (DNS rebinding) can ask nothing."""

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.clients import vitals
from tests.faults.frames import frame_socket
from tests.servers import Server, served

APP = "tests.faults.app:app"
QUESTION = {"question": "x"}
PATH = "/paced?delay=0&count=1"
SOCKET = "/paced/ws?delay=0&count=1"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve an app that knows its host."""
    hosts = json.dumps(["chat.example.org"])
    with served(APP, tmp_path_factory.mktemp("hosts"), QUART_LANARKY_ALLOWED_HOSTS=hosts) as server:
        yield server


async def statuses(server: Server, host: str) -> set[int]:
    """Ask in all ways, as a page of `host` would, and return the statuses of the answers."""
    names = {"Host": host, "Origin": f"http://{host}"}
    # Hypercorn may close a connection whose body it was not asked for, as the client uses it again.
    headers = {**names, "Connection": "close"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as client:
        answers = [
            await client.post(PATH, json=QUESTION),
            await client.get(f"{PATH}&question=x"),
            await client.head(PATH),
        ]
    async with frame_socket(server, SOCKET, **names) as socket:
        handshake = int(socket.answer.split()[1])
    return {*(answer.status_code for answer in answers), 200 if handshake == 101 else handshake}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"]
)
async def test_a_page_of_a_name_that_points_here_is_refused(either: Server, host: str) -> None:
    before = (await vitals(either))["opened"]
    assert await statuses(either, f"{host}:{either.port}") == {400}
    assert (await vitals(either))["opened"] == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "app.localhost"])
async def test_a_page_of_this_machine_is_let_in(either: Server, host: str) -> None:
    assert await statuses(either, f"{host}:{either.port}") == {200}


@pytest.mark.parametrize("host", ["chat.example.org", "chat.example.org:8443"])
async def test_what_a_proxy_on_this_machine_passes_on_is_let_in(either: Server, host: str) -> None:
    assert await statuses(either, host) == {200}


async def test_an_app_that_knows_its_hosts_answers_for_no_other(named: Server) -> None:
    for host in ("chat.example.org", f"chat.example.org:{named.port}"):
        assert await statuses(named, host) == {200}
    for host in ("evil.example", "example.org", f"127.0.0.1:{named.port}", "localhost"):
        assert await statuses(named, host) == {400}


async def test_the_refusal_is_json_and_names_the_host(named: Server) -> None:
    answer = httpx.post(named.url + PATH, json=QUESTION, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"status_code": 400, "detail": "there is no host 'evil.example' here"},
    )
