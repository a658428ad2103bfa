"""A WebSocket client that sends any frames, valid or not, and reads only on request."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.faults.clients import connect
from tests.servers import Server

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="

QUESTION = b'{"question": "x"}'


def frame(
    payload: str | bytes = b"",
    opcode: int = TEXT,
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
) -> bytes:
    """Return a client's frame; its mask is zero, so that the payload stays as it is."""
    data = payload.encode() if isinstance(payload, str) else payload
    size = len(data)
    if size < 126:
        length, more = size, b""
    elif size < 2**16:
        length, more = 126, size.to_bytes(2)
    else:
        length, more = 127, size.to_bytes(8)
    head = bytes([fin << 7 | reserved << 4 | opcode, masked << 7 | length])
    return head + more + (bytes(4) if masked else b"") + data


def close_frame(code: int = 1000, reason: bytes = b"") -> bytes:
    """Return a client's close frame."""
    return frame(code.to_bytes(2) + reason, CLOSE)


def handshake(path: str, **headers: str) -> bytes:
    """Return the request for a WebSocket; in the names of further headers `_` stands for `-`."""
    lines = {
        "Host": "x",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


async def read_frame(reader: StreamReader) -> tuple[int, bytes]:
    """Return the opcode and the payload of the next frame."""
    first, length = await reader.readexactly(2)
    if length > 125:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8))
    return first & 0x0F, await reader.readexactly(length)


async def upgrade(
    server: Server, path: str, receive_buffer: int | None = None
) -> tuple[StreamReader, StreamWriter]:
    """Open a WebSocket that answers nothing by itself: no ping, no close."""
    reader, writer = await connect(server, receive_buffer)
    writer.write(handshake(path))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101"), head
    return reader, writer


@dataclass
class FrameSocket:
    """An open connection, whose frames are made and read by hand."""

    reader: StreamReader
    writer: StreamWriter
    answer: str
    """The head of the server's answer to the handshake."""

    async def send(self, *frames: bytes) -> None:
        """Send `frames`, and wait while the server does not take them."""
        self.writer.write(b"".join(frames))  # `writelines` does not wait on Python 3.13
        await self.writer.drain()
        await asyncio.sleep(0)  # `drain` does not yield to other tasks

    async def receive(self) -> tuple[int, bytes]:
        """Return the opcode and the payload of the next frame."""
        return await read_frame(self.reader)

    async def texts_and_code(self) -> tuple[list[str], int | None]:
        """Return the texts up to the close frame, and its code; None if it never came."""
        texts: list[str] = []
        try:
            while True:
                opcode, payload = await self.receive()
                if opcode == CLOSE:
                    return texts, int.from_bytes(payload[:2])
                if opcode == TEXT:
                    texts.append(payload.decode())
        except (asyncio.IncompleteReadError, ConnectionError):
            return texts, None

    async def close_code(self) -> int | None:
        """Return the code of the server's close frame; None if it disconnected without one."""
        return (await self.texts_and_code())[1]

    async def was_cut(self, within: float) -> bool:
        """Read on, and tell whether the connection ends within so many seconds."""
        try:
            async with asyncio.timeout(within):
                while await self.reader.read(2**16):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


@asynccontextmanager
async def frame_socket(
    server: Server, path: str, limit: int = 2**16, **headers: str
) -> AsyncIterator[FrameSocket]:
    """Open a WebSocket; no more than twice `limit` is buffered before a read."""
    reader, writer = await connect(server, limit=limit)
    try:
        writer.write(handshake(path, **{"Host": f"127.0.0.1:{server.port}", **headers}))
        head = await reader.readuntil(b"\r\n\r\n")
        yield FrameSocket(reader, writer, head.decode())
    finally:
        writer.transport.abort()
