"""Make the schemas of encoded events for the API specs.

A server-sent event (for OpenAPI) and a WebSocket frame (for AsyncAPI) have the same payloads. The
data of a server-sent event is text that contains JSON; the data of a frame is the JSON itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ...events import END, EVENT_KINDS, PING
from ..base import RouteDescription
from ..json_schema import Components, Schema, pascal
from .encode import Mode

__all__ = [
    "RouteEvent",
    "event_kinds",
    "event_table",
    "frame_kinds",
    "frame_schema",
    "server_sent_event",
]

_ALWAYS_SENT: Final = {
    kind.name: kind.payload for kind in EVENT_KINDS.values() if kind.is_always_sent
}
"""The payload types of the events that every run sends, whichever handlers it has."""

_END_ID_SCHEMA: Final = {
    "type": "string",
    "pattern": f"^[-0-9a-f]{{36}}/{END}$",
    "description": "What a browser sends as `Last-Event-ID` if it reconnects: the answer is 204.",
}


def event_table(kinds: Iterable[RouteEvent], data: Mapping[str, str]) -> str:
    """Return a Markdown table of events for the top of a description in the API docs.

    Args:
        kinds: The events.
        data: An example of the data of each event, by name.
    """
    rows = [f"| `{k.name or '…'}` | {_data_cell(k, data.get(k.name))} | {k.when} |" for k in kinds]
    return "\n".join(["| event | data, for example | sent |", "|---|---|---|", *rows])


def _data_cell(kind: RouteEvent, example: str | None) -> str:
    if example is None:
        return "JSON" if kind.name else "of the app's own"
    code = example.replace("|", "\\|")
    return f"`{code}`" if code else "empty"


class RouteEvent(NamedTuple):
    """A kind of event that a route can send.

    Attributes:
        name: The event's name; empty for all undeclared events.
        payload: The type of its payload.
        as_text: Whether the data is bare text and not JSON.
        is_empty: Whether the data is always empty.
        others: The names that undeclared events cannot have.
    """

    name: str
    payload: Any
    as_text: bool = False
    is_empty: bool = False
    others: tuple[str, ...] = ()

    @property
    def is_built_in(self) -> bool:
        """Whether it is one of ours: an app may declare a payload of its own under its name."""
        return _is_built_in(self.name, self.payload)

    @property
    def when(self) -> str:
        """When it is sent, as the end of a sentence."""
        kind = EVENT_KINDS[self.name] if self.is_built_in else None
        return "by a handler of this app" if kind is None else kind.when

    @property
    def title(self) -> str:
        """The name of its component, without the suffix."""
        bare = self.is_built_in and self.as_text
        return pascal(self.name or "other") + ("Text" if bare else "")

    @property
    def description(self) -> str:
        """Its meaning and when it is sent, for the API docs."""
        if not self.name:
            return "An event of the app's own that it does not describe any further."
        own = vars(self.payload).get("__doc__") if isinstance(self.payload, type) else None
        is_described = own is not None and self.payload.__module__ != "builtins"
        meaning = inspect.cleandoc(own or "").partition("\n\n")[0] if is_described else ""
        return f"{meaning} It comes {self.when}.".strip()


def _is_built_in(name: str, payload: Any) -> bool:
    """Tell whether an event is one of ours; in text mode the payload of some is bare text."""
    kind = EVENT_KINDS.get(name)
    return kind is not None and (payload is kind.payload or payload is str)


_PING: Final = RouteEvent(PING, EVENT_KINDS[PING].payload)


def event_kinds(description: RouteDescription, mode: Mode) -> list[RouteEvent]:
    """Return the kinds of events that a route can send, in the order in which they are sent."""
    named = {**description.events, **_ALWAYS_SENT}
    own = [name for name, payload in named.items() if not _is_built_in(name, payload)]
    order = [*own, *(name for name in EVENT_KINDS if name in named and name not in own)]
    kinds = [_route_event(name, named[name], mode) for name in order]
    others = RouteEvent("", Any, others=tuple(order))
    return [*kinds, others] if description.sends_other_events else kinds


def frame_kinds(description: RouteDescription, mode: Mode) -> list[RouteEvent]:
    """Return the kinds of events in the frames of a WebSocket, which include `ping`."""
    *kinds, last = event_kinds(description, mode)
    if not last.name:
        return [*kinds, _PING, last._replace(others=(*last.others, PING))]
    return [*kinds, last, _PING]


def _route_event(name: str, payload: Any, mode: Mode) -> RouteEvent:
    in_text_mode = mode == "text"
    if name == END and in_text_mode:
        return RouteEvent(name, str, as_text=True, is_empty=True)
    kind = EVENT_KINDS.get(name)
    is_token = kind is not None and kind.text_field is not None and payload is kind.payload
    return RouteEvent(name, payload, as_text=payload is str or (is_token and in_text_mode))


def server_sent_event(kind: RouteEvent, components: Components) -> Schema:
    """Add the component for a server-sent event, as its parsers return it."""
    data: Schema = {"type": "string"}
    if kind.is_empty:
        data["const"] = ""
    elif kind.name and not kind.as_text:
        data["contentMediaType"] = "application/json"
        data["contentSchema"] = _payload_schema(kind, components)
    schema = _event_schema(kind, data)
    if kind.name == END:
        schema["properties"] |= {"id": _END_ID_SCHEMA}
        schema["required"] = [*schema["required"], "id"]
    return components.add(f"{kind.title}Event", schema)


def frame_schema(kind: RouteEvent, components: Components) -> Schema:
    """Add the component for the JSON object in a WebSocket's text frame."""
    data: Schema = {"type": "string"} if kind.as_text else _payload_schema(kind, components)
    if kind.is_empty:
        data["const"] = ""
    return components.add(f"{kind.title}Frame", _event_schema(kind, data))


def _event_schema(kind: RouteEvent, data: Schema) -> Schema:
    which: Schema = {"const": kind.name} if kind.name else {"not": {"enum": list(kind.others)}}
    return {
        "type": "object",
        "description": kind.description,
        "properties": {"event": {"type": "string", **which}, "data": data},
        "required": ["event", "data"],
        "additionalProperties": False,
    }


def _payload_schema(kind: RouteEvent, components: Components) -> Schema:
    return components.named(kind.payload, "serialization") if kind.name else {}
