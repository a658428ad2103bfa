"""What Hypercorn (0.17, 0.18) leaves open to clients that mean harm, closed where we start it.

- **HTTP/2 has no back-pressure.** Its buffer lets the writer go on when the *piece* that it could
  send was small, as it is when the client's window is shut, and not when the *buffer* is: it grows
  by all that an app has to say.
- **A message that is too long is kept.** The close frame (1009) is sent, and what the client sends
  further is appended to what it sent before, for as long as it likes.
- **A compressed message is inflated without a bound**: 200 KB on the wire are 200 MB in memory.
- **Broken frames are not answered.** On invalid UTF-8 or a bad opcode the connection is cut
  without the close frame that says why (1007, 1002).
- **`Upgrade: h2c` is followed.** A proxy that passes it on and sees the 101 only copies bytes from
  then on: what the client asks for in HTTP/2 goes past the proxy's rules.

`serve` calls `patch_hypercorn`. Under the `hypercorn` command nothing is touched, and a proxy in
front has to close the same gaps; `docs/explanation/reliability.md` says how.
"""

from __future__ import annotations

import zlib
from contextlib import suppress
from functools import partial
from typing import Any, Final

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, StreamReset
from h2.exceptions import ProtocolError
from h11 import Request
from hypercorn import protocol
from hypercorn.protocol import h2, h11, ws_stream
from hypercorn.protocol.events import Body, Data, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

__all__ = ["patch_hypercorn"]

ANSWER_TIMEOUT: Final = 1.0
"""Seconds that a client gets to answer a close frame."""

FRAMES_AT_ONCE: Final = 32
"""How many frames are taken before others have their turn: one read may hold ten thousand."""


def patch_hypercorn(max_message_bytes: int) -> None:
    """Put the classes below in place of Hypercorn's own, in this process.

    Args:
        max_message_bytes: How many bytes a WebSocket's message may have when it is inflated.
    """
    ws_stream.PerMessageDeflate = partial(_Deflate, max_message_bytes)  # type: ignore[assignment,attr-defined]
    h2.StreamBuffer = _StreamBuffer  # type: ignore[misc]
    protocol.H2Protocol = _H2Protocol  # type: ignore[attr-defined]
    protocol.H11Protocol = _H11Protocol  # type: ignore[attr-defined]
    h2.WSStream = h11.WSStream = _WSStream  # type: ignore[attr-defined]


class _StreamBuffer(h2.StreamBuffer):
    """The bytes of one HTTP/2 stream that its client did not take yet."""

    async def pop(self, max_length: int) -> bytes:
        """Take up to `max_length` bytes; only then may the writer go on when there is room."""
        piece = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < h2.BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return piece


class _H2Protocol(h2.H2Protocol):
    """An HTTP/2 connection that keeps nothing of a stream that either side has given up."""

    async def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                # The rest of a body whose request was answered. Hypercorn would cut all streams.
                self.connection.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
                continue
            if isinstance(event, StreamReset):
                await self._forget(event.stream_id)
            await super()._handle_events([event])
        await self._flush()

    async def stream_send(self, event: Any) -> None:
        """Send what a stream has to say; one that ends in the middle of its answer is reset."""
        if isinstance(event, StreamClosed):
            buffer = self.stream_buffers.get(event.stream_id)
            if buffer is not None and not buffer._complete:  # noqa: SLF001
                with suppress(ProtocolError):
                    self.connection.reset_stream(event.stream_id, ErrorCodes.CANCEL)
                    await self._flush()
                await self._forget(event.stream_id)
        await super().stream_send(event)

    async def _forget(self, stream_id: int) -> None:
        """Drop what is not sent yet; the sending task then finds that the stream is closed."""
        if stream_id in self.stream_buffers:
            await self.stream_buffers[stream_id].close()
            await self._window_updated(stream_id)


class _H11Protocol(h11.H11Protocol):
    """An HTTP/1.1 connection that ignores `Upgrade: h2c`, as RFC 9110 (7.8) allows.

    A client may still speak HTTP/2 from its first byte: no proxy turns HTTP/1.1 into that.
    """

    async def _check_protocol(self, event: Request) -> None:
        if not event.headers:  # as in HTTP/2's preface; an upgrade is asked for in a header
            await super()._check_protocol(event)


class _Deflate(PerMessageDeflate):
    """Compressed messages that are not inflated without a bound."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        """Inflate a piece of a message, of 64 KiB at the most."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        try:
            text: bytes = self._decompressor.decompress(bytes(data), self._max_bytes + 1)  # type: ignore[union-attr]
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return CloseReason.MESSAGE_TOO_BIG if len(text) > self._max_bytes else text


class _WSStream(WSStream):
    """A WebSocket that keeps nothing of what is too long, and says what was wrong with a frame."""

    _is_closing = False
    _is_deaf = False  # the parser has given up, and would only keep what comes

    async def handle(self, event: Any) -> None:
        """Take what arrives; a client that speaks before it was accepted is gone for the app."""
        if self._is_deaf and isinstance(event, Body | Data):
            return
        is_early = (
            isinstance(event, Body | Data) and not self.closed and not self.handshake.accepted
        )
        await super().handle(event)
        if is_early and self.app_put is not None:
            await self.app_put({"type": "websocket.disconnect", "code": 1006})
            await self.send(StreamClosed(stream_id=self.stream_id))

    async def _handle_events(self) -> None:
        for number, event in enumerate(self.connection.events()):
            if number % FRAMES_AT_ONCE == FRAMES_AT_ONCE - 1:
                await self.context.sleep(0)
            if isinstance(event, CloseConnection):
                await self._on_close(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, Message) and not self._is_closing:
                await self._on_message(event)

    async def _on_message(self, part: Any) -> None:
        try:
            self.buffer.extend(part)
        except FrameTooLargeError:
            await self._reject(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
        else:
            if part.message_finished and self.app_put is not None:
                message = self.buffer.to_message()
                self.buffer.clear()
                await self.app_put(message)

    async def _on_close(self, event: CloseConnection) -> None:
        if self.connection.state is ConnectionState.OPEN:  # not the client's: the parser gave up
            self._is_deaf = True
            await self._reject(event)
            return
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            await self._send_wsproto_event(event.response())
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _reject(self, farewell: CloseConnection) -> None:
        """Send the close frame and hear no more; the app learns of it when the client has too."""
        self._is_closing = True
        self.buffer.clear()
        await self._send_wsproto_event(farewell)
        self.task_group.spawn(self._cut)

    async def _cut(self) -> None:
        await self.context.sleep(ANSWER_TIMEOUT)
        if not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))
