"""Guards: who may ask, how much they may send, how long they may keep a request waiting."""

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quart import Quart, request

from quart_lanarky import LanarkyExtension
from quart_lanarky.errors import DisallowedHostError, ForeignOriginError, TooSlowError
from quart_lanarky.events import end_id
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.transports import guards
from quart_lanarky.transports.guards import (
    check_host,
    check_origin,
    is_finished_reconnect,
    limit_body,
    read_json,
    setup_timeout,
)


def is_let_in(headers: dict[str, str], allowed: list[str] | None = None) -> bool:
    asking: Any = SimpleNamespace(headers=headers)
    try:
        check_origin(asking, allowed or [])
    except ForeignOriginError:
        return False
    return True


# -- who asks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://example.org", "example.org"),
        ("http://example.org", "example.org:80"),
        ("http://example.org:80", "example.org"),
        ("https://example.org", "example.org"),
        ("https://example.org", "example.org:443"),
        ("https://example.org:443", "example.org"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://LocalHost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://[::1]", "[::1]:80"),
        ("https://127.0.0.1:8443", "127.0.0.1:8443"),
    ],
)
def test_a_page_of_the_same_host_is_let_in(origin: str, host: str) -> None:
    assert is_let_in({"Origin": origin, "Host": host})


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "example.org"),
        ("https://example.org.evil.example", "example.org"),
        ("https://evil.example", "example.org.evil.example"),
        ("https://sub.example.org", "example.org"),
        ("https://notexample.org", "example.org"),
        ("http://example.org@evil.example", "example.org"),
        ("http://evil.example/example.org", "example.org"),
        ("http://evil.example?://example.org", "example.org"),
        ("http://localhost:3000", "localhost:8000"),
        ("http://localhost", "localhost:8000"),
        ("https://example.org", "example.org:80"),
        ("http://example.org:443", "example.org"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::2]:8000"),
    ],
)
def test_a_page_of_another_host_or_port_is_refused(origin: str, host: str) -> None:
    assert not is_let_in({"Origin": origin, "Host": host})


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "example.org", "//example.org", "//evil.example", "://", "http://", "http:"),
        *(
            "http://[::1",
            "http://example.org:port",
            "http://example.org:99999",
            "x//y://z",
            "app://example.org",
        ),
        *("file://", "//evil.example://example.org", "http:example.org", "http://ex\u2100mple.org"),
    ],
)
@pytest.mark.parametrize("host", ["example.org", "", "evil", "[", "null"])
def test_what_is_no_origin_of_a_page_here_is_refused(origin: str, host: str) -> None:
    assert not is_let_in({"Origin": origin, "Host": host})


def test_a_request_without_a_host_is_no_pages_own() -> None:
    assert not is_let_in({"Origin": "http://example.org"})


HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
PORTS = st.sampled_from(["", ":80", ":443", ":8000"])


@given(st.sampled_from(["http", "https"]), HOSTS, PORTS, HOSTS, PORTS)
def test_the_host_and_the_port_decide(
    scheme: str, theirs: str, their_port: str, ours: str, our_port: str
) -> None:
    default = ":80" if scheme == "http" else ":443"
    same = (theirs, their_port or default) == (ours, our_port or default)
    headers = {"Origin": f"{scheme}://{theirs}{their_port}", "Host": f"{ours}{our_port}"}
    assert is_let_in(headers) is same


@given(st.text(), st.text())
def test_garbage_is_refused_and_breaks_nothing(origin: str, host: str) -> None:
    assert is_let_in({"Origin": origin, "Host": host}) is False
    assert is_let_in({"Origin": f"http://{origin}", "Host": "example.org"}) is False


@pytest.mark.parametrize("site", ["same-origin", "none"])
@pytest.mark.parametrize("referer", [None, "http://example.org/", "http://elsewhere.example/"])
def test_without_an_origin_a_browser_is_let_in_that_asks_for_a_page_here_or_for_its_user(
    site: str, referer: str | None
) -> None:
    """`Referer` names a development server that passes on what its pages send."""
    named = {"Referer": referer} if referer else {}
    assert is_let_in({"Host": "example.org", "Sec-Fetch-Site": site, **named})


@pytest.mark.parametrize("site", ["same-site", "cross-site", "", "Same-Origin", "new-value"])
@pytest.mark.parametrize("referer", [None, "http://example.org/", "https://friend.example/"])
def test_without_an_origin_a_browser_is_refused_that_asks_for_a_page_elsewhere(
    site: str, referer: str | None
) -> None:
    """`Referer` still names an allowed page when another site redirects its image."""
    named = {"Referer": referer} if referer else {}
    headers = {"Host": "example.org", "Sec-Fetch-Site": site, **named}
    assert not is_let_in(headers, ["https://friend.example"])


@pytest.mark.parametrize(
    "referer",
    [
        "http://example.org/",
        "https://example.org",
        "http://example.org:80/page?from=http://evil.example/#top",
        "https://friend.example/a/b",
        "https://friend.example?x",
        None,
    ],
)
def test_over_plain_http_a_referer_of_this_host_or_of_an_allowed_origin_is_let_in(
    referer: str | None,
) -> None:
    named = {"Referer": referer} if referer else {}
    assert is_let_in({"Host": "example.org", **named}, ["https://friend.example"])


@pytest.mark.parametrize(
    "referer",
    [
        *("http://evil.example/", "http://evil.example?http://example.org/", "evil.example", ""),
        *("http://evil.example\\@example.org", "http://evil.example#@example.org", "about:blank"),
        *("http://example.org@evil.example/", "http://example.org:8000/", "http://friend.example/"),
        *("https://friend.example.evil.example/", "https://friend.example:8443/", "http://[/"),
    ],
)
def test_over_plain_http_a_referer_of_another_page_is_refused(referer: str) -> None:
    headers = {"Host": "example.org", "Referer": referer}
    assert not is_let_in(headers, ["https://friend.example"])


def test_an_origin_decides_whatever_else_is_said() -> None:
    own = {"Host": "example.org", "Origin": "http://example.org"}
    other = {"Host": "example.org", "Origin": "http://evil.example"}
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Referer": "http://evil.example/"}):
        assert is_let_in(own | headers)
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Referer": "http://example.org/"}):
        assert not is_let_in(other | headers)


FOREIGN = {"Origin": "https://chat.example.org", "Host": "api.example.org"}


def test_other_origins_may_be_allowed() -> None:
    assert is_let_in(FOREIGN, ["https://other.example", "https://chat.example.org"])
    for other in ("https://chat.example.org:444", "http://chat.example.org", "chat.example.org"):
        assert not is_let_in(FOREIGN, [other])


def test_all_origins_may_be_allowed() -> None:
    referer = {"Referer": "http://evil.example/", "Host": "example.org"}
    for headers in (FOREIGN, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, referer):
        assert is_let_in(headers, ["*"])
        assert not is_let_in(headers, ["https://other.example"])


def test_pages_of_the_same_host_are_let_in_whichever_others_are() -> None:
    headers = {"Origin": "https://example.org", "Host": "example.org"}
    assert is_let_in(headers, ["https://other.example"])


@pytest.mark.parametrize(
    ("headers", "whose"),
    [
        (FOREIGN, "https://chat.example.org"),
        ({"Sec-Fetch-Site": "cross-site"}, "another origin"),
        ({"Referer": "http://evil.example/secret", "Host": "example.org"}, "http://evil.example"),
    ],
)
def test_the_refusal_says_whose_page_it_was(headers: dict[str, str], whose: str) -> None:
    asking: Any = SimpleNamespace(headers=headers)
    with pytest.raises(ForeignOriginError, match=f"pages of {whose} may not ask here"):
        check_origin(asking, [])


def test_the_refusal_does_not_repeat_an_origin_at_length() -> None:
    asking: Any = SimpleNamespace(headers={"Origin": "x" * 60_000, "Host": "example.org"})
    with pytest.raises(ForeignOriginError) as refused:
        check_origin(asking, [])
    assert len(refused.value.detail) < 150


# -- for which host ------------------------------------------------------------------------


def is_host_let_in(
    host: str | None,
    allowed: list[str] | None = None,
    server: tuple[str, int | None] | None = ("127.0.0.1", 8000),
    scheme: str = "http",
) -> bool:
    headers = {} if host is None else {"Host": host}
    asking: Any = SimpleNamespace(headers=headers, scope={"server": server}, scheme=scheme)
    try:
        check_host(asking, allowed or [])
    except DisallowedHostError:
        return False
    return True


LOCAL = [
    *("127.0.0.1:8000", "localhost:8000", "LocalHost:8000", "localhost.:8000", "[::1]:8000"),
    *("app.localhost:8000", "127.0.0.2:8000", "0.0.0.0:8000", "192.168.1.5:8000"),
]
REBOUND = [
    *("evil.example:8000", "localhost.evil.example:8000", "evil-localhost:8000", "localhosts:8000"),
    *("127.0.0.1.evil.example:8000", "127.0.0.1.nip.io:8000", "evil.example.:8000", "1.2.3:8000"),
]
PROXIED = [
    "chat.example.org",
    "chat.example.org:8443",
    "127.0.0.1",
    "localhost:9000",
    "",
    "[",
    None,
]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"])
def test_what_a_browser_of_this_machine_sends_here_names_a_loopback_host(address: str) -> None:
    for host in [*LOCAL, *PROXIED]:
        assert is_host_let_in(host, server=(address, 8000)), host
    for host in REBOUND:
        assert not is_host_let_in(host, server=(address, 8000)), host


@pytest.mark.parametrize(
    "server", [("192.168.1.5", 8000), ("10.0.0.1", 8000), ("/run/app.sock", None), None]
)
def test_elsewhere_any_host_is_let_in(server: tuple[str, int | None] | None) -> None:
    for host in [*LOCAL, *REBOUND, *PROXIED]:
        assert is_host_let_in(host, server=server), host


@pytest.mark.parametrize(
    ("scheme", "port"), [("http", 80), ("ws", 80), ("https", 443), ("wss", 443), ("ftp", 80)]
)
def test_a_host_without_a_port_names_that_of_the_scheme(scheme: str, port: int) -> None:
    assert not is_host_let_in("evil.example", server=("127.0.0.1", port), scheme=scheme)
    assert is_host_let_in("localhost", server=("127.0.0.1", port), scheme=scheme)
    assert is_host_let_in("evil.example", server=("127.0.0.1", port + 1), scheme=scheme)


@pytest.mark.parametrize("server", [("127.0.0.1", 8000), ("10.0.0.1", 8000), None])
def test_only_the_allowed_hosts_are_let_in_with_any_port(server: tuple[str, int] | None) -> None:
    allowed = ["chat.example.org", "*.Example.com", "127.0.0.1", "[::1]"]
    for host in ("chat.example.org", "Chat.Example.org:8000", "chat.example.org.", "a.example.com"):
        assert is_host_let_in(host, allowed, server), host
    for host in ("a.b.example.com:99", "127.0.0.1:8000", "[::1]:8000", "[::1]"):
        assert is_host_let_in(host, allowed, server), host
    for host in ("localhost:8000", "example.com", "example.org", "evilexample.com", "", "[", None):
        assert not is_host_let_in(host, allowed, server), host


def test_any_host_may_be_allowed() -> None:
    for host in [*LOCAL, *REBOUND, *PROXIED]:
        assert is_host_let_in(host, ["*"])


@given(st.text())
def test_a_host_of_garbage_breaks_nothing(host: str) -> None:
    assert not is_host_let_in(host, ["chat.example.org"])
    assert is_host_let_in(host, server=None)


def test_the_refusal_of_a_host_is_short_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    asking: Any = SimpleNamespace(headers={"Host": "x\n" * 30_000}, scope={}, scheme="http")
    with pytest.raises(DisallowedHostError, match=r"there is no host 'x.* here") as refused:
        check_host(asking, ["example.org"])
    assert len(refused.value.detail) < 250
    assert "list it in QUART_LANARKY_ALLOWED_HOSTS" in caplog.text
    assert "\n" not in caplog.messages[0]


# -- whether it was asked before -----------------------------------------------------------


@pytest.mark.parametrize("path", ["end", "", "/END", "1"])
def test_only_the_id_of_an_end_says_that_a_stream_was_read_to_it(path: str) -> None:
    run = Run(EventStream(), lambda: asyncio.sleep(0))
    for headers, was_read in (
        ({}, False),
        ({"Last-Event-ID": path}, False),
        ({"Last-Event-ID": f"{run.id}/{path}"}, path == "end"),
        ({"Last-Event-ID": end_id(run.id)}, True),
    ):
        asking: Any = SimpleNamespace(headers=headers)
        assert is_finished_reconnect(asking) is was_read


# -- how much ------------------------------------------------------------------------------

LIMIT = 100
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Quart:
    monkeypatch.setattr(guards, "REJECTED_BODY_TIMEOUT", 0.02)
    app = Quart(__name__)
    LanarkyExtension(app)

    @app.post("/")
    async def show() -> str:
        limit_body(LIMIT)
        body = await read_json(LIMIT)
        return body.decode() if isinstance(body, bytes) else body

    return app


async def answer_to(
    app: Quart, *pieces: bytes, length: int | None = None, is_complete: bool = True
) -> tuple[int, bytes]:
    """Send a body in pieces, with a Content-Length or without, and return the answer."""
    headers = JSON if length is None else {**JSON, "Content-Length": str(length)}
    connection: Any = app.test_client().request("/", method="POST", headers=headers)
    async with asyncio.timeout(5), connection:
        for piece in pieces:
            await connection.send(piece)
        if is_complete:
            await connection.send_complete()
    response = await connection.as_response()
    return response.status_code, await response.get_data(as_text=False)


@pytest.mark.parametrize("size", [0, 1, LIMIT - 1, LIMIT])
@pytest.mark.parametrize("says_its_length", [True, False])
async def test_a_body_up_to_the_limit_is_read(app: Quart, size: int, says_its_length: bool) -> None:
    body = size * b"a"
    status, answer = await answer_to(app, body, length=size if says_its_length else None)
    assert (status, answer) == (200, body)


async def test_a_body_that_says_that_it_is_too_long_is_refused_unread(app: Quart) -> None:
    status, answer = await answer_to(app, length=LIMIT + 1, is_complete=False)
    assert status == 413
    assert b"send no more than 100 bytes" in answer


async def test_a_body_of_unknown_length_that_is_too_long_is_refused(app: Quart) -> None:
    status, answer = await answer_to(app, LIMIT * b"a", b"a")
    assert status == 413
    assert b"send no more than 100 bytes" in answer


async def test_a_body_that_does_not_end_is_refused_as_soon_as_it_is_too_long(app: Quart) -> None:
    status, _ = await answer_to(app, LIMIT * b"a", b"a", is_complete=False)
    assert status == 413


async def test_a_body_that_is_too_long_is_refused_where_nothing_else_bounds_it() -> None:
    app = Quart(__name__)
    app.add_url_rule("/", "read", partial(read_json, LIMIT), methods=["POST"])
    assert (await answer_to(app, LIMIT * b"a"))[0] == 200
    assert (await answer_to(app, LIMIT * b"a", b"a"))[0] == 413


async def test_a_body_that_the_app_has_read_before_is_read_again(app: Quart) -> None:
    @app.before_request
    async def look() -> None:
        await request.get_data()

    assert await answer_to(app, b"{", b"}") == (200, b"{}")


@pytest.mark.parametrize("says_its_length", [True, False])
async def test_the_apps_own_limit_holds_where_it_is_smaller(
    app: Quart, says_its_length: bool
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 10
    status, answer = await answer_to(app, 11 * b"a", length=11 if says_its_length else None)
    assert status == 413
    assert b"send no more than 10 bytes" in answer
    assert (await answer_to(app, 10 * b"a"))[0] == 200


@pytest.mark.parametrize("own", [None, 1000])
async def test_our_limit_holds_where_the_apps_own_is_larger_or_none(
    app: Quart, own: int | None
) -> None:
    app.config["MAX_CONTENT_LENGTH"] = own
    assert (await answer_to(app, (LIMIT + 1) * b"a"))[0] == 413


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        *(("application/json", 200), ("application/json; charset=utf-8", 200)),
        *(("application/vnd.api+json", 200), ("text/plain", 400), ("", 400)),
        *(("application/x-www-form-urlencoded", 400), ("text/plain; application/json", 400)),
    ],
)
async def test_only_json_is_read_for_a_browser_asks_before_it_sends_that_elsewhere(
    app: Quart, content_type: str, status: int
) -> None:
    headers = {"Content-Type": content_type}
    response = await app.test_client().post("/", data=b"{}", headers=headers)
    assert response.status_code == status
    if status == 400:
        assert "Content-Type: application/json" in (await response.get_json())["detail"]


# -- how long ------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_what_is_ready_in_time_is_left_alone(seconds: float | None) -> None:
    async with setup_timeout(seconds):
        await asyncio.sleep(0)


async def test_what_is_not_ready_in_time_is_a_504() -> None:
    with pytest.raises(TooSlowError, match=r"not ready within 0\.02 seconds") as slow:
        async with setup_timeout(0.02):
            await asyncio.Event().wait()
    assert slow.value.get_response().status_code == 504


@pytest.mark.parametrize("seconds", [None, 60.0])
async def test_a_timeout_of_somebody_else_is_not_ours(seconds: float | None) -> None:
    with pytest.raises(TimeoutError):
        async with setup_timeout(seconds):
            raise TimeoutError
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02), setup_timeout(seconds):
            await asyncio.sleep(60)


async def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError):
        async with setup_timeout(1):
            raise ZeroDivisionError
