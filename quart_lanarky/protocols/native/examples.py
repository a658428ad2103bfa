"""Examples for the API docs: values that fit a schema, and events made by the code that sends.

Nothing here is written by hand as text: an example that is shown as bytes or as a frame has been
through the same encoder as the real ones.
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import TypeAdapter

from ...events import (
    COMPLETION,
    END,
    ERROR,
    EVENT_KINDS,
    SOURCE_DOCUMENTS,
    Event,
    end,
    json_event,
)
from ...events.fold import Answer
from ..base import EncodedEvent, RouteDescription
from ..json_schema import Components, Schema
from .encode import check_mode, encode

__all__ = [
    "NO_EXAMPLE",
    "example_answer",
    "example_events",
    "example_input",
    "example_turn",
    "failed_turn",
]

NO_EXAMPLE: Final = object()
"""Stands for an example where none could be made."""

_SCALARS: Final[dict[str, Any]] = {
    "string": "What is a token?",
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "array": [],
    "null": None,
}


def example_input(adapter: TypeAdapter[Any], components: Components | None = None) -> Any:
    """Return an example of what a chain takes, or NO_EXAMPLE; it has passed the same checks.

    Args:
        adapter: What checks it.
        components: Where its schema may have been made already.
    """
    components = components or Components()
    value = _sample(components.of(adapter, "validation"), components)
    try:
        adapter.validate_python(value)
    except Exception:  # noqa: BLE001  # a user's validator fails as it likes
        return NO_EXAMPLE
    return NO_EXAMPLE if value == {} else value  # which would say nothing


def example_answer(description: RouteDescription) -> dict[str, Any] | None:
    """Return an example of the JSON response, where the answer is a text."""
    if description.output is not str:
        return None
    fields = [name for name, kind in EVENT_KINDS.items() if kind.in_json_response]
    answer = Answer()
    for name in (COMPLETION, *(name for name in fields if name in description.events)):
        for event in _examples(name):
            answer.add(event)
    return {"output": answer.text} | answer.fields


def example_events(description: RouteDescription) -> dict[str, EncodedEvent]:
    """Return an example of each kind of event that a route can send, by their names."""
    declared = {
        name: next(iter(_examples(name)), None) or _example_event(name, kind)
        for name, kind in description.events.items()
    }
    always = {
        kind.name: kind.examples[0]
        for kind in EVENT_KINDS.values()
        if kind.is_always_sent or kind.is_of_the_connection
    }
    return {
        name: encode(event, check_mode(description.mode))
        for name, event in (declared | always).items()
        if event is not None
    }


def example_turn(description: RouteDescription) -> list[EncodedEvent]:
    """Return the events of an answer; those of one's own come first, where most of them belong."""
    examples, mode = example_events(description), check_mode(description.mode)
    turn = [event for name, event in examples.items() if name not in EVENT_KINDS]
    if COMPLETION in examples:
        turn += [encode(event, mode) for event in _examples(COMPLETION)]
    last = (SOURCE_DOCUMENTS, END)
    return [*turn, *(examples[name] for name in last if name in examples)]


def failed_turn(description: RouteDescription) -> list[EncodedEvent]:
    """Return the events of a chain that fails."""
    run_id = UUID(EVENT_KINDS[END].examples[0].data["run_id"])
    events = [*_examples(ERROR), end(run_id, None)]
    return [encode(event, check_mode(description.mode)) for event in events]


def _examples(name: str) -> tuple[Event, ...]:
    """Return the examples of a kind of event that is not a user's own."""
    return EVENT_KINDS[name].examples if name in EVENT_KINDS else ()


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
    """Return a value that may fit a schema: what it proposes itself, or else the plainest."""
    schema = components.resolve(schema)
    for key in ("const", "default", "minimum"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _sample(_plainest(schema[key], components), components, depth)
    if schema.get("type") == "object":
        return _sample_object(schema, components, depth)
    return _SCALARS.get(schema.get("type", "string"))


def _plainest(options: list[Schema], components: Components) -> Schema:
    """Return the alternative that is a text, if there is one."""
    resolved = [components.resolve(option) for option in options]
    return next((option for option in resolved if option.get("type") == "string"), resolved[0])


def _sample_object(schema: Schema, components: Components, depth: int) -> dict[str, Any]:
    """Return an object with the fields that are required; with the first, if none is."""
    properties: dict[str, Schema] = schema.get("properties", {})
    names = schema.get("required") or ([] if depth else list(properties)[:1])
    return {
        name: _sample(properties.get(name, {}), components, depth + 1)
        for name in names
        if depth < 8  # noqa: PLR2004  # a type that contains itself has no end
    }
