"""A response that runs a chain and sends its events as server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from quart import Response
from quart.wrappers.response import ResponseBody

from ..events import Event
from ..protocols.base import Encoder
from ..protocols.native.encode import LateModeEncoder
from ..runs.registry import Reader
from ..runs.run import Run
from .admission import register_run
from .connection import current_connection

__all__ = ["EventStreamResponse"]

logger = logging.getLogger(__name__)


class _RunBody(ResponseBody):
    """The body begins to read the run when Quart enters it, and leaves the run when Quart does.

    Quart leaves it on every path, the client's disconnect included. A run started any earlier
    would leak if the client went away before the body was entered.
    """

    def __init__(self, reader: Reader, resources: AsyncExitStack, encoder: Encoder) -> None:
        self._reader = reader
        self._encoder = encoder
        self._resources = resources
        self._connection = current_connection()
        self._is_entered = False
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(self._close_if_never_entered)

    def _close_if_never_entered(self, request: asyncio.Task[Any]) -> None:
        """Close the resources of a client that went away before its response began."""
        if not self._is_entered:
            self._reader.discard_unstarted()
            self._closing = request.get_loop().create_task(self._resources.aclose())

    async def __aenter__(self) -> AsyncIterator[bytes]:
        batches = await self._reader.__aenter__()
        self._is_entered = True
        return self._chunks(batches)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        try:
            await self._reader.__aexit__(exc_type, exc_value, tb)
        finally:
            await self._resources.aclose()
            if exc_type is not None and self._connection is not None:
                self._connection.force_disconnect()  # Quart 0.23 would wait for the client

    async def _chunks(self, batches: AsyncIterator[list[Event]]) -> AsyncIterator[bytes]:
        encoder = self._encoder
        async for batch in batches:
            yield encoder.encode(batch) if batch else encoder.heartbeat


class EventStreamResponse(Response):
    """A response that runs `run` and sends its stream as server-sent events.

    Args:
        run: The run. It starts when the response begins, and is cancelled when the client
            goes away.
        resources: What the run needs until it ends, and what is closed then. They are taken
            over; if this raises, they stay the caller's.
        encoder: Makes the bytes of the response; by default the native protocol in the
            run's mode.

    Raises:
        ServerBusyError: Too many runs are live, or the server is shutting down. It is a 503.
    """

    def __init__(
        self,
        run: Run,
        resources: AsyncExitStack | None = None,
        *,
        encoder: Encoder | None = None,
    ) -> None:
        encoder = LateModeEncoder(run) if encoder is None else encoder
        reader = register_run(run, "sse")
        resources = AsyncExitStack() if resources is None else resources.pop_all()
        body = _RunBody(reader, resources, encoder)
        super().__init__(body, headers=dict(encoder.headers), content_type=encoder.content_type)
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Accel-Buffering"] = "no"  # nginx would hold the events back
        # Quart's RESPONSE_TIMEOUT bounds the whole body, and cuts it without a word.
        self.timeout = None
