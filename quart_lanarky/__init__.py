"""Turn any LangChain object into a streaming HTTP or WebSocket endpoint of a Quart app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ChainTypeError, ConfigurationError, InputError, InputTooLargeError, LanarkyError
from .events import Event
from .extension import LanarkyExtension
from .responses import EventStreamResponse
from .runs import Run
from .streams import EventStream

if TYPE_CHECKING:
    from .adapters.langchain.routing import stream_chain

__all__ = [
    "ChainTypeError",
    "ConfigurationError",
    "Event",
    "EventStream",
    "EventStreamResponse",
    "InputError",
    "InputTooLargeError",
    "LanarkyError",
    "LanarkyExtension",
    "Run",
    "stream_chain",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `stream_chain` when it is first asked for, and LangChain with it."""
    if name == "stream_chain":
        from .adapters.langchain.routing import stream_chain

        return stream_chain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
