"""What all handlers share.

The logic of each job is in one class, in a module of its own. Routes use that class, with a stream;
`callbacks.py` has the public pair of each, whose classes differ in where they send by default.

A handler instance serves one run (rule 1: all state belongs to a run). All handlers are
``async def`` with ``run_inline``: LangChain then awaits them where the token appears, so order is
kept and a slow client slows its own chain (rule 3: the producer waits), at a fraction of the cost
of its other ways to call a handler.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.runnables.config import ensure_config
from pydantic import BaseModel, JsonValue

from ....events.declared import declared_events
from ....protocols.native.encode import Mode, check_mode
from ....runs.stream import EventSink, EventStream
from .selection import AnswerSpec

__all__ = [
    "ChainHandler",
    "EventCallbackHandler",
    "current_handlers",
    "merge_run_spec",
]


def _unless_handled(*callbacks: str) -> Any:
    """Make a flag by which LangChain skips a handler that defines none of these callbacks.

    Otherwise LangChain calls them one by one for every token, even if they do nothing.
    """

    def ignores(handler: EventCallbackHandler) -> bool:
        kind: Any = type(handler)
        # Older versions of LangChain do not have all of them.
        return all(
            getattr(kind, callback, None) is getattr(AsyncCallbackHandler, callback, None)
            for callback in callbacks
        )

    return cached_property(ignores)


class EventCallbackHandler(AsyncCallbackHandler):
    """What all handlers share: a place to send to, and a mode, which they only pass on.

    Subclass `StreamingCallbackHandler` or `WebSocketCallbackHandler`; this one is for a mixin
    that serves both.

    Args:
        stream: Where the events go; `default_sink()` decides if it is not given.
        mode: `"json"` or `"text"`: how tokens are encoded.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """

    events: ClassVar[Mapping[str, Any]] = {}
    """The events that this class adds to those of its bases: their names, and the types of their
    payloads (whatever Pydantic can describe; `str` for bare text). The API docs are built from it,
    and `send` checks against it."""

    run_inline = True

    ignore_llm = _unless_handled(
        "on_llm_start",
        "on_llm_new_token",
        "on_stream_event",
        "on_llm_end",
        "on_llm_error",
    )
    ignore_chat_model = _unless_handled("on_chat_model_start", "on_llm_start")
    ignore_agent = _unless_handled(
        "on_tool_start",
        "on_tool_end",
        "on_tool_error",
        "on_agent_action",
        "on_agent_finish",
    )
    ignore_retry = _unless_handled("on_retry")
    ignore_custom_event = _unless_handled("on_custom_event")

    def __init__(self, stream: EventSink | None = None, *, mode: Mode = "json") -> None:
        self.mode = check_mode(mode)
        self.sink = self.default_sink() if stream is None else stream
        if self.mode != "json" and hasattr(self.sink, "mode"):
            with suppress(AttributeError):  # a sink of the app's own may not let it be set
                self.sink.mode = self.mode  # for the encoder of what is sent there

    def default_sink(self) -> EventSink:
        """Return where events go if the constructor was given no stream."""
        return EventStream()

    async def send(self, name: str, data: str | BaseModel | JsonValue) -> None:
        """Send an event of your own: a str as bare text, all else as JSON.

        Raises:
            TypeError, ValueError: JSON cannot express `data`, or it is not what `events` says.
            ConfigurationError: `name` is empty or has a line break, or `events` lacks it.
        """
        kind: Any = type(self)  # hashable, whatever mypy makes of LangChain's bases
        await self.sink.send(declared_events(kind).make(name, data))


class ChainHandler(EventCallbackHandler):
    """Notices when the whole chain ends: the run that started first and has no parent.

    LangChain starts fallbacks beside their chain and not within it, so that there may be
    several runs without a parent.
    """

    def __init__(self, stream: EventSink | None = None, *, mode: Mode = "json") -> None:
        super().__init__(stream, mode=mode)
        self.failure: Exception | None = None
        self._root: UUID | None = None
        self._planned_spec: AnswerSpec | None = None
        self.spec = AnswerSpec()

    def use_spec(self, spec: AnswerSpec) -> None:
        """Take over how the answer of the chain is found; routes call it on each handler."""
        self.spec = self._planned_spec = spec

    def merge_spec(self, spec: AnswerSpec) -> None:
        """Add where the answer is of a chain that a function returned while the first one ran."""
        if self._planned_spec is not None:
            output_path = self._planned_spec.output_path + spec.output_path
            self.spec = replace(spec, output_path=output_path)

    async def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **kwargs: Any,
    ) -> None:
        """Note the run if it is the whole chain's."""
        if parent_run_id is None and self._root is None:
            self._root = run_id

    async def on_chain_end(
        self, outputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Send what is left to send, if it was the whole chain that ended."""
        if parent_run_id is None and self._root in (None, run_id):
            self._root = None
            try:
                await self._handle_output(outputs)
            except Exception as error:  # LangChain logs it and goes on, and the answer is lost
                self.failure = error
                raise

    async def on_chain_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Note that the whole chain has failed, if it has."""
        if self._root == run_id:
            self._root = None

    async def _handle_output(self, output: Any) -> None:
        raise NotImplementedError


def merge_run_spec(spec: AnswerSpec) -> None:
    """Call `merge_spec` on the handlers of the current run, for a chain that was made in it."""
    for handler in current_handlers():
        if isinstance(handler, ChainHandler):
            handler.merge_spec(spec)


def current_handlers() -> Sequence[Any]:
    """Return the handlers of the run that the current code is part of."""
    callbacks: Any = ensure_config().get("callbacks")
    handlers: Sequence[Any] = getattr(callbacks, "handlers", callbacks) or ()
    return handlers
