"""Examples for the documents: values that fit a schema, and events made by the code that sends.

Nothing here is written by hand as text: an example that is shown as bytes or as a frame has been
through the same encoder as the real ones.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic import JsonValue, TypeAdapter

from ... import events
from ...events import Event, Mode, SourceDocument, json_event
from ..base import RouteDescription
from ..json_schema import Components, Schema

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

_RUN_ID: Final = UUID("3f0e6c2a-5d0b-4c39-9f5b-2f6c1b1f4a53")
_TOKENS: Final = ("A token", " is a piece", " of text.")
_USAGE: Final[dict[str, JsonValue]] = {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}
_DOCUMENT: Final = SourceDocument(
    page_content="A model reads and writes text in tokens.",
    metadata={"source": "tokens.md"},
    id=None,
    type="Document",
)

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
    """Return an example of the JSON answer, where the answer is a text."""
    if description.output is not str:
        return None
    answer: dict[str, Any] = {"output": "".join(_TOKENS)}
    if events.SOURCE_DOCUMENTS in description.events:
        answer["source_documents"] = [_DOCUMENT.model_dump(mode="json")]
    return answer


def example_events(description: RouteDescription) -> dict[str, Event]:
    """Return an example of each kind of event that a route can send, by their names."""
    ours = _our_events(description.mode)
    declared = {
        name: ours[name] if name in ours else _example_event(name, kind)
        for name, kind in description.events.items()
    }
    always = {name: ours[name] for name in (events.ERROR, events.END, events.PING)}
    return {name: event for name, event in (declared | always).items() if event is not None}


def example_turn(description: RouteDescription) -> list[Event]:
    """Return the events of an answer; those of one's own come first, where most of them belong."""
    examples, ours = example_events(description), _our_events(description.mode)
    turn = [event for name, event in examples.items() if name not in ours]
    if events.COMPLETION in examples:
        turn += _tokens(description.mode)
    last = (events.SOURCE_DOCUMENTS, events.END)
    return [*turn, *(examples[name] for name in last if name in examples)]


def failed_turn(description: RouteDescription) -> list[Event]:
    """Return the events of a chain that fails."""
    failure = _our_events(description.mode)[events.ERROR]
    return [failure, events.end(_RUN_ID, None, description.mode)]


@cache
def _our_events(mode: Mode) -> dict[str, Event]:
    """Return an example of each kind of event that is not a user's own."""
    examples = [
        _tokens(mode)[0],
        events.retract(len(_TOKENS)),
        events.source_documents([_DOCUMENT]),
        events.error(500, "Internal Server Error"),
        events.end(_RUN_ID, _USAGE, mode),
        events.ping(),
    ]
    return {event.name: event for event in examples}


@cache
def _tokens(mode: Mode) -> list[Event]:
    return [events.completion(token, mode) for token in _TOKENS]


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
