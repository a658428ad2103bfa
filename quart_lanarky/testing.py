"""Read the streams of an app in its tests, through Quart's test client.

::

    async for event in stream(app.test_client(), "/chat", json={"question": "Hello?"}):
        ...

    async with connect(app.test_client(), "/chat/ws") as conversation:
        events = [event async for event in conversation.ask({"question": "Hello?"})]

The app runs in the process of the test, without a server. Such a test shows what the app sends, and
that a run ends when its client disconnects; it cannot show what needs a socket: a slow reader, a
proxy, a shutdown.
"""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final
from urllib.request import Request

from quart import Response
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol

from .errors import LanarkyError
from .events import COMPLETION, END, PING, RETRACT
from .events.fold import Answer
from .protocols.base import EncodedEvent
from .protocols.native.encode import Mode, check_mode, decode, decode_frame
from .protocols.native.requests import STOP
from .protocols.sse import CONTENT_TYPE, Decoder

__all__ = [
    "ClosedError",
    "Conversation",
    "EncodedEvent",
    "RefusedError",
    "answer_of",
    "connect",
    "stream",
]

_NORMAL_CLOSURE: Final = 1000
"""The close code if the app closes without one."""

_ABNORMAL_CLOSURE: Final = 1006
"""The close code of a client whose peer disconnected without a close frame."""

_MAX_DETAIL: Final = 400
"""Texts of so many characters or more are not repeated in an error: HTML pages are long."""


class RefusedError(LanarkyError):
    """The app responded to a test's request with something other than a stream.

    Args:
        status_code: The status code of the response.
        detail: The reason in the response.
        errors: The error of each invalid field, by name.
        response: The response.
    """

    def __init__(
        self, status_code: int, detail: str, errors: dict[str, str], response: Response
    ) -> None:
        self.status_code = status_code
        self.detail = detail
        self.errors = errors
        self.response = response
        super().__init__(f"the app answered with status {status_code}: {detail}")


class ClosedError(LanarkyError):
    """The app closed the WebSocket of a test.

    Args:
        code: The close code, such as 1013; 1006 if the app ended without closing.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"the app closed the WebSocket with code {code}")


async def stream(
    client: TestClientProtocol,
    path: str,
    *,
    json: Any = None,
    query_string: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
) -> AsyncGenerator[EncodedEvent, None]:
    """Ask a chain route over HTTP and yield its events as the app sends them.

    Leaving the loop early disconnects, as a browser does when its tab is closed; with
    `contextlib.aclosing` around the call, the run has ended when the block ends.

    Args:
        client: The app's `test_client()`; its cookies are sent, and it stores those of the answer.
        path: The path of the route.
        json: The inputs of the chain, sent as the body.
        query_string: The parameters of the factory; for a GET, also the inputs.
        headers: Additional headers of the request.
        method: The HTTP method; by default POST with `json`, and GET without.

    Raises:
        RefusedError: The app responded with something other than a stream.
    """
    sent = b"" if json is None else json_.dumps(json).encode()
    connection: Any = client.request(
        path,
        method=method or ("GET" if json is None else "POST"),
        headers=_headers(headers, {"Content-Type": "application/json"} if sent else {}),
        query_string=_query(query_string),
    )
    decoder = Decoder()
    async with connection:
        await connection.send(sent)
        await connection.send_complete()
        data = await _receive(connection)
        _store_cookies(client, connection)
        while data is not None:
            if connection.headers.get("Content-Type") != CONTENT_TYPE:
                raise await _read_refusal(connection, data)
            for event in decoder.feed(data):
                yield event
            data = await _receive(connection)


@asynccontextmanager
async def connect(
    client: TestClientProtocol,
    path: str,
    *,
    query_string: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Conversation]:
    """Open a WebSocket to a chain route; it is closed, and its run has ended, after the block.

    Args:
        client: The app's `test_client()`; its cookies are sent.
        path: The path of the route.
        query_string: The parameters of the factory.
        headers: Additional headers of the handshake, such as `Origin`.

    Raises:
        RefusedError: The app did not accept the WebSocket; raised at the first turn.
    """
    connection: Any = client.websocket(
        path, headers=_headers(headers), query_string=_query(query_string)
    )
    conversation = Conversation(connection)  # patches the connection before the app sends
    async with connection:
        yield conversation


class Conversation:
    """A WebSocket to a chain route, as `connect` yields it.

    Args:
        connection: Quart's test connection, not yet entered; also for direct use.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._unread_turns = 0
        self._close_code = _ABNORMAL_CLOSURE
        self._forward = connection._asgi_send  # noqa: SLF001
        connection._asgi_send = self._on_asgi_send  # noqa: SLF001

    async def ask(self, inputs: Mapping[str, Any] | str) -> AsyncGenerator[EncodedEvent, None]:
        """Send the inputs of a turn and yield its events, of which `end` is the last.

        Unread events of earlier turns are discarded first.

        Args:
            inputs: The inputs of the chain, or a bare text if it has only one.

        Raises:
            RefusedError: The app did not accept the WebSocket.
            ClosedError: The app closed it.
        """
        while self._unread_turns:
            async for _ in self.turn():
                pass
        await self.send(inputs)
        async for event in self.turn():
            yield event

    async def send(self, inputs: Mapping[str, Any] | str) -> None:
        """Send the inputs of a turn without reading its events; turns are queued. See `turn`."""
        self._unread_turns += 1
        await self.connection.send(inputs if isinstance(inputs, str) else json_.dumps(inputs))

    async def turn(self) -> AsyncGenerator[EncodedEvent, None]:
        """Yield the events up to the next `end`. Raises the same errors as `ask`."""
        while True:
            event = decode_frame(await self._frame())
            if event.name == END:
                self._unread_turns -= 1
            if event.name != PING:  # belongs to no turn
                yield event
            if event.name == END:
                return

    async def stop(self) -> None:
        """Stop the turn in progress, as a stop button does. Its `end` is still sent."""
        await self.connection.send(json_.dumps(STOP))

    async def _on_asgi_send(self, message: Any) -> None:
        """Record the app's close code, which Quart's test connection, as of 0.23, discards."""
        if message["type"] == "websocket.close":
            self._close_code = message.get("code", _NORMAL_CLOSURE)
            await self.connection.disconnect()
        else:
            await self._forward(message)

    async def _frame(self) -> str:
        try:
            frame: str | None = await _receive(self.connection)
        except WebsocketResponseError as refused:
            raise await _refused_error(refused.response) from None
        if frame is None:
            await self.connection._task  # re-raises the app's exception  # noqa: SLF001
            raise ClosedError(self._close_code)
        return frame


def answer_of(events: Iterable[EncodedEvent], mode: Mode = "json") -> str:
    """Return the answer that a client shows after these events.

    Args:
        events: The events of one turn; those without tokens are ignored.
        mode: The mode of the route.

    Raises:
        ConfigurationError: There is no such mode.
    """
    check_mode(mode)
    answer = Answer()
    for event in events:
        if event.name in (COMPLETION, RETRACT):
            answer.add(decode(event, mode))
    return answer.text


async def _receive(connection: Any) -> Any:
    """Return what the app sends next, or None if it has ended without sending more.

    Quart's own `receive` waits forever if nothing more is sent.
    """
    receiving = asyncio.ensure_future(connection.receive())
    try:
        await asyncio.wait(
            [receiving, connection._task],  # noqa: SLF001  # there is no public API
            return_when=asyncio.FIRST_COMPLETED,
        )
        return receiving.result() if receiving.done() else None
    finally:
        receiving.cancel()


def _store_cookies(client: Any, connection: Any) -> None:
    """Store the cookies of a response in its client, as Quart does for its own requests."""
    if client.cookie_jar is None or connection.headers is None:
        return
    headers = Message()
    for cookie in connection.headers.getlist("Set-Cookie"):
        headers["Set-Cookie"] = cookie
    host = dict(connection.scope["headers"])[b"host"].decode()
    request = Request(f"http://{host}{connection.scope['path']}")
    client.cookie_jar.extract_cookies(SimpleNamespace(info=lambda: headers), request)


async def _read_refusal(connection: Any, data: bytes) -> RefusedError:
    body = [data]
    while (more := await _receive(connection)) is not None:
        body.append(more)
    return await _refused_error(
        Response(b"".join(body), connection.status_code, connection.headers)
    )


async def _refused_error(response: Response) -> RefusedError:
    """Make the error from a response: our own JSON body, or anything else."""
    text = await response.get_data(as_text=True)
    try:
        body = json_.loads(text)
    except ValueError:
        body = None
    fields = body if isinstance(body, dict) else {}
    fallback = text if 0 < len(text) < _MAX_DETAIL else HTTPStatus(response.status_code).phrase
    errors = _field_errors(fields.get("errors"))
    return RefusedError(response.status_code, str(fields.get("detail", fallback)), errors, response)


def _field_errors(errors: Any) -> dict[str, str]:
    """Return what the JSON body of an error says of fields; an app's own body may say anything."""
    entries = errors if isinstance(errors, list) else []
    named = [
        each for each in entries if isinstance(each, dict) and {"field", "message"} <= each.keys()
    ]
    return {str(each["field"]): str(each["message"]) for each in named}


def _headers(*headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for each in headers if each for name, value in each.items()}


def _query(query_string: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if query_string is None else dict(query_string)
