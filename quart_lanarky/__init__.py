"""Turn any LangChain object into a streaming HTTP or WebSocket endpoint of a Quart app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import (
    ChainTypeError,
    ConfigurationError,
    ForeignOriginError,
    InputError,
    InputTooLargeError,
    LanarkyError,
    ServerBusyError,
    TooSlowError,
)
from .events import Event
from .extension import LanarkyExtension
from .runs.run import Run
from .runs.signals import RunReport, run_cancelled, run_failed, run_finished, run_started
from .runs.stream import EventStream
from .transports.sse_response import EventStreamResponse

if TYPE_CHECKING:
    from .adapters.langchain.routing import stream_chain
    from .serving.serve import serve

__all__ = [
    "ChainTypeError",
    "ConfigurationError",
    "Event",
    "EventStream",
    "EventStreamResponse",
    "ForeignOriginError",
    "InputError",
    "InputTooLargeError",
    "LanarkyError",
    "LanarkyExtension",
    "Run",
    "RunReport",
    "ServerBusyError",
    "TooSlowError",
    "run_cancelled",
    "run_failed",
    "run_finished",
    "run_started",
    "serve",
    "stream_chain",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `stream_chain` (and LangChain) and `serve` (and Hypercorn) when they are asked for."""
    if name == "stream_chain":
        from .adapters.langchain.routing import stream_chain

        return stream_chain
    if name == "serve":
        from .serving.serve import serve

        return serve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
