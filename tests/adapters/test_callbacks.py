"""The public handlers: their arguments, where they send, and their effect on a chain."""

import asyncio
import json
from functools import partial
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from quart import Quart

from quart_lanarky.adapters.langchain import callbacks
from quart_lanarky.adapters.langchain.callbacks import (
    CitationStreamingCallbackHandler,
    CitationWebSocketCallbackHandler,
    EventCallbackHandler,
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    MediaStreamingCallbackHandler,
    MediaWebSocketCallbackHandler,
    ReasoningStreamingCallbackHandler,
    ReasoningWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    StreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    ToolStreamingCallbackHandler,
    ToolWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)
from quart_lanarky.events import Event
from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.native.encode import Mode, encode
from quart_lanarky.protocols.sse import Decoder
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.testing import answer_of
from quart_lanarky.transports.sse_response import EventStreamResponse
from quart_lanarky.transports.websocket_session import answer

MODES: list[Mode] = ["text", "json"]
STREAMING = [
    TokenStreamingCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    FinalTokenStreamingCallbackHandler,
    ReasoningStreamingCallbackHandler,
    CitationStreamingCallbackHandler,
    MediaStreamingCallbackHandler,
    ToolStreamingCallbackHandler,
]
WEBSOCKET = [
    TokenWebSocketCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    ReasoningWebSocketCallbackHandler,
    CitationWebSocketCallbackHandler,
    MediaWebSocketCallbackHandler,
    ToolWebSocketCallbackHandler,
]


class Recorder:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def send(self, event: Event, /) -> None:
        self.events.append(event)


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_an_unknown_mode_is_a_value_error_at_construction(handler: type[Any]) -> None:
    with pytest.raises(ValueError, match="'text' or 'json'"):
        handler(mode="xml")


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_both_modes_are_accepted_and_json_is_the_default(handler: type[Any]) -> None:
    assert [handler().mode, handler(mode="text").mode, handler(mode="json").mode] == [
        "json",
        "text",
        "json",
    ]


def test_each_handler_derives_from_the_base_of_its_transport() -> None:
    assert all(issubclass(handler, StreamingCallbackHandler) for handler in STREAMING)
    assert all(issubclass(handler, WebSocketCallbackHandler) for handler in WEBSOCKET)


def test_the_plural_spellings_are_aliases() -> None:
    assert (
        callbacks.SourceDocumentsStreamingCallbackHandler is SourceDocumentStreamingCallbackHandler
    )
    assert (
        callbacks.SourceDocumentsWebSocketCallbackHandler is SourceDocumentWebSocketCallbackHandler
    )


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_a_handler_sends_to_the_sink_that_it_was_given(handler: type[EventCallbackHandler]) -> None:
    stream = EventStream()
    assert handler(stream).sink is stream


def test_a_streaming_handler_without_a_sink_has_its_own_stream() -> None:
    first, second = TokenStreamingCallbackHandler(), TokenStreamingCallbackHandler()
    assert first.stream is not second.stream
    with pytest.raises(ValueError, match="does not send into an EventStream"):
        TokenStreamingCallbackHandler(Recorder()).stream  # noqa: B018


async def test_a_websocket_handler_raises_on_send_outside_a_websocket() -> None:
    with pytest.raises(RuntimeError, match="websocket context"):
        await TokenWebSocketCallbackHandler().send("note", "hi")


async def test_custom_events_are_text_or_json() -> None:
    sink = Recorder()
    handler = StreamingCallbackHandler(sink)
    await handler.send("note", "hi")
    await handler.send("tool", {"name": "calculator"})
    assert sink.events == [Event("note", "hi"), Event("tool", {"name": "calculator"})]
    assert [event.json for event in sink.events] == [None, '{"name": "calculator"}']
    for mode in MODES:
        sent = [encode(event, mode) for event in sink.events]
        assert sent == [EncodedEvent("note", "hi"), EncodedEvent("tool", '{"name": "calculator"}')]
        assert [event.is_json for event in sent] == [False, True]


# -- modes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", STREAMING)
def test_a_handler_used_directly_passes_its_mode_to_its_stream_and_run(
    handler: type[Any],
) -> None:
    stream = handler(mode="text").stream
    assert stream.mode == "text"
    assert Run(stream, lambda: asyncio.sleep(0)).mode == "text"


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_a_handler_passes_its_mode_to_a_given_stream(handler: type[Any]) -> None:
    stream = EventStream()
    handler(stream, mode="text")
    assert stream.mode == "text"


@pytest.mark.parametrize("handler", [*STREAMING, *WEBSOCKET])
def test_a_handler_without_a_mode_leaves_that_of_its_stream_unchanged(
    handler: type[Any],
) -> None:
    stream = EventStream()
    handler(stream)
    assert stream.mode is None
    stream.mode = "text"
    handler(stream)
    assert stream.mode == "text"


@pytest.mark.parametrize(
    ("mode", "data"), [("text", "one, ,two"), ("json", '{"token": "one"},{"token": " "}')]
)
async def test_a_stream_of_handlers_used_directly_is_sent_in_their_mode(
    mode: Mode, data: str
) -> None:
    app = Quart(__name__)

    @app.get("/by-hand")
    async def by_hand() -> EventStreamResponse:
        handler = TokenStreamingCallbackHandler(mode=mode)
        model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
        work = partial(model.ainvoke, "?", {"callbacks": [handler]})
        return EventStreamResponse(Run(handler.stream, work))

    response = await app.test_client().get("/by-hand")
    *tokens, end = Decoder().feed(await response.get_data(as_text=False))
    assert [event.name for event in tokens] == ["completion"] * 3
    assert ",".join(event.data for event in tokens).startswith(data)
    assert answer_of(tokens, mode) == "one two"
    assert end.name == "end"
    assert (end.data == "") is (mode == "text")


@pytest.mark.parametrize(
    ("mode", "data"),
    [
        ("text", ["one", " ", "two", "x"]),
        ("json", [{"token": "one"}, {"token": " "}, {"token": "two"}, {"token": "x"}]),
    ],
)
async def test_a_websocket_handler_sends_tokens_in_its_mode(mode: Mode, data: Any) -> None:
    app = Quart(__name__)

    @app.websocket("/ws")
    async def talk() -> None:
        handler = TokenWebSocketCallbackHandler(mode=mode)
        model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
        await model.ainvoke("?", {"callbacks": [handler]})
        await asyncio.to_thread(asyncio.run, handler.send("completion", {"token": "x"}))
        await handler.send("note", "hi")
        await handler.send("tool", {"name": "calculator"})

    async with app.test_client().websocket("/ws") as connection:
        frames = [json.loads(await connection.receive()) for _ in range(6)]
    assert frames == [
        *({"event": "completion", "data": token} for token in data),
        {"event": "note", "data": "hi"},
        {"event": "tool", "data": {"name": "calculator"}},
    ]


@pytest.mark.parametrize(
    ("mode", "data"),
    [("text", ["x", ""]), ("json", [{"token": "x"}, {"run_id", "usage", "outcome"}])],
)
async def test_a_run_started_directly_is_answered_on_a_websocket_in_its_handlers_mode(
    mode: Mode, data: Any
) -> None:
    app = Quart(__name__)

    @app.websocket("/ws")
    async def talk() -> None:
        stream = EventStream()
        handler = TokenWebSocketCallbackHandler(stream, mode=mode)
        await answer(Run(stream, lambda: handler.send("completion", "x")))

    async with app.test_client().websocket("/ws") as connection:
        token, end = [json.loads(await connection.receive()) for _ in range(2)]
    assert token == {"event": "completion", "data": data[0]}
    assert (end["event"], end["data"] and set(end["data"])) == ("end", data[1])


# -- tokens --------------------------------------------------------------------------------


async def test_a_token_handler_makes_a_chat_model_stream_under_ainvoke() -> None:
    sink = Recorder()
    model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await model.ainvoke("?", {"callbacks": [handler]})
    assert [event.data for event in sink.events] == ["one", " ", "two"]


async def test_a_token_handler_makes_a_chat_model_stream_under_invoke_in_a_thread() -> None:
    sink = Recorder()
    model = GenericFakeChatModel(messages=iter([AIMessage("one two")]))
    handler = TokenStreamingCallbackHandler(sink, mode="text")
    await asyncio.to_thread(model.invoke, "?", {"callbacks": [handler]})
    assert [event.data for event in sink.events] == ["one", " ", "two"]


@pytest.mark.parametrize(
    "handler", [FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler]
)
def test_a_prefix_without_text_is_a_value_error_at_construction(handler: type[Any]) -> None:
    with pytest.raises(ValueError, match="answer_prefix_tokens"):
        handler(answer_prefix_tokens=["", " "])


@pytest.mark.parametrize(
    "handler", [FinalTokenStreamingCallbackHandler, FinalTokenWebSocketCallbackHandler]
)
def test_a_negative_hold_tokens_is_a_value_error(handler: type[Any]) -> None:
    with pytest.raises(ValueError, match="hold_tokens is a number of tokens or None, not -1"):
        handler(hold_tokens=-1)


# -- effects of a handler on its chain -----------------------------------------------------


async def test_a_chain_can_be_cancelled_while_a_handler_waits_for_the_reader() -> None:
    stream = EventStream(max_events=1)
    stream.open()
    model = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
    chain = RunnableLambda(lambda text: text) | model
    handler = TokenStreamingCallbackHandler(stream)
    task = asyncio.create_task(chain.ainvoke("?", {"callbacks": [handler]}))
    await asyncio.sleep(0.05)
    assert not task.done()  # the stream is full and has no reader
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
