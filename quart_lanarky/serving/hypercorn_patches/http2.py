"""HTTP/2: what is put in place of Hypercorn's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamReset
from h2.exceptions import ProtocolError
from hypercorn.events import Updated
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h2 import BUFFER_LOW_WATER
from hypercorn.protocol.h2 import H2Protocol as HypercornH2Protocol
from hypercorn.protocol.h2 import StreamBuffer as HypercornStreamBuffer
from typing_extensions import override

from .http1 import is_ascii

__all__ = ["H2Protocol", "StreamBuffer"]


class StreamBuffer(HypercornStreamBuffer):
    """The bytes of one HTTP/2 stream that its client did not take yet."""

    @override
    async def pop(self, max_length: int) -> bytes:
        """Take up to `max_length` bytes; only then may the writer go on when there is room."""
        piece = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return piece


class H2Protocol(HypercornH2Protocol):
    """An HTTP/2 connection that keeps nothing of a stream that either side has given up.

    A request that cannot be decoded, or has no path, gets status 400, and the other streams go on.
    """

    @override
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
            if isinstance(event, RequestReceived) and not self.streams:  # it was refused
                await self.send(Updated(idle=True))
        await self._flush()

    @override
    async def _create_stream(self, request: Any) -> None:
        if is_ascii(request.headers) and any(name == b":path" for name, _ in request.headers):
            await super()._create_stream(request)
            return
        with suppress(ProtocolError):  # it may have been reset already
            self.connection.send_headers(request.stream_id, [(":status", "400")], end_stream=True)

    @override
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
