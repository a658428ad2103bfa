"""What a type checker says of handlers, runs and signals: mypy reads this, and nobody runs it."""

from typing import Any, Literal, assert_type
from uuid import UUID

from blinker import NamedSignal
from pydantic import BaseModel
from quart import Quart, Response, websocket

from quart_lanarky import (
    Event,
    EventStream,
    EventStreamResponse,
    Run,
    RunReport,
    answer,
    check_origin,
    run_started,
    serve,
)
from quart_lanarky.adapters.langchain.callbacks import (
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
    WebSocketCallbackHandler,
)


class ToolUse(BaseModel):
    name: str


class ToolNotices(TokenStreamingCallbackHandler):
    events = {"tool": ToolUse, "note": str}  # noqa: RUF012  # as the documentation shows it

    async def on_tool_start(
        self, serialized: dict[str, Any], input_str: str, **kwargs: Any
    ) -> None:
        await super().on_tool_start(serialized, input_str, **kwargs)
        await self.send("tool", ToolUse(name=serialized["name"]))
        await self.send("tool", {"name": serialized["name"], "inputs": [input_str, None]})
        await self.send("note", "text")
        await self.send("note")  # type: ignore[call-arg]
        await self.send("note", b"bytes")  # type: ignore[arg-type]
        await self.send("tool", {"name": kwargs.keys()})  # type: ignore[dict-item]


handler = ToolNotices(mode="text")
assert_type(handler.mode, Literal["text", "json"])
assert_type(handler.stream, EventStream)
TokenStreamingCallbackHandler(EventStream(), output_key="answer", final_tag="answer")
FinalTokenStreamingCallbackHandler(answer_prefix_tokens=["Final", "Answer", ":"], hold_tokens=None)
FinalTokenWebSocketCallbackHandler(EventStream(), strip_tokens=True, stream_prefix=False)
SourceDocumentStreamingCallbackHandler(handler.stream, only_returned=True)
TokenStreamingCallbackHandler(mode="html")  # type: ignore[arg-type]
TokenStreamingCallbackHandler([])  # type: ignore[arg-type]
TokenStreamingCallbackHandler(answer_prefix_tokens=[])  # type: ignore[call-arg]  # of agents
elsewhere = TokenWebSocketCallbackHandler().stream  # type: ignore[attr-defined]  # it sends straight away


class Everything:
    """A sink need not be a stream."""

    async def send(self, event: Event, /) -> None:
        assert_type(event.name, str)


WebSocketCallbackHandler(Everything())


async def produce() -> str:
    return "answer"


def respond() -> Response:
    run = Run(handler.stream, produce, mode=handler.mode)
    assert_type(run.time_to_first_token, float | None)
    Run(handler, produce)  # type: ignore[arg-type]
    Run(handler.stream, produce())  # type: ignore[arg-type]
    EventStreamResponse(handler.stream)  # type: ignore[arg-type]
    EventStream(10)  # type: ignore[call-arg]  # by their names only
    return EventStreamResponse(run)


async def talk() -> None:
    check_origin(websocket, ["https://chat.example.org"])
    assert_type(await answer(Run(handler.stream, produce)), None)
    await answer(handler.stream)  # type: ignore[arg-type]
    check_origin(websocket, None)  # type: ignore[arg-type]


def report(app: Quart, run: RunReport) -> None:
    assert_type(run.run_id, UUID)
    assert_type(run.route, str | None)
    assert_type(run.duration, float)
    assert_type(run.time_to_first_token, float | None)
    run.tokens = 0  # type: ignore[misc]  # it is frozen
    app.logger.info("%s", run)


assert_type(run_started, NamedSignal)
run_started.connect(report)

event = Event("note", "text", id="1")
assert_type(event.id, str | None)
event.name = "other"  # type: ignore[misc]  # it is frozen
assert_type(Event("note", {"text": "text"}).json, str | None)
Event("note")  # type: ignore[call-arg]
Event("note", "text", id=1)  # type: ignore[arg-type]

if __name__ == "__main__":
    serve("app:app", bind=["127.0.0.1:8000", "unix:socket"], workers=2)
    serve(Quart(__name__), "127.0.0.1:8000")  # type: ignore[call-arg]  # by its name only
    serve("app:app", workers="two")  # type: ignore[arg-type]
