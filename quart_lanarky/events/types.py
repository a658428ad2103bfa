"""What goes to the client: the event, the names of the events, and their payloads.

The payload models are the source of truth for the wire format and for the documents made from
it. An :class:`Event` carries its payload as finished text, so that a payload that cannot be
serialised fails where it was made, in the handler, and never in the middle of a response.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from json.encoder import encode_basestring_ascii
from typing import Any, Final, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from ..errors import ConfigurationError

__all__ = [
    "COMPLETION",
    "END",
    "ERROR",
    "PING",
    "RETRACT",
    "SOURCE_DOCUMENTS",
    "CompletionData",
    "EndData",
    "ErrorData",
    "Event",
    "Mode",
    "PingData",
    "RetractData",
    "SourceDocument",
    "SourceDocumentsData",
    "check_mode",
    "completion",
    "end",
    "end_id",
    "error",
    "is_end_id",
    "json_event",
    "ping",
    "retract",
    "source_documents",
]

COMPLETION = "completion"
RETRACT = "retract"
SOURCE_DOCUMENTS = "source_documents"
ERROR = "error"
END = "end"
PING = "ping"

_to_json: Final = json.JSONEncoder(allow_nan=False).encode  # `json.dumps` would make one each time
_END_ID: Final = re.compile(rf"[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}/{END}")

Mode = Literal["text", "json"]
"""How tokens travel: as bare text, or as a JSON object."""


def check_mode(mode: str) -> Mode:
    """Return `mode`, or raise ConfigurationError (a ValueError) if there is no such mode."""
    for known in get_args(Mode):
        if mode == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise ConfigurationError(f"mode must be 'text' or 'json', not {mode!r}")


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")  # no field that the documents lack


class CompletionData(_Payload):
    """Some more of the answer."""

    token: str = Field(description="The text to add to what came before.")


class RetractData(_Payload):
    """The last tokens turned out not to be the answer: take them back."""

    tokens: int = Field(ge=1, description="How many of the last `completion` events to take back.")


class SourceDocument(_Payload):
    """One document that the answer rests on."""

    page_content: str = Field(description="The text.")
    metadata: dict[str, JsonValue] = Field(description="What its owner noted about it.")
    id: str | None = Field(description="Its id, if it has one.")
    type: str = Field(description="What kind of object it is, such as `Document`.")


class SourceDocumentsData(_Payload):
    """The documents that the answer rests on."""

    source_documents: list[SourceDocument] = Field(
        description="Best first, each once; empty when nothing was found."
    )


class ErrorData(_Payload):
    """Why there is no (complete) answer, in HTTP's terms."""

    status_code: int = Field(description="A status code of HTTP, such as 500.")
    detail: str = Field(description="The reason, for people.")


class EndData(_Payload):
    """The stream is complete."""

    run_id: str = Field(description="The id under which the server logged this run.")
    usage: dict[str, JsonValue] | None = Field(
        description="What the run cost, such as `input_tokens` and `output_tokens`; null where "
        "the model does not say."
    )


class PingData(RootModel[None]):
    """A sign of life, about no turn. Whoever answers `{"event": "pong"}` is not taken for gone."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event on its way to the client, or as the client's decoder gave it.

    Args:
        name: The event's name, without line breaks and not empty.
        data: The payload as text: the token itself, or a JSON document.
        id: The event's id in the sense of server-sent events, if it has one.
        is_json: Whether `data` is a JSON document. It only matters for a WebSocket, where
            JSON goes into the frame as it is and text as a JSON string; no decoder can know
            it, so it does not count when events are compared.
    """

    name: str
    data: str
    id: str | None = None
    is_json: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what would end the line of an `event:` or `id:` field early."""
        if not isinstance(self.data, str):
            raise TypeError(f"an event's data is text, not {type(self.data).__name__}")
        if not self.name or "\n" in self.name or "\r" in self.name:
            raise ConfigurationError(f"an event's name is one line of text, not {self.name!r}")
        if self.id is not None and not {"\n", "\r", "\0"}.isdisjoint(self.id):
            raise ConfigurationError(f"an event's id has no line break and no NUL: {self.id!r}")

    def json(self) -> Any:
        """Return the payload parsed as JSON.

        Raises:
            ValueError: `data` is bare text.
        """
        return json.loads(self.data)


def json_event(name: str, payload: BaseModel | JsonValue) -> Event:
    r"""Make an event that carries `payload` as JSON.

    The JSON is pure ASCII, so that clients that split lines at U+2028 or U+0085 survive, and
    so that half a surrogate pair, as some models emit, is still valid UTF-8 on the wire.

    Raises:
        TypeError, ValueError: JSON cannot express `payload` (NaN included).
    """
    data = payload.model_dump(mode="json") if isinstance(payload, BaseModel) else payload
    return Event(name, _to_json(data), is_json=True)


def completion(token: str, mode: Mode) -> Event:
    """Make the event for one token of the answer.

    The JSON is written without a model of it: this is done for every token. That it is what
    `CompletionData` says is for a test to hold.
    """
    if mode == "text":
        return Event(COMPLETION, token)
    return Event(COMPLETION, f'{{"token": {encode_basestring_ascii(token)}}}', is_json=True)


def retract(tokens: int) -> Event:
    """Make the event that takes back the last `tokens` completions: JSON in both modes."""
    return json_event(RETRACT, RetractData(tokens=tokens))


def source_documents(documents: list[SourceDocument]) -> Event:
    """Make the event for the documents behind the answer: JSON in both modes."""
    return json_event(SOURCE_DOCUMENTS, SourceDocumentsData(source_documents=documents))


def error(status_code: int, detail: str) -> Event:
    """Make the event that says why there is no (complete) answer: JSON in both modes."""
    return json_event(ERROR, ErrorData(status_code=status_code, detail=detail))


def ping() -> Event:
    """Make the event that keeps a quiet WebSocket alive. It is about no run."""
    return json_event(PING, PingData(None))


def end(run_id: UUID, usage: dict[str, JsonValue] | None, mode: Mode) -> Event:
    """Make the last event of a stream; its data is empty in text mode.

    It alone has an id, which a browser sends as `Last-Event-ID` when it reconnects.
    """
    if mode == "text":
        return Event(END, "", id=end_id(run_id))
    data = json_event(END, EndData(run_id=str(run_id), usage=usage))
    return replace(data, id=end_id(run_id))


def end_id(run_id: UUID) -> str:
    """Return the id of the `end` event of a run."""
    return f"{run_id}/{END}"


def is_end_id(id_: str) -> bool:
    """Tell whether `id_` is that of an `end` event: the stream was read to its end."""
    return _END_ID.fullmatch(id_) is not None
