"""Read the streams of an app in its own tests, through Quart's test client.

::

    async for event in stream(app.test_client(), "/chat", json={"question": "Hello?"}):
        ...

    async with connect(app.test_client(), "/chat/ws") as conversation:
        events = [event async for event in conversation.ask({"question": "Hello?"})]

The app runs in the process of the test, without a server. So a test shows what the app says, and
that it stops when its client leaves; it cannot show what a socket does: a slow reader, a proxy, a
shutdown.
"""

from __future__ import annotations

import asyncio
import json as json_
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from quart import Response
from quart.testing.connections import WebsocketResponseError
from quart.typing import TestClientProtocol

from .errors import LanarkyError
from .events import COMPLETION, END, PING, RETRACT
from .events.fold import Answer
from .protocols.base import EncodedEvent
from .protocols.native.encode import Mode, check_mode, decode
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

_NORMAL: Final = 1000
"""The code of a WebSocket that was closed without one."""

_GONE: Final = 1006
"""The code that a client reads when its peer went without a word."""

_SHORT: Final = 400
"""Characters of an answer that an error repeats. A page with a traceback has more."""


class RefusedError(LanarkyError):
    """The app answered a test's request with something else than a stream.

    Args:
        status_code: The status code of the answer.
        detail: What the answer says.
        errors: For each wrong field its name and what is wrong with it.
        response: The answer.
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
        code: The code that it gave, such as 1013; 1006 where it gave none.
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

    A loop that is left early hangs up, as a browser does when its tab is closed; with
    `contextlib.aclosing` around the call, the run has ended when the block has.

    Args:
        client: The app's `test_client()`; its cookies are sent.
        path: The path of the route.
        json: The inputs of the chain, for the body.
        query_string: The parameters of the factory; for a GET, the inputs beside them.
        headers: Further headers of the request.
        method: The method; by default POST where there is `json`, and GET where there is none.

    Raises:
        RefusedError: The app answered something else than a stream.
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
        while (data := await _received(connection)) is not None:
            if connection.headers.get("Content-Type") != CONTENT_TYPE:
                raise await _refusal(connection, data)
            for event in decoder.feed(data):
                yield event


@asynccontextmanager
async def connect(
    client: TestClientProtocol,
    path: str,
    *,
    query_string: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Conversation]:
    """Open a WebSocket to a chain route; it is closed, and its run ended, with the block.

    Args:
        client: The app's `test_client()`; its cookies are sent.
        path: The path of the route.
        query_string: The parameters of the factory.
        headers: Further headers of the handshake, such as `Origin`.

    Raises:
        RefusedError: At the first turn: the app did not accept the WebSocket.
    """
    connection: Any = client.websocket(
        path, headers=_headers(headers), query_string=_query(query_string)
    )
    conversation = Conversation(connection)  # before the app sends anything
    async with connection:
        yield conversation


class Conversation:
    """A WebSocket to a chain route, as `connect` gives it.

    Args:
        connection: Quart's connection, not yet entered; for what is not said here.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._unread = 0
        self._code = _GONE
        self._pass_on = connection._asgi_send  # noqa: SLF001
        connection._asgi_send = self._on_asgi_send  # noqa: SLF001

    async def ask(self, inputs: Mapping[str, Any] | str) -> AsyncGenerator[EncodedEvent, None]:
        """Send the inputs of a turn and yield its events, of which `end` is the last.

        What is left unread of earlier turns is dropped first.

        Args:
            inputs: The inputs of the chain, or a bare text where it has only one.

        Raises:
            RefusedError: The app did not accept the WebSocket.
            ClosedError: The app closed it.
        """
        while self._unread:
            async for _ in self.turn():
                pass
        await self.send(inputs)
        async for event in self.turn():
            yield event

    async def send(self, inputs: Mapping[str, Any] | str) -> None:
        """Send the inputs of a turn and do not wait: turns queue up. `turn` reads them."""
        self._unread += 1
        await self.connection.send(inputs if isinstance(inputs, str) else json_.dumps(inputs))

    async def turn(self) -> AsyncGenerator[EncodedEvent, None]:
        """Yield the events up to the next `end`. Errors are those of `ask`."""
        while True:
            event = _event_of(await self._frame())
            if event.name == END:
                self._unread -= 1
            if event.name != PING:  # about no turn
                yield event
            if event.name == END:
                return

    async def stop(self) -> None:
        """Stop the turn in progress, as a stop button does. Its `end` still comes."""
        await self.connection.send(json_.dumps(STOP))

    async def _on_asgi_send(self, message: Any) -> None:
        """Note the code with which the app closes: Quart's connection, as of 0.23, forgets it."""
        if message["type"] == "websocket.close":
            self._code = message.get("code", _NORMAL)
            await self.connection.disconnect()
        else:
            await self._pass_on(message)

    async def _frame(self) -> str:
        try:
            frame: str | None = await _received(self.connection)
        except WebsocketResponseError as refused:
            raise await _refused_by(refused.response) from None
        if frame is None:
            await self.connection._task  # raises what the app raised  # noqa: SLF001
            raise ClosedError(self._code)
        return frame


def answer_of(events: Iterable[EncodedEvent], mode: Mode = "json") -> str:
    """Return the answer that a client shows after these events.

    Args:
        events: The events of one turn; those that are about no token do not matter.
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


async def _received(connection: Any) -> Any:
    """Return what the app sent next, or None when it has ended and sent no more.

    Quart's own `receive` waits for ever when nothing more comes.
    """
    receiving = asyncio.ensure_future(connection.receive())
    try:
        await asyncio.wait(
            [receiving, connection._task],  # noqa: SLF001  # it has no other name
            return_when=asyncio.FIRST_COMPLETED,
        )
        return receiving.result() if receiving.done() else None
    finally:
        receiving.cancel()


async def _refusal(connection: Any, data: bytes) -> RefusedError:
    body = [data]
    while (more := await _received(connection)) is not None:
        body.append(more)
    return await _refused_by(Response(b"".join(body), connection.status_code, connection.headers))


async def _refused_by(response: Response) -> RefusedError:
    """Make the error out of the answer: our own JSON body, or whatever else it is."""
    text = await response.get_data(as_text=True)
    try:
        body = json_.loads(text)
    except ValueError:
        body = None
    said = body if isinstance(body, dict) else {}
    words = text if 0 < len(text) < _SHORT else HTTPStatus(response.status_code).phrase
    errors = {each["field"]: each["message"] for each in said.get("errors", [])}
    return RefusedError(response.status_code, str(said.get("detail", words)), errors, response)


def _event_of(frame: str) -> EncodedEvent:
    content = json_.loads(frame)
    name, data = content["event"], content["data"]
    return EncodedEvent(name, data if isinstance(data, str) else json_.dumps(data))


def _headers(*headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for each in headers if each for name, value in each.items()}


def _query(query_string: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if query_string is None else dict(query_string)
