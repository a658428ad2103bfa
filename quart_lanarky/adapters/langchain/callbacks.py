"""The callback handlers: what LangChain calls while a chain runs, and what is sent then.

Each pair has its logic in one private class. The two public classes of a pair differ in where
they send by default: a streaming handler into an `EventStream`, which an `EventStreamResponse`
sends; a WebSocket handler straight to the WebSocket of the current view.

A handler instance serves one run (rule 1). All handlers are ``async def`` with ``run_inline``:
LangChain then awaits them where the token appears, so order is kept and a slow client slows
its own chain (rule 3), at a fraction of the cost of its other ways to call a handler.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.documents import Document
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult
from pydantic import BaseModel, JsonValue

from ... import events
from ...errors import ConfigurationError
from ...events import SOURCE_DOCUMENTS, Event, Mode, check_mode, json_event
from ...streams import EventSink, EventStream
from ...websockets import WebSocketSink
from .answers import (
    DEFAULT_ANSWER_PREFIX_TOKENS,
    AnswerFinder,
    answer_text,
    result_text,
    to_source_document,
    token_text,
)

__all__ = [
    "EventCallbackHandler",
    "FinalTokenStreamingCallbackHandler",
    "FinalTokenWebSocketCallbackHandler",
    "SourceDocumentStreamingCallbackHandler",
    "SourceDocumentWebSocketCallbackHandler",
    "SourceDocumentsStreamingCallbackHandler",
    "SourceDocumentsWebSocketCallbackHandler",
    "StreamingCallbackHandler",
    "TokenStreamingCallbackHandler",
    "TokenWebSocketCallbackHandler",
    "WebSocketCallbackHandler",
]

T = TypeVar("T")


class EventCallbackHandler(AsyncCallbackHandler):
    """What all handlers share: a place to send to, and a mode.

    Subclass `StreamingCallbackHandler` or `WebSocketCallbackHandler`; this one is for a mixin
    that serves both.

    Args:
        stream: Where the events go; `default_sink()` decides if it is not given.
        mode: `"json"` or `"text"`: how tokens travel.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """

    run_inline = True

    def __init__(self, stream: EventSink | None = None, *, mode: Mode = "json") -> None:
        self.mode = check_mode(mode)
        self.sink = self.default_sink() if stream is None else stream

    def default_sink(self) -> EventSink:
        """Return where events go if the constructor was not told."""
        return EventStream()

    async def send(self, name: str, data: str | BaseModel | JsonValue) -> None:
        """Send an event of your own: a str as bare text, all else as JSON.

        Raises:
            TypeError, ValueError: JSON cannot express `data`.
            ConfigurationError: `name` is empty or has a line break.
        """
        await self.sink.send(Event(name, data) if isinstance(data, str) else json_event(name, data))


class StreamingCallbackHandler(EventCallbackHandler):
    """The base of handlers whose events go out over HTTP, as server-sent events.

    Override ``on_…`` methods of LangChain's ``AsyncCallbackHandler`` and call `send` in them.
    By default they send into a stream of their own, which `stream` gives to the run.
    """

    @property
    def stream(self) -> EventStream:
        """The stream that this handler sends into, for the `Run` that it belongs to.

        Raises:
            ConfigurationError: The handler was told to send elsewhere.
        """
        if isinstance(self.sink, EventStream):
            return self.sink
        raise ConfigurationError(f"{type(self).__name__} does not send into an EventStream")


class WebSocketCallbackHandler(EventCallbackHandler):
    """The base of handlers whose events go out over a WebSocket, one JSON frame each.

    Override ``on_…`` methods of LangChain's ``AsyncCallbackHandler`` and call `send` in them.
    By default they send straight to the WebSocket of the view that creates them.
    """

    def default_sink(self) -> EventSink:
        """Return the WebSocket of the current view."""
        return WebSocketSink()


class _TokenHandler(EventCallbackHandler):
    """Sends each token, or the whole answer once where no token came (rule 7).

    Models often do not stream: cached answers, no support, synchronous code. That is never
    looked up, only seen: a model's run that ends without having sent text sends its result;
    and where nothing was sent when the whole chain ends, its output goes.
    """

    def __init__(
        self,
        stream: EventSink | None = None,
        *,
        mode: Mode = "json",
        output_key: str | None = None,
    ) -> None:
        super().__init__(stream, mode=mode)
        self._output_key = output_key
        self._streamed: set[UUID] = set()  # the model runs whose text came as tokens
        self._answered = False

    # A chat model streams under `ainvoke` only for a handler that has these two methods.

    def tap_output_aiter(self, run_id: UUID, output: AsyncIterator[T]) -> AsyncIterator[T]:
        """Leave the chunks as they are; that this method exists makes chat models stream."""
        return output

    def tap_output_iter(self, run_id: UUID, output: Iterator[T]) -> Iterator[T]:
        """Leave the chunks as they are; that this method exists makes chat models stream."""
        return output

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing; without it LangChain would render all messages for `on_llm_start`."""

    async def on_llm_new_token(
        self,
        token: str | list[str | dict[str, Any]],
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        run_id: UUID,
        **kwargs: Any,
    ) -> None:
        """Send the token's text. LangChain passes `token` by its name: do not rename it."""
        if text := token_text(token, chunk):
            self._streamed.add(run_id)
            await self._hear(run_id, text)

    async def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Send the model's whole text if it did not come as tokens."""
        if run_id in self._streamed:
            self._streamed.discard(run_id)
        elif text := result_text(response):
            await self._hear(run_id, text)

    async def on_chain_end(
        self, outputs: Any, *, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Send the whole chain's output if nothing was sent until now."""
        if parent_run_id is None and not self._answered:
            await self._say(answer_text(outputs, self._output_key))

    async def _hear(self, run_id: UUID, text: str) -> None:
        """Take text from the model's run `run_id`: here, all of it is the answer."""
        await self._say(text)

    async def _say(self, text: str) -> None:
        if text:
            self._answered = True
            await self.sink.send(events.completion(text, self.mode))


class TokenStreamingCallbackHandler(_TokenHandler, StreamingCallbackHandler):
    """Streams the tokens of any chain over HTTP, as `completion` events.

    A model that does not stream has its whole text sent once. Nothing is sent twice.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` sends `{"token": "Hel"}`, `"text"` sends `Hel`.
        output_key: Which of a chain's several outputs is the answer, for chains that call no
            model; without it, all of them are, as JSON.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class TokenWebSocketCallbackHandler(_TokenHandler, WebSocketCallbackHandler):
    """Streams the tokens of any chain over a WebSocket, as `completion` events.

    A model that does not stream has its whole text sent once. Nothing is sent twice.

    Args:
        stream: The stream to send into; straight to the current WebSocket if there is none.
        mode: `"json"` sends `{"token": "Hel"}`, `"text"` sends `Hel`.
        output_key: Which of a chain's several outputs is the answer, for chains that call no
            model; without it, all of them are, as JSON.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class _SourceDocumentHandler(EventCallbackHandler):
    """Sends the documents that the whole chain returns beside its answer."""

    async def on_chain_end(
        self, outputs: Any, *, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        """Send the documents when the whole chain ends; an empty list is sent as well."""
        if parent_run_id is None and isinstance(outputs, Mapping) and SOURCE_DOCUMENTS in outputs:
            documents: Sequence[Document] = outputs[SOURCE_DOCUMENTS]
            payload = [to_source_document(document) for document in documents]
            await self.sink.send(events.source_documents(payload))


class SourceDocumentStreamingCallbackHandler(_SourceDocumentHandler, StreamingCallbackHandler):
    """Sends a retrieval chain's documents over HTTP, in one `source_documents` event at its end.

    The chain has to return them: give it `return_source_documents=True`. List this handler
    after the one for the tokens, so that the documents come last.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; documents are JSON in both.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class SourceDocumentWebSocketCallbackHandler(_SourceDocumentHandler, WebSocketCallbackHandler):
    """Sends a retrieval chain's documents over a WebSocket, in one event at its end.

    The chain has to return them: give it `return_source_documents=True`. List this handler
    after the one for the tokens, so that the documents come last.

    Args:
        stream: The stream to send into; straight to the current WebSocket if there is none.
        mode: `"json"` or `"text"`; documents are JSON in both.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class _FinalTokenHandler(_TokenHandler):
    """Sends only what an agent says after its answer prefix; its thoughts stay inside."""

    def __init__(
        self,
        stream: EventSink | None = None,
        *,
        mode: Mode = "json",
        output_key: str | None = "output",
        answer_prefix_tokens: Sequence[str] | None = None,
        strip_tokens: bool = True,
        stream_prefix: bool = False,
    ) -> None:
        super().__init__(stream, mode=mode, output_key=output_key)
        if answer_prefix_tokens is None:
            answer_prefix_tokens = DEFAULT_ANSWER_PREFIX_TOKENS
        self._new_finder = partial(
            AnswerFinder,
            answer_prefix_tokens,
            strip_tokens=strip_tokens,
            stream_prefix=stream_prefix,
        )
        self._new_finder()  # a prefix without text is refused here and not at the first token
        self._finders: dict[UUID, AnswerFinder] = {}

    async def _hear(self, run_id: UUID, text: str) -> None:
        """Look for the answer in the text of this run alone: each model run starts anew."""
        if run_id not in self._finders:
            self._finders[run_id] = self._new_finder()
        await self._say(self._finders[run_id].feed(text))


class FinalTokenStreamingCallbackHandler(_FinalTokenHandler, StreamingCallbackHandler):
    """Streams an agent's final answer over HTTP, and none of its thoughts.

    For agents that announce their answer in words, as ReAct agents do. The words are found in
    the text, however the model cuts it into tokens. An agent that ends without them (it ran
    out of iterations, say) has its output sent whole.

    The arguments of the prefix mean what LangChain's ``FinalStreamingStdOutCallbackHandler``
    documents.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` sends `{"token": "Hel"}`, `"text"` sends `Hel`.
        output_key: Which of the agent's outputs is the answer.
        answer_prefix_tokens: The tokens that come before the answer; by default
            `["Final", "Answer", ":"]`.
        strip_tokens: Ignore white space and line breaks when comparing with the prefix; the
            answer then comes without white space around it, as the agent returns it.
        stream_prefix: Stream the prefix itself as well.

    Raises:
        ConfigurationError: There is no such mode, or the prefix has no text. It is a
            ValueError.
    """


class FinalTokenWebSocketCallbackHandler(_FinalTokenHandler, WebSocketCallbackHandler):
    """Streams an agent's final answer over a WebSocket, and none of its thoughts.

    It differs from `FinalTokenStreamingCallbackHandler` only in where it sends.

    Args:
        stream: The stream to send into; straight to the current WebSocket if there is none.
        mode: `"json"` sends `{"token": "Hel"}`, `"text"` sends `Hel`.
        output_key: Which of the agent's outputs is the answer.
        answer_prefix_tokens: The tokens that come before the answer; by default
            `["Final", "Answer", ":"]`.
        strip_tokens: Ignore white space and line breaks when comparing with the prefix; the
            answer then comes without white space around it, as the agent returns it.
        stream_prefix: Stream the prefix itself as well.

    Raises:
        ConfigurationError: There is no such mode, or the prefix has no text. It is a
            ValueError.
    """


# The spelling of lanarky, for people who come from there.
SourceDocumentsStreamingCallbackHandler = SourceDocumentStreamingCallbackHandler
SourceDocumentsWebSocketCallbackHandler = SourceDocumentWebSocketCallbackHandler
