"""A page of another site can start no run, neither over a WebSocket nor by a GET."""

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.faults.clients import vitals
from tests.faults.frames import QUESTION, frame, frame_socket
from tests.servers import Server, served

FRIEND = "https://chat.example.org"

PATH = "/paced?delay=0&count=1"
SOCKET = "/paced/ws?delay=0&count=1"

APP = "tests.faults.app:app"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app as it is by default."""
    with served(APP, tmp_path_factory.mktemp("origins")) as server:
        yield server


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app to the pages of one other site as well."""
    allowed = json.dumps([FRIEND])
    folder = tmp_path_factory.mktemp("origins")
    with served(APP, folder, QUART_LANARKY_ALLOWED_ORIGINS=allowed) as server:
        yield server


@pytest.fixture(scope="module")
def open_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the app to the pages of all origins."""
    folder = tmp_path_factory.mktemp("origins")
    with served(APP, folder, QUART_LANARKY_ALLOWED_ORIGINS='["*"]') as server:
        yield server


OWN = [
    {"Host": "chat.example.org", "Origin": "https://chat.example.org"},
    {"Host": "chat.example.org", "Origin": "http://chat.example.org"},  # TLS ends at the proxy
    {"Host": "chat.example.org:443", "Origin": "https://chat.example.org"},
    {"Host": "chat.example.org:80", "Origin": "http://chat.example.org"},
    {"Host": "chat.example.org:8443", "Origin": "https://chat.example.org:8443"},
    {"Host": "Chat.Example.org", "Origin": "https://chat.example.org"},
    {"Host": "[::1]:5000", "Origin": "http://[::1]:5000"},
]

FOREIGN = [
    "https://evil.example",
    "https://chat.example.org.evil.example",
    "https://evil-chat.example.org",
    "https://example.org",
    "https://sub.chat.example.org",
    "https://chat.example.org:8443",
    "https://chat.example.org@evil.example",
    "http://127.0.0.1",
    "http://localhost",
    "null",
    "",
    "chat.example.org",
    "https://",
    "https://chat.example.org:port",
    "https://chat.example.org:99999",
    "https://[chat.example.org",
    "file://",
    "chrome-extension://chat.example.org.evil",
    "https://chat.example.org https://evil.example",
]


def where(headers: dict[str, str]) -> str:
    return f"{headers['Origin']} at {headers['Host']}"


# -- WebSockets ----------------------------------------------------------------------------


async def status_of_handshake(server: Server, **headers: str) -> int:
    async with frame_socket(server, SOCKET, **headers) as client:
        return int(client.answer.split()[1])


@pytest.mark.parametrize("headers", OWN, ids=where)
async def test_the_apps_own_page_may_open_a_websocket(
    strict: Server, headers: dict[str, str]
) -> None:
    assert await status_of_handshake(strict, **headers) == 101


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_cross_origin_page_may_not_open_a_websocket(strict: Server, origin: str) -> None:
    assert await status_of_handshake(strict, Host="chat.example.org", Origin=origin) == 403


async def test_the_refusal_is_an_http_response_before_the_factory_is_called(
    strict: Server,
) -> None:
    before = (await vitals(strict))["opened"]
    async with frame_socket(strict, SOCKET, Origin="https://evil.example") as client:
        head = client.answer.lower()
        body = await client.reader.read(1000)
    assert head.startswith("http/1.1 403")
    assert "content-type: application/json" in head
    assert "sec-websocket-accept" not in head
    assert json.loads(body) == {
        "status_code": 403,
        "detail": "pages of https://evil.example may not ask here",
    }
    assert (await vitals(strict))["opened"] == before


async def test_a_client_without_an_origin_may_open_a_websocket(strict: Server) -> None:
    assert await status_of_handshake(strict) == 101


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (FRIEND, 101),
        ("http://chat.example.org", 403),
        ("https://chat.example.org:444", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
async def test_a_page_of_an_allowed_origin_may_open_a_websocket(
    friendly: Server, origin: str, expected: int
) -> None:
    assert await status_of_handshake(friendly, Origin=origin) == expected


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://[broken"])
async def test_with_a_wildcard_every_page_may_open_a_websocket(open_: Server, origin: str) -> None:
    assert await status_of_handshake(open_, Origin=origin) == 101


async def test_a_subprotocol_that_the_app_does_not_offer_is_not_accepted(
    strict: Server,
) -> None:
    offer = {"Sec_WebSocket_Protocol": "graphql-ws, chat"}
    async with frame_socket(strict, SOCKET, **offer) as client:
        assert "sec-websocket-protocol" not in client.answer.lower()
        await client.send(frame(QUESTION))
        assert json.loads((await client.receive())[1])["event"] == "completion"


# -- HTTP ----------------------------------------------------------------------------------


@pytest.fixture
async def client(strict: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=strict.url, verify=False) as client:
        yield client


async def get(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.get(f"{PATH}&question=x", headers=named)


@pytest.mark.parametrize("headers", OWN, ids=where)
async def test_the_apps_own_page_may_get_an_answer(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await get(client, **headers)).status_code == 200


@pytest.mark.parametrize("origin", FOREIGN)
async def test_a_cross_origin_page_may_not_get_an_answer(
    client: httpx.AsyncClient, origin: str
) -> None:
    response = await get(client, Host="chat.example.org", Origin=origin)
    assert response.status_code == 403
    assert response.json()["status_code"] == 403


@pytest.mark.parametrize(
    ("site", "expected"),
    [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)],
)
async def test_without_an_origin_sec_fetch_site_decides(
    client: httpx.AsyncClient, site: str, expected: int
) -> None:
    assert (await get(client, Sec_Fetch_Site=site)).status_code == expected


@pytest.mark.parametrize(
    ("referer", "expected"),
    [("http://evil.example/page", 403), ("http://chat.example.org/page", 200)],
)
async def test_over_plain_http_the_referer_decides(
    client: httpx.AsyncClient, referer: str, expected: int
) -> None:
    response = await get(client, Host="chat.example.org", Referer=referer)
    assert response.status_code == expected


async def test_a_refused_get_does_not_call_the_factory(
    client: httpx.AsyncClient, strict: Server
) -> None:
    before = (await vitals(strict))["opened"]
    await get(client, Origin="https://evil.example")
    await get(client, Sec_Fetch_Site="same-site")
    await get(client, Referer="http://evil.example/")
    assert (await vitals(strict))["opened"] == before


async def test_a_client_without_an_origin_may_get_an_answer(client: httpx.AsyncClient) -> None:
    assert (await get(client)).status_code == 200


async def test_a_post_is_answered_whatever_its_origin(client: httpx.AsyncClient) -> None:
    """A browser sends a preflight before a page of another origin may send JSON."""
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    response = await client.post(PATH, json={"question": "x"}, headers=foreign)
    assert response.status_code == 200


async def test_a_preflight_of_another_origin_gets_no_cors_headers(
    client: httpx.AsyncClient,
) -> None:
    preflight = {
        "Origin": "https://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    response = await client.options("/paced", headers=preflight)
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "",
    ],
)
async def test_a_post_that_needs_no_preflight_is_refused(
    client: httpx.AsyncClient, strict: Server, kind: str
) -> None:
    before = (await vitals(strict))["opened"]
    headers = {"Content-Type": kind, "Origin": "https://evil.example"}
    response = await client.post(PATH, content='{"question": "x"}', headers=headers)
    assert response.status_code == 400
    assert (await vitals(strict))["opened"] == before
