"""Clients that no library provides: they disconnect abruptly, stop reading, or send invalid data.

All of them are plain sockets, so a thousand of them cost the tests little.
"""

import asyncio
import json
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes

from tests.servers import Server

Vitals = dict[str, Any]


# -- what goes on in the server ------------------------------------------------------------


async def vitals(server: Server, query: str = "") -> Vitals:
    """Ask what is alive in the process."""
    return await _get(server, f"/vitals{query}")


async def seen(server: Server, question: str) -> dict[str, Any]:
    """Ask how many tokens a model was asked for, and when it was stopped."""
    return await _get(server, f"/seen/{question}")


async def _get(server: Server, path: str) -> dict[str, Any]:
    """Send a request on a connection of its own: Hypercorn keeps others open for 5 seconds."""
    async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=30) as client:
        found: dict[str, Any] = (await client.get(path, headers={"Connection": "close"})).json()
        return found


async def wait_until(
    met: Callable[[Vitals], bool], look: Callable[[], Awaitable[Vitals]], within: float
) -> Vitals:
    """Poll until the condition is `met`; return what was seen then.

    The time counts from the first answer on, when the server has caught up with its clients.
    """
    loop, found = asyncio.get_running_loop(), await look()
    deadline = loop.time() + within
    while not met(found):
        assert loop.time() < deadline, found
        await asyncio.sleep(0.02)
        found = await look()
    return found


# -- HTTP/1.1 ------------------------------------------------------------------------------


def post(path: str, inputs: Any, **headers: str) -> bytes:
    """Return the bytes of a POST request with JSON."""
    body = inputs if isinstance(inputs, bytes) else json.dumps(inputs).encode()
    extra = {"Content-Type": "application/json", "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in extra.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def connect(
    server: Server, receive_buffer: int | None = None, limit: int = 2**14
) -> tuple[StreamReader, StreamWriter]:
    """Open a connection; a small `receive_buffer` shows soon what a client does not read.

    No more than twice `limit` is buffered before a read.
    """
    raw = socket.socket()
    raw.setblocking(False)
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", server.port))
    return await asyncio.open_connection(sock=raw, limit=limit)


def cut(writer: StreamWriter) -> None:
    """Disconnect with a reset (RST), as a client that crashes or whose network fails."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# -- HTTP/2 --------------------------------------------------------------------------------


class H2Client:
    """One HTTP/2 connection (prior knowledge, no TLS), whose windows the test opens itself."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, window: int) -> None:
        self.reader = reader
        self.writer = writer
        self.connection = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.connection.initiate_connection()
        self.connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.status: dict[int, int] = {}
        self.body: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.ended: set[int] = set()
        self.reset: set[int] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, server: Server, window: int = 65_535) -> AsyncIterator[Self]:
        """Connect; each stream has a `window` of so many bytes."""
        reader, writer = await connect(server)
        client = cls(reader, writer, window)
        try:
            client.flush()
            yield client
        finally:
            writer.transport.abort()

    def flush(self) -> None:
        """Send the pending data of the connection."""
        self.writer.write(self.connection.data_to_send())

    def begin(self, path: str, *, method: str = "POST", ends: bool = False) -> int:
        """Send the head of a request; return the id of its stream."""
        stream = self.connection.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x")]
        if method == "POST":
            head.append(("content-type", "application/json"))
        self.connection.send_headers(stream, head, end_stream=ends)
        self.flush()
        return stream

    def ask(self, path: str, inputs: Any = None) -> int:
        """Send a request, a POST where there are `inputs`; return the id of its stream."""
        if inputs is None:
            return self.begin(path, method="GET", ends=True)
        stream = self.begin(path)
        self.connection.send_data(stream, json.dumps(inputs).encode(), end_stream=True)
        self.flush()
        return stream

    async def receive(self, *, step: int | None = None) -> None:
        """Take what arrives next; open the windows again by what came, or in `step` bytes."""
        data = await self.reader.read(2**16)
        assert data, "the server has closed the connection"
        for event in self.connection.receive_data(data):
            if isinstance(event, ResponseReceived):
                self.status[event.stream_id] = int(dict(event.headers)[":status"])
            elif isinstance(event, DataReceived):
                self.body[event.stream_id] += event.data
                self._acknowledge(event.stream_id, event.flow_controlled_length, step)
            elif isinstance(event, StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, StreamReset):
                self.reset.add(event.stream_id)
        self.flush()

    def _acknowledge(self, stream: int, size: int, step: int | None) -> None:
        if step is None:
            step = size
        while size > 0:
            part = min(step, size)
            self.connection.increment_flow_control_window(part)
            if stream in self.connection.streams and not self.connection.streams[stream].closed:
                self.connection.increment_flow_control_window(part, stream)
            size -= part

    async def read(self, *streams: int, step: int | None = None) -> list[bytes]:
        """Return the bodies of `streams` when all of them have ended."""
        while not self.ended.issuperset(streams):
            await self.receive(step=step)
            assert not self.reset, "the server has reset a stream"
        return [bytes(self.body[stream]) for stream in streams]
