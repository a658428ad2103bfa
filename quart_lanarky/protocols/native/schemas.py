"""The components for what goes in and out: inputs, and events in their envelopes.

A server-sent event (for OpenAPI) and a WebSocket's frame (for AsyncAPI) carry the same payloads.
The data of the one is text, with JSON in it; the data of the other is the JSON itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ...events import (
    COMPLETION,
    END,
    ERROR,
    PING,
    RETRACT,
    SOURCE_DOCUMENTS,
    CompletionData,
    EndData,
    ErrorData,
    Mode,
    PingData,
)
from ..base import RouteDescription
from ..json_schema import Components, Schema

__all__ = [
    "EventKind",
    "event_kinds",
    "event_table",
    "frame",
    "frame_kinds",
    "input_schema",
    "pascal",
    "server_sent_event",
]

_ALWAYS: Final[Mapping[str, Any]] = {ERROR: ErrorData, END: EndData}
"""What every run sends, whichever handlers it has."""

_WHEN: Final = {
    COMPLETION: "for each token of the answer",
    RETRACT: "rarely, to take tokens back",
    SOURCE_DOCUMENTS: "once, after the last token, where documents were looked up",
    ERROR: "at most once, if there is no (complete) answer",
    END: "exactly once, last, whatever happened",
    PING: "when nothing else was sent for a while",
}
_END_ID: Final = {
    "type": "string",
    "pattern": f"^[-0-9a-f]{{36}}/{END}$",
    "description": "What a browser sends as `Last-Event-ID` if it reconnects: the answer is 204.",
}


def event_table(kinds: Iterable[EventKind], data: Mapping[str, str]) -> str:
    """Return the events in a table of Markdown: this is what people read first.

    Args:
        kinds: The events.
        data: For each name an example of its data.
    """
    rows = [f"| `{k.name or '…'}` | {_cell(k, data.get(k.name))} | {k.when} |" for k in kinds]
    return "\n".join(["| event | data, for example | sent |", "|---|---|---|", *rows])


def _cell(kind: EventKind, example: str | None) -> str:
    if example is None:
        return "JSON" if kind.name else "of the app's own"
    code = example.replace("|", "\\|")
    return f"`{code}`" if code else "empty"


class EventKind(NamedTuple):
    """A kind of event that a route can send.

    Attributes:
        name: The event's name; empty for those that no handler declares.
        payload: The type of its payload.
        as_text: Whether the data is bare text, and no JSON.
        is_empty: Whether the data is always empty.
        others: The names that it does not have, if it has no name.
    """

    name: str
    payload: Any
    as_text: bool = False
    is_empty: bool = False
    others: tuple[str, ...] = ()

    @property
    def when(self) -> str:
        """When it is sent, as half a sentence."""
        return _WHEN.get(self.name, "by a handler of this app")

    @property
    def title(self) -> str:
        """What its component is named after."""
        bare = self.name in (COMPLETION, END) and self.as_text
        return pascal(self.name or "other") + ("Text" if bare else "")

    @property
    def description(self) -> str:
        """What it means, in one sentence."""
        if not self.name:
            return "An event of the app's own that it does not describe any further."
        own = vars(self.payload).get("__doc__") if isinstance(self.payload, type) else None
        is_described = own is not None and self.payload.__module__ != "builtins"
        meaning = inspect.cleandoc(own or "").partition("\n\n")[0] if is_described else ""
        return f"{meaning} It comes {self.when}.".strip()


_PING: Final = EventKind(PING, PingData)


def input_schema(description: RouteDescription, components: Components) -> Schema:
    """Return the schema of a route's inputs; what it does not name is refused."""
    schema = components.resolve(components.of(description.body, "validation"))
    if "properties" in schema and not description.takes_other_inputs:
        return {"additionalProperties": False, **schema}
    return schema


def event_kinds(description: RouteDescription) -> list[EventKind]:
    """Return the kinds of events that a route can send, in the order in which they come."""
    named = {**description.events, **_ALWAYS}
    order = [*(n for n in named if n not in _WHEN), *(n for n in _WHEN if n in named)]
    kinds = [_kind(name, named[name], description.mode) for name in order]
    others = EventKind("", Any, others=tuple(order))
    return [*kinds, others] if description.sends_other_events else kinds


def frame_kinds(description: RouteDescription) -> list[EventKind]:
    """Return the same for a WebSocket, which has a sign of life among its frames."""
    *kinds, last = event_kinds(description)
    if not last.name:
        return [*kinds, _PING, last._replace(others=(*last.others, PING))]
    return [*kinds, last, _PING]


def _kind(name: str, payload: Any, mode: Mode) -> EventKind:
    in_text_mode = mode == "text"
    if name == END and in_text_mode:
        return EventKind(name, str, as_text=True, is_empty=True)
    as_text = payload is str or (payload is CompletionData and in_text_mode)
    return EventKind(name, payload, as_text=as_text)


def server_sent_event(kind: EventKind, components: Components) -> Schema:
    """Add the component for a server-sent event, as a parser of the format gives it."""
    data: Schema = {"type": "string"}
    if kind.is_empty:
        data["const"] = ""
    elif kind.name and not kind.as_text:
        data["contentMediaType"] = "application/json"
        data["contentSchema"] = _payload(kind, components)
    schema = _object(kind, data)
    if kind.name == END:
        schema["properties"] |= {"id": _END_ID}
        schema["required"] = [*schema["required"], "id"]
    return components.add(f"{kind.title}Event", schema)


def frame(kind: EventKind, components: Components) -> Schema:
    """Add the component for the object in a WebSocket's text frame."""
    data: Schema = {"type": "string"} if kind.as_text else _payload(kind, components)
    if kind.is_empty:
        data["const"] = ""
    return components.add(f"{kind.title}Frame", _object(kind, data))


def _object(kind: EventKind, data: Schema) -> Schema:
    which: Schema = {"const": kind.name} if kind.name else {"not": {"enum": list(kind.others)}}
    return {
        "type": "object",
        "description": kind.description,
        "properties": {"event": {"type": "string", **which}, "data": data},
        "required": ["event", "data"],
        "additionalProperties": False,
    }


def _payload(kind: EventKind, components: Components) -> Schema:
    return components.named(kind.payload, "serialization") if kind.name else {}


def pascal(name: str) -> str:
    """Return a name in PascalCase: `source_documents` as `SourceDocuments`."""
    words = "".join(c if c.isalnum() and c.isascii() else " " for c in name).split()
    return "".join(word[:1].upper() + word[1:] for word in words) or "Chain"
