"""Turn any LangChain object into a streaming HTTP or WebSocket endpoint of a Quart app."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .adapters.langchain.routing import stream_chain
    from .errors import (
        ChainTypeError,
        ConfigurationError,
        DisallowedHostError,
        ForeignOriginError,
        InputError,
        InputTooLargeError,
        InterruptNotOpenError,
        LanarkyError,
        ModelDeclinedError,
        ServerBusyError,
        ThreadBusyError,
        TooSlowError,
    )
    from .events import Event
    from .extension import LanarkyExtension
    from .runs.run import Run
    from .runs.signals import RunReport, run_cancelled, run_failed, run_finished, run_started
    from .runs.stream import EventStream
    from .serving.serve import serve
    from .transports.guards import check_host, check_origin
    from .transports.sse_response import EventStreamResponse
    from .transports.websocket_session import answer

__all__ = [
    "ChainTypeError",
    "ConfigurationError",
    "DisallowedHostError",
    "Event",
    "EventStream",
    "EventStreamResponse",
    "ForeignOriginError",
    "InputError",
    "InputTooLargeError",
    "InterruptNotOpenError",
    "LanarkyError",
    "LanarkyExtension",
    "ModelDeclinedError",
    "Run",
    "RunReport",
    "ServerBusyError",
    "ThreadBusyError",
    "TooSlowError",
    "answer",
    "check_host",
    "check_origin",
    "run_cancelled",
    "run_failed",
    "run_finished",
    "run_started",
    "serve",
    "stream_chain",
]

__version__ = "0.1.0"

# A name is imported when it is first asked for: the events and the codec cost no Quart, the
# extension no LangChain, and all but `serve` no Hypercorn.
_MODULES: Final = {
    "adapters.langchain.routing": ("stream_chain",),
    "errors": (
        "ChainTypeError",
        "ConfigurationError",
        "DisallowedHostError",
        "ForeignOriginError",
        "InputError",
        "InputTooLargeError",
        "LanarkyError",
        "ModelDeclinedError",
        "ServerBusyError",
        "ThreadBusyError",
        "InterruptNotOpenError",
        "TooSlowError",
    ),
    "events": ("Event",),
    "extension": ("LanarkyExtension",),
    "runs.run": ("Run",),
    "runs.signals": ("RunReport", "run_cancelled", "run_failed", "run_finished", "run_started"),
    "runs.stream": ("EventStream",),
    "serving.serve": ("serve",),
    "transports.guards": ("check_host", "check_origin"),
    "transports.sse_response": ("EventStreamResponse",),
    "transports.websocket_session": ("answer",),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # or a type checker would take any name

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first asked for."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Return the public names, imported or not, beside what a module has."""
        return sorted({*globals(), *__all__})
