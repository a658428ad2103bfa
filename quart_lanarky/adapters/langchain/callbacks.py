"""The callback handlers: what to give to LangChain, in pairs, for HTTP and for WebSockets.

The two classes of a pair differ in where they send by default: a streaming handler into an
`EventStream`, which an `EventStreamResponse` sends; a WebSocket handler straight to the
WebSocket of the current view. What they do is written once, in `handlers/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...errors import ConfigurationError
from ...runs.stream import EventSink, EventStream
from ...transports.websocket_session import WebSocketSink
from .handlers.base import EventCallbackHandler
from .handlers.citations import CitationHandler
from .handlers.custom_events import CustomEventHandler
from .handlers.documents import SourceDocumentHandler
from .handlers.media import MediaHandler
from .handlers.reasoning import ReasoningHandler
from .handlers.steps import StepHandler
from .handlers.tokens import FinalTokenHandler, TokenHandler
from .handlers.tools import ToolHandler

__all__ = [
    "CitationStreamingCallbackHandler",
    "CitationWebSocketCallbackHandler",
    "CustomEventStreamingCallbackHandler",
    "CustomEventWebSocketCallbackHandler",
    "EventCallbackHandler",
    "FinalTokenStreamingCallbackHandler",
    "FinalTokenWebSocketCallbackHandler",
    "MediaStreamingCallbackHandler",
    "MediaWebSocketCallbackHandler",
    "ReasoningStreamingCallbackHandler",
    "ReasoningWebSocketCallbackHandler",
    "SourceDocumentStreamingCallbackHandler",
    "SourceDocumentWebSocketCallbackHandler",
    "SourceDocumentsStreamingCallbackHandler",
    "SourceDocumentsWebSocketCallbackHandler",
    "StepStreamingCallbackHandler",
    "StepWebSocketCallbackHandler",
    "StreamingCallbackHandler",
    "TokenStreamingCallbackHandler",
    "TokenWebSocketCallbackHandler",
    "ToolStreamingCallbackHandler",
    "ToolWebSocketCallbackHandler",
    "WebSocketCallbackHandler",
]


class StreamingCallbackHandler(EventCallbackHandler):
    """The base of handlers whose events go out over HTTP, as server-sent events.

    Override ``on_…`` methods of LangChain's ``AsyncCallbackHandler`` and call `send` in them.
    By default they send into a stream of their own, which `stream` gives to the run.
    """

    @property
    def stream(self) -> EventStream:
        """The stream that this handler sends into, for the `Run` that it belongs to.

        Raises:
            ConfigurationError: The handler sends elsewhere.
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


class TokenStreamingCallbackHandler(TokenHandler, StreamingCallbackHandler):
    """Streams the tokens of any chain over HTTP, as `completion` events.

    A model that does not stream has its whole text sent once. Nothing is sent twice, and if
    the chain returns something else in the end, a `retract` event takes back what was sent.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` sends `{"token": "Hel"}`, `"text"` sends `Hel`.
        output_key: Which of a chain's several outputs is the answer; without it, all of them
            are, as JSON, where no model's text is the answer.
        final_tag: The tag of the model runs whose text is the answer; without it, all runs
            that are not tagged `nostream`.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class TokenWebSocketCallbackHandler(TokenHandler, WebSocketCallbackHandler):
    """The same as `TokenStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class SourceDocumentStreamingCallbackHandler(SourceDocumentHandler, StreamingCallbackHandler):
    """Sends the source documents of a chain over HTTP, in one `source_documents` event at its end.

    They are those that the chain returns (as `source_documents` or `context`), or else what
    its retrievers found, best first and each once. List this handler after the one for the
    tokens, so that the documents come last.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; documents are JSON in both.
        only_returned: Send only documents that the chain returns.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class SourceDocumentWebSocketCallbackHandler(SourceDocumentHandler, WebSocketCallbackHandler):
    """The same as `SourceDocumentStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class FinalTokenStreamingCallbackHandler(FinalTokenHandler, StreamingCallbackHandler):
    """Streams an agent's final answer over HTTP, and none of its thoughts.

    The answer of an agent that calls tools is the message that calls none. A ReAct agent writes a
    prefix before its answer; it is found in the text, however the model cuts it into tokens. An
    agent that ends without an answer of its model (it ran out of iterations, say) has its
    output sent whole.

    The arguments of the prefix mean what LangChain's ``FinalStreamingStdOutCallbackHandler``
    documents.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` sends `{"token": "Hel"}`, `"text"` sends `Hel`.
        output_key: Which of the agent's outputs is the answer; by default `output`, or the
            last message.
        final_tag: The tag of the model runs whose text is the answer; without it, all runs
            that are not tagged `nostream` and not called by a tool.
        answer_prefix_tokens: The tokens that come before the answer; by default
            `["Final", "Answer", ":"]`, for models that have no tools and are in no graph.
        strip_tokens: Ignore white space and line breaks when comparing with the prefix; the
            answer then comes without white space around it, as the agent returns it.
        stream_prefix: Stream the prefix itself as well.
        hold_tokens: How many tokens of a model that has tools are buffered, since it may still
            call one; 0 buffers none, None all until the model has ended. What was sent before a
            tool call is taken back by a `retract` event.

    Raises:
        ConfigurationError: There is no such mode, the prefix has no text, or `hold_tokens` is
            less than 0. It is a ValueError.
    """


class FinalTokenWebSocketCallbackHandler(FinalTokenHandler, WebSocketCallbackHandler):
    """The same as `FinalTokenStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class CitationStreamingCallbackHandler(CitationHandler, StreamingCallbackHandler):
    """Sends the citations of an answer over HTTP, one `citation` event for each, at its end.

    They are those that the model's provider gives, with the part of the answer that each is about,
    where it says so. They come when the chain has ended, for until then the answer may be taken
    back.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; citations are JSON in both.
        final_tag: The tag of the model runs whose text is the answer; without it, all runs
            that are not tagged `nostream` and not called by a tool.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class CitationWebSocketCallbackHandler(CitationHandler, WebSocketCallbackHandler):
    """The same as `CitationStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class MediaStreamingCallbackHandler(MediaHandler, StreamingCallbackHandler):
    """Sends the files of an answer over HTTP, one `media` event for each, at its end.

    They are the images, sounds, videos and other files that a model has made, by their addresses,
    their ids at the provider, or in base64. Of one with more than 10 MiB of base64 only the type is
    sent.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; files are JSON in both.
        final_tag: The tag of the model runs whose text is the answer; without it, all runs
            that are not tagged `nostream` and not called by a tool.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class MediaWebSocketCallbackHandler(MediaHandler, WebSocketCallbackHandler):
    """The same as `MediaStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class ReasoningStreamingCallbackHandler(ReasoningHandler, StreamingCallbackHandler):
    """Streams what models think before they answer over HTTP, as `reasoning` events.

    It is the reasoning that their providers give, in blocks of content or beside it. A model that
    does not stream has all of it sent when it ends; nothing is sent twice. Between two parts of it,
    or that of two calls of the model, is an empty line. In a route the reasoning of a model that
    does not stream comes before its answer; LangChain itself calls handlers in any order.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` sends `{"token": "Hm"}`, `"text"` sends `Hm`.
        final_tag: The tag of the model runs whose reasoning is sent; without it, all runs that
            are not tagged `nostream` and not called by a tool.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class ReasoningWebSocketCallbackHandler(ReasoningHandler, WebSocketCallbackHandler):
    """The same as `ReasoningStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class ToolStreamingCallbackHandler(ToolHandler, StreamingCallbackHandler):
    """Sends over HTTP which tools an agent calls, how far they are, and what they return.

    Each call is one `tool_call` event, with all its arguments, and has one `tool_result` with the
    same `id`, when the tool has ended: what the model is told, or that the tool failed. The text of
    an exception is not sent. Between them `tool_progress` is sent for each
    `ToolRuntime.emit_output_delta`. A call that waits for a person has its result in the run that
    goes on with the answer. Calls of the provider's own tools, such as a web search, are sent too.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; these events are JSON in both.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class ToolWebSocketCallbackHandler(ToolHandler, WebSocketCallbackHandler):
    """The same as `ToolStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class StepStreamingCallbackHandler(StepHandler, StreamingCallbackHandler):
    """Sends `step` events over HTTP: which steps of a graph, and of the graphs in it, run.

    Each has its name, its agent's where it has one, and where it is; and ends as `finished`,
    `interrupted` or `failed`. Nodes that LangGraph or LangChain hides are not sent.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; steps are JSON in both.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class StepWebSocketCallbackHandler(StepHandler, WebSocketCallbackHandler):
    """The same as `StepStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


class CustomEventStreamingCallbackHandler(CustomEventHandler, StreamingCallbackHandler):
    """Sends `custom` events over HTTP: what an app's nodes and tools give to LangChain to send.

    They are the events of `adispatch_custom_event`. What a graph's nodes and tools write with
    `get_stream_writer()` reaches it in routes; by hand, give `write` what
    ``graph.astream(..., stream_mode="custom")`` yields.

    Args:
        stream: The stream to send into; a new one, found as `stream`, if there is none.
        mode: `"json"` or `"text"`; custom events are JSON in both.

    Raises:
        ConfigurationError: There is no such mode. It is a ValueError.
    """


class CustomEventWebSocketCallbackHandler(CustomEventHandler, WebSocketCallbackHandler):
    """The same as `CustomEventStreamingCallbackHandler`, over a WebSocket.

    Its arguments are the same. Each event is one JSON frame; without a `stream` it is sent straight
    to the WebSocket of the view that creates the handler.
    """


SourceDocumentsStreamingCallbackHandler = SourceDocumentStreamingCallbackHandler
"""The same as `SourceDocumentStreamingCallbackHandler`, for people who come from lanarky."""

SourceDocumentsWebSocketCallbackHandler = SourceDocumentWebSocketCallbackHandler
"""The same as `SourceDocumentWebSocketCallbackHandler`, for people who come from lanarky."""

PAIRS: Final[Mapping[type, tuple[type, type]]] = {
    TokenHandler: (TokenStreamingCallbackHandler, TokenWebSocketCallbackHandler),
    SourceDocumentHandler: (
        SourceDocumentStreamingCallbackHandler,
        SourceDocumentWebSocketCallbackHandler,
    ),
    CitationHandler: (CitationStreamingCallbackHandler, CitationWebSocketCallbackHandler),
    MediaHandler: (MediaStreamingCallbackHandler, MediaWebSocketCallbackHandler),
    ReasoningHandler: (ReasoningStreamingCallbackHandler, ReasoningWebSocketCallbackHandler),
    FinalTokenHandler: (FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler),
    ToolHandler: (ToolStreamingCallbackHandler, ToolWebSocketCallbackHandler),
    StepHandler: (StepStreamingCallbackHandler, StepWebSocketCallbackHandler),
    CustomEventHandler: (
        CustomEventStreamingCallbackHandler,
        CustomEventWebSocketCallbackHandler,
    ),
}
"""The public pair of each handler; routes use the handler itself, with a stream."""
