"""The incoming side of a connection, between the server and Quart.

Two things that long streams need and no framework passes on: to end a WebSocket whose client does
not answer the server's close, and to bound a body while it arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from quart import has_request_context, has_websocket_context, request, websocket, wrappers

from ..runs.cancellation import CancelGroup, WaitCancelledError
from .hypercorn import has_closed

__all__ = [
    "CONNECTION_KEY",
    "ClientConnection",
    "current_connection",
    "raise_disconnect",
    "refuse",
    "unwrap_proxy",
    "wrap_websocket_class",
]

_DISCONNECT: Final[type[Exception] | None] = getattr(wrappers, "ClientDisconnectedError", None)
"""What Quart raises where the client has left, from 0.23 on. Before, it only cancels."""

CONNECTION_KEY: Final = "quart_lanarky.connection"
"""The key in the ASGI scope of a connection."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds in which a server ends a connection whose app has returned."""

QUIET_PERIOD: Final = 0.05
"""Seconds without a message after which there will be no more."""


_WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}

_discarding: Final[set[asyncio.Task[None]]] = set()  # the loop itself holds on to none

_T = TypeVar("_T")

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class ClientConnection:
    """The incoming side of a connection: it can force a disconnect, and bound a body.

    Quart 0.23 waits for the client after the view has returned, and keeps all that arrives: for
    ever, if the client so likes. Hypercorn, where an app has returned and left messages behind,
    waits for ever for somebody to take them.

    Args:
        receive: ASGI's.
        kind: The type of the connection: `"http"` or `"websocket"`.
        send: ASGI's.

    Attributes:
        max_body: How many bytes of a request's body are passed on. None for any number.
        direct_send: ASGI's `send`, once it is known that nobody stands between it and Quart.
    """

    def __init__(self, receive: Receive, kind: str = "websocket", send: object = None) -> None:
        self._receive = receive
        self._disconnect = {"type": f"{kind}.disconnect", "code": 1006}
        self._send = send
        self.direct_send: object = None
        self._is_disconnected = False
        self._disconnecting = CancelGroup()
        self.max_body: int | None = None
        self._body_size = 0
        self._body_was_cut = False
        self._body_ended = asyncio.Event()
        self._has_ended = False

    def __deepcopy__(self, memo: object) -> ClientConnection:
        """Return this connection: middleware that copies a scope keeps it."""
        return self

    @property
    def body_is_too_large(self) -> bool:
        """Whether the client has sent more than `max_body` allows; the rest is not kept."""
        return self.max_body is not None and self._body_size > self.max_body

    async def receive(self) -> Mapping[str, Any]:
        """Return what the client sent, or that it has left; a body that is too large ends early."""
        while True:
            message = await self._next()
            if not message.get("more_body", False):
                self._body_ended.set()
            self._body_size += len(message.get("body", b""))
            if message["type"] != "http.request" or not self.body_is_too_large:
                return message
            if not self._body_was_cut:
                self._body_was_cut = True
                return {"type": "http.request", "body": b"", "more_body": False}

    async def wait_for_body(self, seconds: float) -> None:
        """Wait until the client has sent its body, kept or not.

        A client whose connection is closed while it sends may lose the answer: TCP resets what
        is cut while there is something to read.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._body_ended.wait()

    async def _next(self) -> Mapping[str, Any]:
        """Return what the client sent, or a disconnect where one was forced."""
        if self._is_disconnected:
            return self._disconnect
        try:
            async with self._disconnecting.scope():
                return await self._take()
        except WaitCancelledError:
            return self._disconnect

    @property
    def closed_by_server(self) -> bool:
        """Whether the server has given the client up, and says so to nobody."""
        return has_closed(self._send)

    def reach_quart(self, send: object) -> None:
        """Note with which `send` Quart answers: middleware may have wrapped the server's."""
        self.direct_send = send if send is self._send else None

    def force_disconnect(self) -> None:
        """Take the client for gone: Quart ends the connection, and the server cuts it."""
        self._is_disconnected = True
        self._disconnecting.cancel()

    def discard_input(self) -> None:
        """Take what still comes, and drop it, until the server has ended the connection.

        And a moment longer: of what it has read at once Hypercorn passes on all.
        """
        task = asyncio.create_task(self._discard())
        _discarding.add(task)
        task.add_done_callback(_discarding.discard)

    async def _discard(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                while True:
                    is_over = self._has_ended or self.closed_by_server
                    async with asyncio.timeout(QUIET_PERIOD if is_over else None):
                        await self._take()

    async def _take(self) -> Mapping[str, Any]:
        message = await self._receive()
        self._has_ended = self._has_ended or message["type"].endswith(".disconnect")
        return message


async def refuse(scope: Mapping[str, Any], send: Callable[[Any], Awaitable[None]]) -> None:
    """Answer a request, or a handshake, with status 400 and no body.

    A handshake gets status 403 where the server can send it no response.

    Args:
        scope: ASGI's.
        send: ASGI's.
    """
    kind = "http.response"
    if scope["type"] == "websocket":
        kind = "websocket.http.response"
        if kind not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": 1008})
            return
    await send({"type": f"{kind}.start", "status": 400, "headers": []})
    await send({"type": f"{kind}.body", "body": b""})


def unwrap_proxy(proxy: _T) -> _T:
    """Return the object that one of Quart's context-local proxies stands for."""
    untyped: Any = proxy  # Quart 0.22 types a proxy as the object behind it
    found: _T = untyped._get_current_object()  # noqa: SLF001  # Quart documents it
    return found


def current_connection() -> ClientConnection | None:
    """Return this connection's `ClientConnection`, if the extension has seen it come in."""
    if not has_request_context() and not has_websocket_context():
        return None
    asking = websocket if has_websocket_context() else request
    return asking.scope.get(CONNECTION_KEY)  # type: ignore[return-value]


def wrap_websocket_class(websocket_class: Any) -> Any:
    """Return a class for `Quart.asgi_websocket_class` that mends what middleware has changed.

    It is called by Quart itself, behind whatever middleware the app has put in front. It tells
    connections what `send` it gets, and corrects the scheme: Hypercorn's `ProxyFixMiddleware` takes
    a proxy's `https` for it, as which Quart would refuse a WebSocket.
    """

    class WebsocketConnection(websocket_class):  # type: ignore[misc]  # any class of the app's
        def __init__(self, app: Any, scope: Any) -> None:
            scheme = _WEBSOCKET_SCHEMES.get(scope.get("scheme"))
            super().__init__(app, scope if scheme is None else {**scope, "scheme": scheme})
            self._client_connection: ClientConnection | None = scope.get(CONNECTION_KEY)

        async def __call__(self, receive: Any, send: Any) -> None:
            if self._client_connection is not None:
                self._client_connection.reach_quart(send)
            await super().__call__(receive, send)

    return WebsocketConnection


def raise_disconnect(error: BaseException | None) -> None:
    """Raise `error` if it says that the client has left, which only Quart has to know."""
    if _DISCONNECT is not None and isinstance(error, _DISCONNECT):
        raise error
