"""Describe the JSON response of a chain route, which is the same in each protocol."""

from __future__ import annotations

from typing import Any

from ..events import COMPLETION, EVENT_KINDS, INTERRUPT
from ..events.fold import Answer
from ..protocols.base import RouteDescription
from ..protocols.json_schema import Components, Schema

__all__ = ["example_json_response", "json_response"]


def json_response(route: RouteDescription, name: str, components: Components) -> Schema:
    """Return the schema of the JSON response of a route, with an example if there is one.

    Args:
        route: The route.
        name: The name of the route in PascalCase.
        components: The named schemas of the spec; that of the response is added.
    """
    output = components.named(route.output, "serialization")
    if INTERRUPT in route.events and output:
        output = {"anyOf": [output, {"type": "null"}]}
    properties = {"output": {"description": _output_description(output), **output}}
    for kind in EVENT_KINDS.values():
        if kind.in_json_response:
            fields = components.of(kind.payload, "serialization")["properties"]
            properties |= fields if kind.name in route.events else {}
    schema: Schema = {
        "type": "object",
        "description": "The answer in one JSON object.",
        "properties": properties,
        "required": ["output"],
        "additionalProperties": False,
    }
    content = {"schema": components.add(f"{name}Answer", schema)}
    example = example_json_response(route)
    return content if example is None else content | {"example": example}


def example_json_response(route: RouteDescription) -> dict[str, Any] | None:
    """Return an example of the JSON response; None if the answer is not a text."""
    if route.output is not str:
        return None
    fields = [name for name, kind in EVENT_KINDS.items() if kind.in_json_response]
    answer = Answer()
    fields.remove(INTERRUPT)  # it has no answer beside it
    for name in (COMPLETION, *(name for name in fields if name in route.events)):
        for event in EVENT_KINDS[name].examples:
            answer.add(event)
    return {"output": answer.text} | answer.fields


def _output_description(schema: Schema) -> str:
    if "anyOf" in schema:
        return "The answer; null or a part of it if the graph waits for a person."
    return "The answer." if schema else "The answer: a text, unless the chain returns data."
