"""Build the OpenAPI operations of a chain route: parameters, body, responses, the stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ..errors import InputError, InputProblem, InputTooLargeError
from ..events import EVENT_KINDS, ErrorData
from ..protocols import sse
from ..protocols.base import EncodedEvent, RouteDescription
from ..protocols.json_schema import Components, Schema
from ..protocols.native.examples import (
    NO_EXAMPLE,
    example_answer,
    example_events,
    example_input,
    example_turn,
    failed_turn,
)
from ..protocols.native.schemas import (
    event_kinds,
    event_table,
    input_schema,
    pascal,
    server_sent_event,
)
from ..settings import OpenAPIVersion
from ..transports.route_description import CHAIN_EXTENSION

__all__ = ["Operation", "OperationBuilder"]

Operation = dict[str, Any]

_RESPONSE_FORMATS: Final = (
    "Answers with a stream of server-sent events, or with one JSON document if the request has "
    "the header `Accept: application/json`."
)
_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"


class OperationBuilder:
    """Fills in the operations of one route, for each of its methods.

    Args:
        description: The description of the route.
        label: The name of the route in the spec.
        version: The OpenAPI version of the spec.
        components: The named schemas of the spec; those of the route are added.
    """

    def __init__(
        self,
        description: RouteDescription,
        label: str,
        version: OpenAPIVersion,
        components: Components,
    ) -> None:
        self._title = pascal(label)
        self._description = description
        self._has_item_schema = version == "3.2.0"
        self._components = components
        self._body = input_schema(description, components)
        self._kinds = event_kinds(description)
        self._examples = example_events(description)

    def fill_in(self, operation: Operation, rule: Rule, method: str) -> None:
        """Add to an operation of quart-schema's; what the user documented stays."""
        operation.setdefault("summary", f"Ask {rule.rule}")
        operation["description"] = self._description_text(operation.get("description", ""))
        operation["parameters"] = self._parameters(operation.get("parameters", []), rule, method)
        operation[CHAIN_EXTENSION] = {"mode": self._description.mode}
        if method != "get" and "requestBody" not in operation:
            operation["requestBody"] = self._request_body()
        documented = {str(status): r for status, r in operation.get("responses", {}).items()}
        operation["responses"] = self._responses(rule, method) | documented

    def _description_text(self, own: str) -> str:
        """Return the user's description and the response formats; people read this first."""
        parts = [
            own.strip(),
            *self._description.notes,
            _RESPONSE_FORMATS,
            event_table(self._kinds, {name: e.data for name, e in self._examples.items()}),
        ]
        return "\n\n".join(part for part in parts if part)

    def _parameters(self, own: list[Schema], rule: Rule, method: str) -> list[Schema]:
        schema = self._components.of(self._description.parameters, "validation")
        ours = {name: self._parameter(name, schema) for name in schema.get("properties", {})}
        for name, default in self._description.defaults.items():
            if default is not None and "schema" in ours.get(name, {}):
                ours[name]["schema"] = {**ours[name]["schema"], "default": default}
        own = [_merged_path_parameter(p, ours) if p.get("in") == "path" else p for p in own]
        query = [ours[name] for name in ours if name not in rule.arguments]
        if method == "get":
            query += self._input_parameters(set(ours))
        documented = {(p.get("name"), p.get("in")) for p in own}
        return [*own, *(p for p in query if (p["name"], "query") not in documented)]

    def _parameter(self, name: str, container: Schema) -> Schema:
        schema = dict(container["properties"][name])
        parameter: Schema = {"name": name, "in": "query"}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        parameter["required"] = name in container.get("required", ())
        query_schema = _query_schema(schema, self._components)
        if query_schema is None:
            return parameter | {"content": {_JSON: {"schema": schema}}}
        return parameter | {"schema": query_schema}

    def _input_parameters(self, parameters: set[str]) -> list[Schema]:
        names = [name for name in self._body.get("properties", {}) if name not in parameters]
        inputs = [self._parameter(name, self._body) for name in names]
        if self._description.takes_other_inputs:
            anything = {"type": "object", "additionalProperties": {"type": "string"}}
            free = {"name": "inputs", "in": "query", "description": "Any further inputs, by name."}
            inputs.append({**free, "required": False, "schema": anything, "explode": True})
        return [{**parameter, CHAIN_EXTENSION: "input"} for parameter in inputs]

    def _request_body(self) -> Schema:
        content: Schema = {"schema": self._components.add(f"{self._title}Input", self._body)}
        example = example_input(self._description.body, self._components)
        if example is not NO_EXAMPLE:
            content["example"] = example
        return {"required": True, "content": {_JSON: content}}

    def _responses(self, rule: Rule, method: str) -> Schema:
        field = next(iter(self._body.get("properties", ())), "question")
        input_error = InputError("the inputs do not fit", {field: "Field required"})
        retry_after = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        responses = {
            "200": self._ok_response,
            "204": {"description": "The `Last-Event-ID` is that of an `end`: nothing was run."},
            "400": self._rejection(input_error, "The inputs do not fit; nothing was run."),
            "403": self._failure(403, "A page of another site asks; nothing was run."),
            "404": {"description": "The path does not fit; nothing was run."},
            "413": self._rejection(
                InputTooLargeError("send no more than 16777216 bytes"),
                "The body is too large; nothing was run.",
            ),
            "500": self._failure(500, "The chain failed before anything was sent."),
            "503": self._failure(503, "The server takes no more requests now; try again later.")
            | {"headers": {"Retry-After": retry_after}},
            "504": self._failure(504, "The chain took too long."),
        }
        # Other failures are handled by the app, as all its errors are, and may be HTML.
        responses["500"]["content"]["text/html"] = {"schema": {"type": "string"}}
        absent = ["413"] if method == "get" else ["204", "403"]
        absent += [] if rule.arguments else ["404"]
        return {status: each for status, each in responses.items() if status not in absent}

    def _rejection(self, error: HTTPException, description: str) -> Schema:
        return self._error_response(InputProblem, description, json.loads(error.get_body()))

    def _failure(self, status: int, description: str) -> Schema:
        example = {"status_code": status, "detail": HTTPStatus(status).phrase}
        return self._error_response(ErrorData, description, example)

    def _error_response(self, kind: type[BaseModel], description: str, example: Schema) -> Schema:
        schema = self._components.named(kind, "serialization")
        content = {_JSON: {"schema": schema, "example": example}}
        return {"description": description, "content": content}

    @cached_property
    def _ok_response(self) -> Schema:
        event = self._components.add(
            f"{self._title}Event",
            {
                "description": "One event of the stream.",
                "oneOf": [server_sent_event(kind, self._components) for kind in self._kinds],
            },
        )
        stream = _stream_text(example_turn(self._description))
        return {
            "description": f"The answer: in one document, or as it comes:\n\n```\n{stream}```",
            "content": {_STREAM: self._stream(event), _JSON: self._json_response()},
        }

    def _stream(self, event: Schema) -> Schema:
        """Describe the stream by its events; only OpenAPI 3.2 has examples of a whole one too."""
        if not self._has_item_schema:
            names = {kind.name for kind in self._kinds}
            examples = {
                n: _event_example(event) for n, event in self._examples.items() if n in names
            }
            return {"schema": event, "examples": examples}
        turns = {
            "answer": ("An answer", example_turn(self._description)),
            "failure": ("A chain that fails", failed_turn(self._description)),
        }
        examples = {
            n: {"summary": what, "value": _stream_text(turn)} for n, (what, turn) in turns.items()
        }
        return {"itemSchema": event, "examples": examples}

    def _json_response(self) -> Schema:
        output = self._components.named(self._description.output, "serialization")
        properties = {"output": {"description": _output_description(output), **output}}
        for kind in EVENT_KINDS.values():
            if kind.in_json_response:
                fields = self._components.of(kind.payload, "serialization")["properties"]
                properties |= fields if kind.name in self._description.events else {}
        schema = {
            "type": "object",
            "description": "The answer in one document.",
            "properties": properties,
            "required": ["output"],
            "additionalProperties": False,
        }
        content = {"schema": self._components.add(f"{self._title}Answer", schema)}
        example = example_answer(self._description)
        return content if example is None else content | {"example": example}


def _event_example(event: EncodedEvent) -> Schema:
    value = {"event": event.name, "data": event.data}
    return {
        "summary": event.name,
        "value": value if event.id is None else {**value, "id": event.id},
    }


def _stream_text(turn: Iterable[EncodedEvent]) -> str:
    return sse.encode(*turn).decode()


def _output_description(schema: Schema) -> str:
    return "The answer." if schema else "The answer: a text, unless the chain returns data."


def _merged_path_parameter(documented: Schema, parameters: Mapping[str, Schema]) -> Schema:
    """Add the annotation of the chain factory to quart-schema's path parameter."""
    ours = parameters.get(documented["name"])
    if ours is None:
        return documented
    schema = {**documented.get("schema", {}), **ours.get("schema", {})}
    schema.pop("default", None)  # it is always in the path
    return {**documented, **{k: ours[k] for k in ("description",) if k in ours}, "schema": schema}


def _query_schema(schema: Schema, components: Components) -> Schema | None:
    """Return the schema of a value in a query string, or None if it has to be JSON there.

    Of several alternatives, those are shown that are a text or a list of texts.
    """
    siblings = {key: value for key, value in schema.items() if key != "anyOf"}
    if siblings.get("default", ...) is None:
        del siblings["default"]  # in a query string, null is a missing parameter
    options = [components.resolve(option) for option in schema.get("anyOf", [schema])]
    options = [option for option in options if option.get("type") != "null"]
    scalars = [option for option in options if _is_scalar(option)]
    if len(scalars) == len(options) > 1:
        return {**siblings, "anyOf": scalars}
    lists = [o for o in options if _is_list_of_scalars(o, components)]
    flat = [*lists, *scalars]
    return {**siblings, **flat[0]} if flat else None


def _is_list_of_scalars(schema: Schema, components: Components) -> bool:
    items = components.resolve(schema.get("items", {}))
    return schema.get("type") == "array" and bool(items) and _is_scalar(items)


def _is_scalar(schema: Schema) -> bool:
    structured = schema.get("type") in ("object", "array")
    return not structured and not schema.keys() & {"anyOf", "oneOf", "allOf"}
