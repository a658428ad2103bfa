"""The kinds of events: one record for each, with its name, payload, when it is sent, an example.

Everything else reads these records: the encoders of the protocols, the API docs and their
examples, the JSON response, the test helpers. A new kind of event is one record in `EVENT_KINDS`,
and the handler that sends it.

An :class:`Event` carries a value: the token itself, or what its payload model says, as plain JSON.
How it looks on the wire is for a protocol to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, JsonValue

from ..errors import ConfigurationError
from .payloads import (
    CitationData,
    CompletionData,
    CustomEventData,
    EndData,
    ErrorData,
    Interrupt,
    InterruptData,
    MediaData,
    Outcome,
    PingData,
    ReasoningData,
    RetractData,
    SourceDocument,
    SourceDocumentsData,
    StepData,
    ToolCallData,
    ToolProgressData,
    ToolResultData,
)

__all__ = [
    "CITATION",
    "COMPLETION",
    "CUSTOM",
    "END",
    "ERROR",
    "EVENT_KINDS",
    "INTERRUPT",
    "MEDIA",
    "PING",
    "REASONING",
    "RETRACT",
    "SHOWABLE",
    "SOURCE_DOCUMENTS",
    "STEP",
    "TOOL_CALL",
    "TOOL_PROGRESS",
    "TOOL_RESULT",
    "Event",
    "EventKind",
    "completion",
    "end",
    "end_id",
    "error",
    "error_event",
    "interrupt",
    "is_end_id",
    "json_event",
    "payload_event",
    "ping",
    "reasoning",
    "retract",
    "source_documents",
]

COMPLETION = "completion"
RETRACT = "retract"
SOURCE_DOCUMENTS = "source_documents"
INTERRUPT = "interrupt"
TOOL_CALL = "tool_call"
TOOL_PROGRESS = "tool_progress"
TOOL_RESULT = "tool_result"
REASONING = "reasoning"
STEP = "step"
CUSTOM = "custom"
CITATION = "citation"
MEDIA = "media"
ERROR = "error"
END = "end"
PING = "ping"

_to_json: Final = json.JSONEncoder(allow_nan=False).encode  # `json.dumps` would make one each time
_END_ID: Final = re.compile(rf"[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}/{END}")


# -- events --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run.

    Args:
        name: The event's name, without line breaks and not empty.
        data: The token itself, another bare text, or a JSON value. What JSON cannot express is
            refused here, where it is made, and not in the middle of a response.
        id: The event's id in the sense of server-sent events, if it has one.
        json: `data` as JSON, pure ASCII; None for a bare text. Made from `data`, unless it is
            given: a text that is to be sent as a JSON string.

    Raises:
        ConfigurationError: The name or the id would break the format of server-sent events.
        TypeError, ValueError: JSON cannot express `data` (NaN included).
    """

    name: str
    data: Any = field(hash=False)  # it may be a dict; `json` stands for it
    id: str | None = None
    json: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be sent, and write JSON where `data` is more than a text."""
        if not self.name or "\n" in self.name or "\r" in self.name:
            raise ConfigurationError(f"an event's name is one line of text, not {self.name!r}")
        if self.id is not None and not {"\n", "\r", "\0"}.isdisjoint(self.id):
            raise ConfigurationError(f"an event's id has no line break and no NUL: {self.id!r}")
        if self.json is None and not isinstance(self.data, str):
            object.__setattr__(self, "json", _to_json(self.data))

    @property
    def size(self) -> int:
        """How many characters it has: what a bound on memory counts."""
        return len(self.data if self.json is None else self.json)


def json_event(name: str, payload: BaseModel | JsonValue, id_: str | None = None) -> Event:
    r"""Make an event that carries `payload` as JSON, a text as a JSON string.

    The JSON is pure ASCII, so that clients that split lines at U+2028 or U+0085 survive, and
    so that half a surrogate pair, as some models emit, is still valid UTF-8 on the wire.

    Raises:
        TypeError, ValueError: JSON cannot express `payload` (NaN included).
    """
    data = payload.model_dump(mode="json") if isinstance(payload, BaseModel) else payload
    return Event(name, data, id_, _to_json(data))


def payload_event(name: str, payload: BaseModel) -> Event:
    """Make an event of `payload`, without the fields that were not given."""
    return json_event(name, payload.model_dump(mode="json", exclude_unset=True))


def completion(token: str) -> Event:
    """Make the event for one token of the answer."""
    return Event(COMPLETION, token)


def retract(tokens: int) -> Event:
    """Make the event that takes back the last `tokens` completions."""
    return json_event(RETRACT, RetractData(tokens=tokens))


def source_documents(documents: list[SourceDocument]) -> Event:
    """Make the event for the source documents of the answer."""
    return json_event(SOURCE_DOCUMENTS, SourceDocumentsData(source_documents=documents))


def interrupt(interrupts: list[Interrupt]) -> Event:
    """Make the event for what a graph waits for."""
    return payload_event(INTERRUPT, InterruptData(interrupts=interrupts))


def reasoning(token: str) -> Event:
    """Make the event for one token of what a model thinks."""
    return Event(REASONING, token)


def error(status_code: int, detail: str) -> Event:
    """Make the event that says why there is no (complete) answer."""
    return error_event(ErrorData(status_code=status_code, detail=detail))


def error_event(data: ErrorData) -> Event:
    """Make the event for a payload that says why there is no (complete) answer."""
    return payload_event(ERROR, data)


def ping() -> Event:
    """Make the event that keeps an idle WebSocket alive. It is about no run."""
    return json_event(PING, PingData(None))


def end(run_id: UUID, usage: dict[str, JsonValue] | None, outcome: Outcome = "finished") -> Event:
    """Make the last event of a stream.

    It alone has an id, which a browser sends as `Last-Event-ID` when it reconnects.
    """
    data = EndData(run_id=str(run_id), usage=usage, outcome=outcome)
    return json_event(END, data, end_id(run_id))


def end_id(run_id: UUID) -> str:
    """Return the id of the `end` event of a run."""
    return f"{run_id}/{END}"


def is_end_id(id_: str) -> bool:
    """Tell whether `id_` is that of an `end` event: the stream was read to its end."""
    return _END_ID.fullmatch(id_) is not None


# -- the registry --------------------------------------------------------------------------


@dataclass(frozen=True)
class EventKind:
    """One kind of event.

    Attributes:
        name: The event's name.
        payload: The model of its payload.
        when: When it is sent, as half a sentence.
        examples: One or several in a row, as a run could send them.
        text_field: The field of the payload that an event carries alone, as its `data`: events
            of this kind are many, and each has only a text.
        is_always_sent: Whether every run may send it, whichever handlers it has.
        in_json_response: Whether the JSON response has the fields of its payload as well.
        is_of_the_connection: Whether it is about the connection and no run.
        shown_by: What a route has to name in `show=` for it to leave the server; None if it
            always does.
    """

    name: str
    payload: type[BaseModel]
    when: str
    examples: tuple[Event, ...]
    text_field: str | None = None
    is_always_sent: bool = False
    in_json_response: bool = False
    is_of_the_connection: bool = False
    shown_by: str | None = None


_TOKENS: Final = ("A token", " is a piece", " of text.")
_CALL_ID: Final = "call_4gNqcdVd1rR0"

_KINDS: Final = (
    EventKind(
        COMPLETION,
        CompletionData,
        "for each token of the answer",
        tuple(map(completion, _TOKENS)),
        text_field="token",
    ),
    EventKind(RETRACT, RetractData, "rarely, to take tokens back", (retract(len(_TOKENS)),)),
    EventKind(
        SOURCE_DOCUMENTS,
        SourceDocumentsData,
        "once, after the last token, where source documents were looked up",
        (
            source_documents(
                [
                    SourceDocument(
                        page_content="A model reads and writes text in tokens.",
                        metadata={"source": "tokens.md"},
                        id=None,
                        type="Document",
                    )
                ]
            ),
        ),
        in_json_response=True,
    ),
    EventKind(
        REASONING,
        ReasoningData,
        "for each token of what the model thinks",
        (reasoning("They ask what a token is."),),
        text_field="token",
        shown_by="reasoning",
    ),
    EventKind(
        TOOL_CALL,
        ToolCallData,
        "for each call of a tool, once its arguments are complete",
        (
            payload_event(
                TOOL_CALL, ToolCallData(id=_CALL_ID, name="search", args={"query": "token"})
            ),
        ),
        shown_by="tools",
    ),
    EventKind(
        TOOL_PROGRESS,
        ToolProgressData,
        "whenever a tool says how far it is",
        (payload_event(TOOL_PROGRESS, ToolProgressData(id=_CALL_ID, data="2 of 3 pages read")),),
        shown_by="tools",
    ),
    EventKind(
        TOOL_RESULT,
        ToolResultData,
        "when a tool has ended",
        (
            payload_event(
                TOOL_RESULT,
                ToolResultData(
                    id=_CALL_ID,
                    name="search",
                    status="success",
                    content="A token is a piece of text.",
                ),
            ),
        ),
        shown_by="tools",
    ),
    EventKind(
        STEP,
        StepData,
        "when a step of a graph, or a subagent, begins or ends",
        tuple(
            payload_event(STEP, StepData(name="model", namespace=[], status=status))
            for status in ("started", "finished")
        ),
        shown_by="steps",
    ),
    EventKind(
        CUSTOM,
        CustomEventData,
        "for what a node or a tool of this app sends",
        (payload_event(CUSTOM, CustomEventData(name="progress", data={"percent": 50})),),
        shown_by="custom",
    ),
    EventKind(
        CITATION,
        CitationData,
        "for each citation in the answer",
        (
            payload_event(
                CITATION,
                CitationData(
                    start=0,
                    end=7,
                    url="https://example.org/tokens",
                    title="About tokens",
                    cited_text=None,
                ),
            ),
        ),
        shown_by="citations",
    ),
    EventKind(
        MEDIA,
        MediaData,
        "for each file of the answer",
        (
            payload_event(
                MEDIA,
                MediaData(type="image", mime_type="image/png", url="https://example.org/token.png"),
            ),
        ),
        shown_by="media",
    ),
    EventKind(
        INTERRUPT,
        InterruptData,
        "once, before `end`, if the graph waits for a person",
        (
            interrupt(
                [
                    Interrupt(
                        id="0c6a4ae3c1fb5ab0f4cd07d8f4c3e7d1",
                        value="May I search the web?",
                        response_schema={"type": "boolean"},
                    )
                ]
            ),
        ),
        in_json_response=True,
    ),
    EventKind(
        ERROR,
        ErrorData,
        "at most once, if there is no (complete) answer",
        (error(500, "Internal Server Error"),),
        is_always_sent=True,
    ),
    EventKind(
        END,
        EndData,
        "exactly once, last, whatever happened",
        (
            end(
                UUID("3f0e6c2a-5d0b-4c39-9f5b-2f6c1b1f4a53"),
                {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17},
                "finished",
            ),
        ),
        is_always_sent=True,
    ),
    EventKind(
        PING,
        PingData,
        "when nothing else was sent for a while",
        (ping(),),
        is_of_the_connection=True,
    ),
)

EVENT_KINDS: Final[Mapping[str, EventKind]] = {kind.name: kind for kind in _KINDS}
"""The kinds by their names, in the order in which the API docs list them."""

SHOWABLE: Final = tuple(
    dict.fromkeys(kind.shown_by for kind in _KINDS if kind.shown_by is not None)
)
"""What a route may name in `show=`."""
