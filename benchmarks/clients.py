"""Clients that cost little: they look for tokens as they come, and parse nothing else.

They run on another core than the server, for it is the server that is measured.
"""

import asyncio
import base64
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from .apps.model import MARK

__all__ = ["Answer", "IncompleteAnswerError", "Target", "ask", "ask_all", "hold"]

_TOKEN = re.compile(rb"%s(\w+) " % MARK.encode())
_END = re.compile(rb'\r\n0\r\n\r\n\Z|"event": "end"')

PATIENCE = 300
"""Seconds after which an answer is taken for one that does not end."""


@dataclass(frozen=True)
class Target:
    """Where to ask, and how.

    Attributes:
        port: On loopback.
        path: Of the route.
        body: The inputs as JSON, with `%s` for the question.
        is_websocket: Whether it is a WebSocket that is asked.
    """

    port: int
    path: str
    body: str = '{"question": "%s"}'
    is_websocket: bool = False

    def reserve(self, question: str) -> bytes:
        """Return what a client sends first: its question, or the wish to talk."""
        key = base64.b64encode(os.urandom(16)).decode()
        body = "" if self.is_websocket else self.body % question
        lines = [
            f"{'GET' if self.is_websocket else 'POST'} {self.path} HTTP/1.1",
            "Host: localhost",
        ]
        if self.is_websocket:
            lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            lines += [f"Sec-WebSocket-Key: {key}"]
        else:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def frame(self, question: str) -> bytes:
        """Return the question as a frame, masked by zeros."""
        payload = (self.body % question).encode()
        return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload  # it is a short one


@dataclass
class Answer:
    """What a client saw of one answer. Times are seconds of the monotonic clock.

    Attributes:
        asked_at: When it had its connection and asked.
        arrivals: When each token came.
        delays: How long each token took since the model said it, where that tells.
    """

    asked_at: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)

    @property
    def first_token(self) -> float:
        """How many seconds the first token took."""
        return self.arrivals[0] - self.asked_at

    @property
    def gaps(self) -> list[float]:
        """The seconds from each token to the next."""
        return [b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)]


class IncompleteAnswerError(Exception):
    """A server ended an answer that lacks tokens."""


class _Client(asyncio.Protocol):
    def __init__(self, target: Target, question: str) -> None:
        loop = asyncio.get_running_loop()
        self.answer = Answer()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self._target = target
        self._question = question
        self._wants_to_talk = target.is_websocket
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.answer.asked_at = time.monotonic()
        self.transport.write(self._target.reserve(self._question))

    def data_received(self, data: bytes) -> None:
        if self._wants_to_talk and b"\r\n\r\n" in data:
            self._wants_to_talk = False
            self.transport.write(self._target.frame(self._question))
        self._hear(self._tail + data)
        if not self.over.done() and _END.search(self._tail):
            self.over.set_result(None)

    def _hear(self, data: bytes) -> None:
        now, heard_to = time.monotonic(), 0
        for match in _TOKEN.finditer(data):
            self.answer.arrivals.append(now)
            if match[1].isdigit():
                self.answer.delays.append(now - int(match[1]) / 1e9)
            heard_to = match.end()
        self._tail = data[heard_to:]
        if heard_to and not self.begun.done():
            self.begun.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.begun, self.over):
            if not future.done():
                future.set_result(None)


async def _connect(target: Target, question: str) -> _Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: _Client(target, question), "127.0.0.1", target.port
    )
    return client


async def ask(target: Target, tokens: int, pace: float = 0) -> Answer:
    """Ask for so many tokens, `pace` seconds apart, on a connection of its own.

    Raises:
        IncompleteAnswerError: Fewer came, or more, or it took for ever.
    """
    client = await _connect(target, f"{tokens} {pace}")
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(client.over, PATIENCE)
    finally:
        client.transport.abort()
    if len(client.answer.arrivals) != tokens:
        raise IncompleteAnswerError(f"{len(client.answer.arrivals)} tokens of {tokens}")
    return client.answer


async def ask_all(
    target: Target, streams: int, tokens: int, pace: float = 0, apart: float = 0
) -> list[Answer | BaseException]:
    """Ask many times at once, or one after the other, `apart` seconds apart."""

    async def ask_later(place: int) -> Answer:
        await asyncio.sleep(place * apart)
        return await ask(target, tokens, pace)

    return await asyncio.gather(*map(ask_later, range(streams)), return_exceptions=True)


async def hold(target: Target, streams: int) -> list[asyncio.Transport]:
    """Open streams that have said one word and then nothing more; return their connections."""
    clients = []
    for _ in range(streams):  # one by one, so that no backlog is full
        client = await _connect(target, "2 3600")
        await client.begun
        clients.append(client.transport)
    return clients
