"""The incoming side of a connection: passed on, bounded, and ended by a forced disconnect."""

import asyncio
from typing import Any

import pytest
from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart, websocket, wrappers

from quart_lanarky import LanarkyExtension
from quart_lanarky.transports.connection import (
    CONNECTION_KEY,
    ClientConnection,
    current_connection,
    raise_disconnect,
    refuse,
)
from tests.transports.fake_server import Stream, send

GONE = {"type": "websocket.disconnect", "code": 1006}
HELLO = {"type": "websocket.receive", "text": "hello"}


Sent = asyncio.Queue[dict[str, Any]]


@pytest.fixture
async def client() -> Sent:
    """Be what the client sends."""
    return asyncio.Queue()


async def check_that_nobody_waits() -> None:
    await asyncio.sleep(0.01)
    assert not [task for task in asyncio.all_tasks() if "Queue.get" in repr(task.get_coro())]


# -- a connection --------------------------------------------------------------------------


async def test_a_connection_passes_on_what_the_client_sends_in_its_order(client: Sent) -> None:
    connection = ClientConnection(client.get)
    messages = [{"type": "websocket.receive", "text": str(number)} for number in range(5)]
    for message in messages:
        client.put_nowait(message)
    assert [await connection.receive() for _ in messages] == messages


async def test_a_forced_disconnect_ends_a_pending_receive(
    client: Sent,
) -> None:
    connection = ClientConnection(client.get)
    waiting = asyncio.create_task(connection.receive())
    await asyncio.sleep(0)
    connection.force_disconnect()
    assert await asyncio.wait_for(waiting, 1) == GONE
    await check_that_nobody_waits()


async def test_after_a_forced_disconnect_nothing_else_is_received(client: Sent) -> None:
    connection = ClientConnection(client.get)
    connection.force_disconnect()
    connection.force_disconnect()
    client.put_nowait(HELLO)
    assert [await asyncio.wait_for(connection.receive(), 1) for _ in range(3)] == [GONE] * 3


async def test_who_gives_up_waiting_leaves_nothing_behind_and_loses_nothing(client: Sent) -> None:
    connection = ClientConnection(client.get)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.receive(), 0.01)
    await check_that_nobody_waits()
    client.put_nowait(HELLO)
    assert await connection.receive() == HELLO


async def test_what_the_server_raises_comes_through() -> None:
    async def fail() -> dict[str, Any]:
        raise OSError("broken pipe")

    with pytest.raises(OSError, match="broken pipe"):
        await ClientConnection(fail).receive()


def piece(body: bytes, more_body: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more_body}


LEFT = {"type": "http.disconnect"}


@pytest.mark.parametrize("limit", [None, 4])
async def test_a_body_that_is_not_too_large_comes_as_it_was_sent(
    client: Sent, limit: int | None
) -> None:
    connection = ClientConnection(client.get, "http")
    connection.max_body = limit
    messages = [piece(b"ab"), piece(b"cd", more_body=False), LEFT]
    for message in messages:
        client.put_nowait(message)
    assert [await connection.receive() for _ in messages] == messages
    assert not connection.body_is_too_large


async def test_a_body_that_is_too_large_ends_and_its_rest_is_discarded(
    client: Sent,
) -> None:
    connection = ClientConnection(client.get, "http")
    client.put_nowait(piece(b"ab"))
    assert await connection.receive() == piece(b"ab")
    connection.max_body = 3
    for _ in range(1000):
        client.put_nowait(piece(b"cd"))
    client.put_nowait(LEFT)
    assert await connection.receive() == piece(b"", more_body=False)
    assert connection.body_is_too_large
    assert await connection.receive() == LEFT


async def test_the_end_of_a_body_is_waited_for_kept_or_not(client: Sent) -> None:
    connection = ClientConnection(client.get, "http")
    connection.max_body = 3
    taking = asyncio.create_task(take_all(connection))
    waiting = asyncio.create_task(connection.wait_for_body(60))
    for _ in range(10):
        client.put_nowait(piece(b"cd"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    client.put_nowait(piece(b"", more_body=False))
    await asyncio.wait_for(waiting, 5)
    taking.cancel()


async def test_the_end_of_a_body_is_waited_for_only_so_long(client: Sent) -> None:
    connection = ClientConnection(client.get, "http")
    client.put_nowait(piece(b"ab"))
    await connection.receive()
    await asyncio.wait_for(connection.wait_for_body(0.05), 5)


async def test_of_a_client_that_has_left_no_body_is_waited_for(client: Sent) -> None:
    connection = ClientConnection(client.get, "http")
    client.put_nowait(LEFT)
    await connection.receive()
    await asyncio.wait_for(connection.wait_for_body(60), 5)


async def take_all(connection: ClientConnection) -> None:
    while True:
        await connection.receive()


async def test_a_forced_disconnect_of_a_request_is_one_of_http(client: Sent) -> None:
    connection = ClientConnection(client.get, "http")
    connection.force_disconnect()
    assert (await connection.receive())["type"] == "http.disconnect"


async def test_a_connection_knows_when_the_server_has_closed_it(client: Sent) -> None:
    stream = Stream(closed=False)
    connection = ClientConnection(client.get, "websocket", stream.app_send)
    assert not connection.closed_by_server
    stream.closed = True
    assert connection.closed_by_server
    for other in (send, Stream().app_send, Stream(closed="perhaps").app_send, None):
        assert not ClientConnection(client.get, "websocket", other).closed_by_server


async def test_discarding_input_takes_all_of_it_even_after_the_client_has_left(
    client: Sent,
) -> None:
    connection = ClientConnection(client.get)
    connection.discard_input()
    for message in (HELLO, HELLO, GONE, HELLO):
        client.put_nowait(message)
    await check_that_nobody_waits()
    assert client.empty()


async def test_discarding_input_of_an_ended_connection_does_not_wait(client: Sent) -> None:
    left, dead = (
        ClientConnection(client.get),
        ClientConnection(client.get, send=Stream(closed=True).app_send),
    )
    client.put_nowait(GONE)
    assert await left.receive() == GONE
    left.discard_input()
    dead.discard_input()
    await check_that_nobody_waits()


async def test_what_comes_after_the_view_is_over_is_taken() -> None:
    app = Quart(__name__)
    LanarkyExtension(app)

    @app.websocket("/ws")
    async def talk() -> None:
        await websocket.accept()

    async with app.test_client().websocket("/ws") as connection:
        for _ in range(100):
            await connection.send("hello")
    await check_that_nobody_waits()
    left = list(connection._send_queue._queue)
    assert {"type": "websocket.receive", "text": "hello"} not in left


async def test_a_request_of_an_app_with_the_extension_has_a_connection() -> None:
    app = Quart(__name__)

    @app.get("/")
    async def look() -> str:
        return type(current_connection()).__name__

    client = app.test_client()
    assert await (await client.get("/")).get_data(as_text=True) == "NoneType"
    LanarkyExtension(app)
    assert await (await client.get("/")).get_data(as_text=True) == "ClientConnection"
    async with app.app_context():
        assert current_connection() is None


async def test_a_websocket_of_an_app_with_the_extension_has_its_own_connection() -> None:
    app = Quart(__name__)
    connections: list[object] = []

    @app.websocket("/ws")
    async def look() -> None:
        connections.append(current_connection())
        await websocket.send(str(CONNECTION_KEY in websocket.scope))

    async def has_connection() -> str | bytes:
        async with app.test_client().websocket("/ws") as connection:
            return await connection.receive()

    assert await has_connection() == "False"
    LanarkyExtension(app)
    assert [await has_connection(), await has_connection()] == ["True", "True"]
    nothing, first, second = connections
    assert nothing is None
    assert isinstance(first, ClientConnection)
    assert isinstance(second, ClientConnection)
    assert first is not second


async def test_a_forced_disconnect_ends_a_view_that_waits_for_its_client() -> None:
    app = Quart(__name__)
    LanarkyExtension(app)
    ended = asyncio.Event()

    @app.websocket("/ws")
    async def wait_for_client() -> None:
        connection = current_connection()
        assert connection is not None
        asyncio.get_running_loop().call_later(0.01, connection.force_disconnect)
        try:
            await websocket.receive()
        finally:
            ended.set()

    async with asyncio.timeout(5), app.test_client().websocket("/ws"):
        await ended.wait()


def test_only_what_says_that_the_client_has_left_is_raised() -> None:
    for error in (None, ValueError(), asyncio.CancelledError(), ConnectionResetError()):
        raise_disconnect(error)
    kind = getattr(wrappers, "ClientDisconnectedError", None)
    if kind is not None:
        with pytest.raises(kind):
            raise_disconnect(kind())


@pytest.mark.parametrize("passed_on", [True, False])
def test_a_connection_knows_whether_quart_uses_the_send_of_the_server(passed_on: bool) -> None:
    async def wrapper(message: Any) -> None: ...

    connection = ClientConnection(asyncio.Queue().get, "websocket", send)
    assert connection.direct_send is None
    connection.reach_quart(send if passed_on else wrapper)
    assert connection.direct_send is (send if passed_on else None)


@pytest.mark.parametrize("is_first", [True, False])
async def test_middleware_that_copies_the_scope_may_stand_on_either_side(is_first: bool) -> None:
    app = Quart(__name__)

    @app.get("/")
    async def hello() -> str:
        return "hello"

    def put_in_front() -> None:
        app.asgi_app = ProxyFixMiddleware(app.asgi_app)  # type: ignore[method-assign]

    if is_first:
        put_in_front()
    LanarkyExtension(app)
    if not is_first:
        put_in_front()
    assert (await app.test_client().get("/")).status_code == 200


async def test_a_handshake_is_closed_where_the_server_can_send_it_no_response() -> None:
    sent: list[Any] = []

    async def note(message: Any) -> None:
        sent.append(message)

    await refuse({"type": "websocket", "extensions": None}, note)
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("forwarded", "scheme"),
    [("https", "wss"), ("http", "ws"), ("wss", "wss"), ("ws", "ws"), (None, "ws")],
)
async def test_a_websocket_whose_proxy_speaks_of_http_is_one(
    is_first: bool, forwarded: str | None, scheme: str
) -> None:
    app = Quart(__name__)

    @app.websocket("/")
    async def show() -> None:
        await websocket.send(f"{websocket.scheme} {websocket.url}")

    if is_first:
        app.asgi_app = ProxyFixMiddleware(app.asgi_app)  # type: ignore[method-assign]
    LanarkyExtension(app)
    if not is_first:
        app.asgi_app = ProxyFixMiddleware(app.asgi_app)  # type: ignore[method-assign]
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    async with app.test_client().websocket("/", headers=headers) as connection:
        assert await connection.receive() == f"{scheme} {scheme}://localhost/"
