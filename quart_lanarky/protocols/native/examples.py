"""Make examples for the API docs: values that fit a schema, and encoded events.

No example is handwritten text: those shown as bytes or frames come from the real encoder.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from ...events import (
    END,
    ERROR,
    EVENT_KINDS,
    INTERRUPT,
    RETRACT,
    Event,
    end,
    json_event,
)
from ..base import EncodedEvent, RouteDescription
from ..json_schema import Components, Schema
from .encode import Mode, encode

__all__ = [
    "NO_EXAMPLE",
    "example_events",
    "example_input",
    "example_turn",
    "failed_turn",
]

_NOT_IN_AN_ANSWER: Final = {RETRACT, INTERRUPT, ERROR} | {
    kind.name for kind in EVENT_KINDS.values() if kind.is_of_the_connection
}
"""The kinds of events that an ordinary answer has none of."""

NO_EXAMPLE: Final = object()
"""Returned instead of an example if none could be made."""

_SCALARS: Final[dict[str, Any]] = {
    "string": "What is a token?",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "array": [],
    "null": None,
}


def example_input(adapter: TypeAdapter[Any], components: Components | None = None) -> Any:
    """Return a valid example of the input of a chain, or NO_EXAMPLE.

    Args:
        adapter: The type adapter that validates the input.
        components: The components of the API spec, which cache its schema.
    """
    components = components or Components()
    value = _sample(components.of(adapter, "validation"), components)
    try:
        adapter.validate_python(value)
    except Exception:  # noqa: BLE001  # a user's validator may raise anything
        return NO_EXAMPLE
    return NO_EXAMPLE if value == {} else value  # an empty example is useless


def example_events(description: RouteDescription, mode: Mode) -> dict[str, EncodedEvent]:
    """Return an example of each kind of event that a route can send, by name."""
    declared = {
        name: next(iter(_builtin_examples(name, payload)), None) or _example_event(name, payload)
        for name, payload in description.events.items()
    }
    always = {
        kind.name: kind.examples[0]
        for kind in EVENT_KINDS.values()
        if kind.is_always_sent or kind.is_of_the_connection
    }
    return {
        name: encode(event, mode)
        for name, event in (declared | always).items()
        if event is not None
    }


def example_turn(description: RouteDescription, mode: Mode) -> list[EncodedEvent]:
    """Return the events of an example turn; custom events come first, as they mostly do."""
    examples = example_events(description, mode)
    builtin = {
        name: _builtin_examples(name, description.events.get(name))
        for name in EVENT_KINDS
        if name in examples
    }
    turn = [event for name, event in examples.items() if not builtin.get(name)]
    for name, of_kind in builtin.items():
        if name not in _NOT_IN_AN_ANSWER:
            turn += [encode(event, mode) for event in of_kind]
    return turn


def failed_turn(mode: Mode) -> list[EncodedEvent]:
    """Return the events of a turn whose chain fails."""
    run_id = UUID(EVENT_KINDS[END].examples[0].data["run_id"])
    events = [*_builtin_examples(ERROR), end(run_id, None, "failed")]
    return [encode(event, mode) for event in events]


def _builtin_examples(name: str, payload: Any = None) -> tuple[Event, ...]:
    """Return the examples of a built-in kind of event; none for a payload of an app's own."""
    kind = EVENT_KINDS.get(name)
    return () if kind is None or payload not in (None, kind.payload) else kind.examples


def _example_event(name: str, kind: Any) -> Event | None:
    if kind is str:
        return Event(name, _SCALARS["string"])
    adapter = TypeAdapter(kind)
    value = example_input(adapter)
    if value is NO_EXAMPLE:
        return None
    payload = adapter.dump_python(adapter.validate_python(value), mode="json", by_alias=True)
    return json_event(name, payload)


def _sample(schema: Schema, components: Components, depth: int = 0) -> Any:
    """Return a value that may fit a schema: one from the schema, or else the simplest."""
    schema = components.resolve(schema)
    for key in ("const", "default", "minimum"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _sample(_simplest(schema[key], components), components, depth)
    if schema.get("type") == "object":
        return _sample_object(schema, components, depth)
    return _SCALARS.get(schema.get("type", "string"))


def _simplest(options: list[Schema], components: Components) -> Schema:
    """Return the alternative that is a text, or else the first."""
    resolved = [components.resolve(option) for option in options]
    return next((option for option in resolved if option.get("type") == "string"), resolved[0])


def _sample_object(schema: Schema, components: Components, depth: int) -> dict[str, Any]:
    """Return an object with the required fields; with the first field if none is required."""
    properties: dict[str, Schema] = schema.get("properties", {})
    names = schema.get("required") or ([] if depth else list(properties)[:1])
    return {
        name: _sample(properties.get(name, {}), components, depth + 1)
        for name in names
        if depth < 8  # noqa: PLR2004  # a recursive type would not end
    }
