"""WebSockets: what is put in place of Hypercorn's."""

from __future__ import annotations

import zlib
from typing import Any, ClassVar, Final

from hypercorn.protocol.events import Body, Data, StreamClosed
from hypercorn.protocol.ws_stream import FrameTooLargeError
from hypercorn.protocol.ws_stream import WSStream as HypercornWSStream
from typing_extensions import override
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.extensions import PerMessageDeflate as WsprotoPerMessageDeflate
from wsproto.frame_protocol import CloseReason

__all__ = ["PerMessageDeflate", "WSStream"]

ANSWER_TIMEOUT: Final = 1.0
"""Seconds that a client gets to answer a close frame."""

FRAMES_AT_ONCE: Final = 32
"""How many frames are taken before others have their turn: one read may hold ten thousand."""


class PerMessageDeflate(WsprotoPerMessageDeflate):
    """Compressed messages that are not inflated without a bound."""

    max_message_bytes: ClassVar[int]

    @override
    def frame_inbound_payload_data(self, proto: Any, data: bytes) -> bytes | CloseReason:
        """Inflate a piece of a message, of 64 KiB at the most."""
        if not self._inbound_compressed or not self._inbound_is_compressible:
            return data
        try:
            text: bytes = self._decompressor.decompress(bytes(data), self.max_message_bytes + 1)  # type: ignore[union-attr]
        except zlib.error:
            return CloseReason.INVALID_FRAME_PAYLOAD_DATA
        return CloseReason.MESSAGE_TOO_BIG if len(text) > self.max_message_bytes else text


class WSStream(HypercornWSStream):
    """A WebSocket that keeps nothing of what is too long, and says what was wrong with a frame."""

    _is_closing = False
    _ignores_input = False  # the parser has given up, and would only keep what comes

    @override
    async def handle(self, event: Any) -> None:
        """Take what arrives; a client that sends before it was accepted is gone for the app."""
        if self._ignores_input and isinstance(event, Body | Data):
            return
        is_early = (
            isinstance(event, Body | Data) and not self.closed and not self.handshake.accepted
        )
        await super().handle(event)
        if is_early and self.app_put is not None:
            await self.app_put({"type": "websocket.disconnect", "code": 1006})
            await self.send(StreamClosed(stream_id=self.stream_id))

    @override
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
            self._ignores_input = True
            await self._reject(event)
            return
        if self.connection.state is ConnectionState.REMOTE_CLOSING:
            await self._send_wsproto_event(event.response())
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _reject(self, close: CloseConnection) -> None:
        """Send a close frame and ignore later messages; the app learns of it at the end."""
        self._is_closing = True
        self.buffer.clear()
        await self._send_wsproto_event(close)
        self.task_group.spawn(self._cut)

    async def _cut(self) -> None:
        await self.context.sleep(ANSWER_TIMEOUT)
        if not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))
