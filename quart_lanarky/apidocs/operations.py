"""Build the OpenAPI operations of a chain route: parameters, body, responses, the stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from http.client import responses as phrases
from typing import Any

from pydantic import BaseModel
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ..errors import InputError, InputProblem, InputTooLargeError
from ..events import ErrorData
from ..protocols.base import Example, MessageDocs, StreamDocs
from ..protocols.json_schema import Components, Schema, pascal
from ..protocols.negotiation import JSON
from ..settings import Settings
from ..transports.route_description import CHAIN_EXTENSION, RouteInProtocol
from .json_response import json_response

__all__ = ["Operation", "OperationBuilder"]

Operation = dict[str, Any]


class OperationBuilder:
    """Fills in the operations of one route, for each of its methods.

    Args:
        route: The description of the route, and its protocol.
        label: The name of the route in the spec.
        settings: The settings of the app: the OpenAPI version, the limits of requests.
        components: The named schemas of the spec; those of the route are added.
        own_errors: The status codes of the app's own exceptions, with what clients are told.
    """

    def __init__(
        self,
        route: RouteInProtocol,
        label: str,
        settings: Settings,
        components: Components,
        own_errors: Mapping[int, str],
    ) -> None:
        self._description, protocol = route
        self._extension = route.chain_extension
        self._own_errors = own_errors
        self._has_item_schema = settings.openapi_version == "3.2.0"
        self._max_bytes = settings.max_message_bytes
        self._components = components
        self._name = pascal(label)
        self._docs = protocol.docs(self._description, self._name, components)
        self._inputs = self._description.input_schema(components)

    def fill_in(self, operation: Operation, rule: Rule, method: str) -> None:
        """Add to an operation of quart-schema's; what the user documented stays."""
        operation.setdefault("summary", f"Ask {rule.rule}")
        operation["description"] = self._description_text(operation.get("description", ""))
        operation["parameters"] = self._parameters(operation.get("parameters", []), rule, method)
        operation[CHAIN_EXTENSION] = dict(self._extension)
        if method != "get" and "requestBody" not in operation:
            operation["requestBody"] = self._request_body()
        documented = {str(status): r for status, r in operation.get("responses", {}).items()}
        operation["responses"] = self._responses(rule, method) | documented

    def _description_text(self, own: str) -> str:
        """Return the user's description and the response formats; people read this first."""
        parts = [own.strip(), *self._description.notes, self._docs.http_description]
        return "\n\n".join(part for part in parts if part)

    def _parameters(self, own: list[Schema], rule: Rule, method: str) -> list[Schema]:
        schema = self._components.of(self._description.parameters, "validation")
        ours = {name: self._parameter(name, schema) for name in schema.get("properties", {})}
        for name, default in self._description.defaults.items():
            if default is not None and "schema" in ours.get(name, {}):
                ours[name]["schema"] = {**ours[name]["schema"], "default": default}
        own = [_merged_path_parameter(p, ours) if p.get("in") == "path" else p for p in own]
        query = [ours[name] for name in ours if name not in rule.arguments]
        query += self._request_options()
        if method == "get":
            query += self._input_parameters({parameter["name"] for parameter in query} | set(ours))
        documented = {(p.get("name"), p.get("in")) for p in own}
        return [*own, *(p for p in query if (p["name"], p["in"]) not in documented)]

    def _request_options(self) -> list[Schema]:
        """Describe what a request may ask of its run: in the query string, or in a header."""
        places = [
            (option, place, name)
            for option in self._description.request_options
            for place, name in (("query", option.name), ("header", option.header))
            if name is not None
        ]
        return [
            {
                "name": name,
                "in": place,
                "description": option.description,
                "required": option.is_required and option.header is None,
                "schema": option.schema,
            }
            for option, place, name in places
        ]

    def _parameter(self, name: str, container: Schema) -> Schema:
        schema = dict(container["properties"][name])
        parameter: Schema = {"name": name, "in": "query"}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        parameter["required"] = name in container.get("required", ())
        query_schema = _query_schema(schema, self._components)
        if query_schema is None:
            return parameter | {"content": {JSON: {"schema": schema}}}
        return parameter | {"schema": query_schema}

    def _input_parameters(self, parameters: set[str]) -> list[Schema]:
        names = [name for name in self._inputs.get("properties", {}) if name not in parameters]
        inputs = [self._parameter(name, self._inputs) for name in names]
        if self._description.takes_other_inputs:
            anything = {"type": "object", "additionalProperties": {"type": "string"}}
            free = {"name": "inputs", "in": "query", "description": "Any further inputs, by name."}
            inputs.append({**free, "required": False, "schema": anything, "explode": True})
        return [{**parameter, CHAIN_EXTENSION: "input"} for parameter in inputs]

    def _request_body(self) -> Schema:
        return {"required": True, "content": _content(self._docs.request_body())}

    def _responses(self, rule: Rule, method: str) -> Schema:
        field = next(iter(self._inputs.get("properties", ())), "question")
        input_error = InputError("the inputs do not fit", {field: "Field required"})
        retry_after = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        responses = {
            "200": self._ok_response,
            "204": {"description": "The `Last-Event-ID` is that of an `end`: nothing was run."},
            "400": self._rejection(input_error, "The inputs do not fit; nothing was run."),
            "403": self._failure(403, "A page of another site asks; nothing was run."),
            "404": {"description": "The path does not fit; nothing was run."},
            "409": self._failure(409, "The thread does not wait for this answer; nothing was run."),
            "413": self._rejection(
                InputTooLargeError(f"send no more than {self._max_bytes} bytes"),
                "The body is too large, and nothing was run; or the model takes no input so long.",
            ),
            "422": self._failure(422, "The model declined to answer."),
            "429": self._failure(429, "The model's provider takes no more requests now.")
            | {"headers": {"Retry-After": retry_after}},
            "500": self._failure(500, "The chain failed before anything was sent."),
            "502": self._failure(502, "The model's provider cannot be reached, or has failed."),
            "503": self._failure(503, "The server takes no more requests now; try again later.")
            | {"headers": {"Retry-After": retry_after}},
            "504": self._failure(504, "The chain took too long."),
        }
        # Other failures are handled by the app, as all its errors are, and may be HTML.
        responses["500"]["content"]["text/html"] = {"schema": {"type": "string"}}
        absent = set() if rule.arguments else {"404"}
        absent |= set() if method == "get" else {"204", "403"}
        absent |= set() if self._description.resumes else {"409"}
        own = {
            str(status): self._failure(status, text) for status, text in self._own_errors.items()
        }
        responses = own | {status: r for status, r in responses.items() if status not in absent}
        return dict(sorted(responses.items()))

    def _rejection(self, error: HTTPException, description: str) -> Schema:
        return self._error_response(InputProblem, description, json.loads(error.get_body()))

    def _failure(self, status: int, description: str) -> Schema:
        example = {"status_code": status, "detail": phrases.get(status, "Error")}
        return self._error_response(ErrorData, description, example)

    def _error_response(self, kind: type[BaseModel], description: str, example: Schema) -> Schema:
        schema = self._components.named(kind, "serialization")
        content = {JSON: {"schema": schema, "example": example}}
        return {"description": description, "content": content}

    @cached_property
    def _ok_response(self) -> Schema:
        stream = self._docs.stream()
        json_content = json_response(self._description, self._name, self._components)
        shown = [f":\n\n{_code_block(example.value)}" for example in stream.examples[:1]]
        return {
            "description": "".join(["The answer: as it comes, or in a JSON response", *shown]),
            "content": {stream.content_type: self._stream(stream), JSON: json_content},
        }

    def _stream(self, stream: StreamDocs) -> Schema:
        """Describe a stream by its events; only OpenAPI 3.2 has examples of a whole one too."""
        if self._has_item_schema:
            return {"itemSchema": stream.event, "examples": _examples(stream.examples)}
        return {"schema": stream.event, "examples": _examples(stream.event_examples)}


def _content(message: MessageDocs) -> Schema:
    """Return the content of a body, with its first example."""
    content: Schema = {"schema": message.schema}
    if message.examples:
        content["example"] = message.examples[0].value
    return {JSON: content}


def _code_block(text: str) -> str:
    return f"```\n{text}```" if text.endswith("\n") else f"```\n{text}\n```"


def _examples(examples: Iterable[Example]) -> Schema:
    return {each.name: {"summary": each.summary, "value": each.value} for each in examples}


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
