"""The components for events: a server-sent event for OpenAPI, a WebSocket frame for AsyncAPI.

Both carry the same payloads in different envelopes: the data of a server-sent event is text, with
JSON in it; the data of a frame is the JSON itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from ..events import (
    COMPLETION,
    END,
    ERROR,
    RETRACT,
    SOURCE_DOCUMENTS,
    CompletionData,
    EndData,
    ErrorData,
    Mode,
)
from .components import Components, Schema
from .routes import RouteDescription

__all__ = ["Envelope", "EventKind", "event_kinds", "frame", "pascal", "server_sent_event"]

_ALWAYS: Final[Mapping[str, Any]] = {ERROR: ErrorData, END: EndData}
"""What every run sends, whichever handlers it has."""

_WHEN: Final = {
    COMPLETION: "for each token of the answer",
    RETRACT: "rarely, to take tokens back",
    SOURCE_DOCUMENTS: "once, after the last token, where documents were looked up",
    ERROR: "at most once, if there is no (complete) answer",
    END: "exactly once, last, whatever happened",
}


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
        said = inspect.getdoc(self.payload) if isinstance(self.payload, type) else None
        meaning = said.partition("\n\n")[0] if said and self.payload is not str else ""
        return f"{meaning} It comes {self.when}.".strip()


def event_kinds(description: RouteDescription) -> list[EventKind]:
    """Return the kinds of events that a route can send, in the order in which they come."""
    named = {**description.events, **_ALWAYS}
    order = [*(n for n in named if n not in _WHEN), *(n for n in _WHEN if n in named)]
    kinds = [_kind(name, named[name], description.mode) for name in order]
    others = EventKind("", Any, others=tuple(order))
    return [*kinds, others] if description.sends_other_events else kinds


def _kind(name: str, payload: Any, mode: Mode) -> EventKind:
    in_text_mode = mode == "text"
    if name == END and in_text_mode:
        return EventKind(name, str, as_text=True, is_empty=True)
    as_text = payload is str or (payload is CompletionData and in_text_mode)
    return EventKind(name, payload, as_text=as_text)


Envelope = Callable[[EventKind, Components], Schema]
"""Adds the component for an event, and returns the reference to it."""


def server_sent_event(kind: EventKind, components: Components) -> Schema:
    """Add the component for a server-sent event, as a parser of the format gives it."""
    data: Schema = {"type": "string"}
    if kind.is_empty:
        data["const"] = ""
    elif kind.name and not kind.as_text:
        data["contentMediaType"] = "application/json"
        data["contentSchema"] = _payload(kind, components)
    return components.add(f"{kind.title}Event", _object(kind, data))


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
    if not kind.name:
        return {}
    schema = components.of(kind.payload, "serialization")
    if "$ref" in schema or not isinstance(kind.payload, type):
        return schema
    return components.add(kind.payload.__name__, schema)


def pascal(name: str) -> str:
    """Return a name in PascalCase: `source_documents` as `SourceDocuments`."""
    words = "".join(c if c.isalnum() and c.isascii() else " " for c in name).split()
    return "".join(word[:1].upper() + word[1:] for word in words) or "Chain"
