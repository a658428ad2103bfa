"""OpenAPI: what quart-schema draws of an app, with its chain routes described in full.

A `ChainProvider` stands in front of the app's own `OpenAPIProvider`, of whichever class, and
leaves the drawing to it. Then it fills in the operations of chain routes. On other routes it
touches nothing but what would make the whole document invalid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import copy
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from quart import has_request_context, request
from quart_schema import OpenAPIProvider
from quart_schema.openapi import QUART_SCHEMA_OPERATION_ID_ATTRIBUTE
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from .. import sse
from ..errors import InputError, InputProblem, InputTooLargeError
from ..events import ErrorData, Event, SourceDocumentsData
from ..settings import OpenAPIVersion
from .components import Components, Schema
from .envelopes import EventKind, event_kinds, event_table, input_schema, pascal, server_sent_event
from .examples import (
    NO_EXAMPLE,
    example_answer,
    example_events,
    example_input,
    example_turn,
    failed_turn,
)
from .pages import websocket_page_seen_from
from .routes import ChainRoute, RouteDescription, chain_rules, route_of

__all__ = ["ChainProvider", "DescribeRule", "Operation", "in_front_of"]

Operation = dict[str, Any]

DescribeRule = Callable[[Rule], RouteDescription]
"""Describes the chain route that a rule leads to."""

_HOW_IT_ANSWERS: Final = (
    "Answers with a stream of server-sent events, or with one JSON document if the request has "
    "the header `Accept: application/json`."
)
_STREAM: Final = "text/event-stream"
_JSON: Final = "application/json"
_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class ChainProvider(OpenAPIProvider):
    """Draws the document; `in_front_of` makes it from the provider that an app has."""

    describe_rule: DescribeRule
    version: Callable[[], OpenAPIVersion]
    _rules: list[tuple[Rule, str, str]]
    _twins: dict[ChainRoute, Rule]
    _drawn: tuple[Any, dict[str, Any]] | None = None

    def schema(self) -> dict[str, Any]:
        """Return the document; it is drawn anew only when the app has got more routes."""
        key = (len(list(self._app.url_map.iter_rules())), self.version())
        if self._drawn is None or self._drawn[0] != key:
            self._drawn = (key, self._draw())
        return _at_its_root(self._drawn[1])

    def build_paths(self, rule: Rule) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Build the paths as the app's own provider does, and note which are of chain routes."""
        paths, components = super().build_paths(rule)
        if route_of(self._app.view_functions[rule.endpoint]) is not None:
            self._rules += [(rule, path, method) for path in paths for method in paths[path]]
        return paths, components

    def _draw(self) -> dict[str, Any]:
        self._rules = []
        document = super().schema()
        document["openapi"] = self.version()
        document["paths"] = {path: dict(item) for path, item in document["paths"].items()}
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        components = Components(schemas)
        app: Any = self._app  # a weak proxy, which is not the app to mypy
        self._twins = {served.route: served.rule for served in chain_rules(app, websocket=True)}
        painters: dict[str, _Painter] = {}  # the methods of a route have most in common
        for rule, path, method in self._rules:
            operation = document["paths"].get(path, {}).get(method)
            if operation is None:
                continue
            if rule.endpoint not in painters:
                painters[rule.endpoint] = self._painter(rule, components)
            self._fill_in(operation, rule, method, painters[rule.endpoint])
        schemas |= components.added
        _mend(document)
        return document

    def _fill_in(self, operation: Operation, rule: Rule, method: str, painter: _Painter) -> None:
        view: Any = self._app.view_functions[rule.endpoint]
        if not hasattr(view, QUART_SCHEMA_OPERATION_ID_ATTRIBUTE):
            operation["operationId"] = f"{method}_{painter.label}"
        painter.fill_in(operation, rule, method)
        twin = self._twins.get(_route_of(view))
        if twin is not None:
            operation["description"] += f"\n\n{self._pointer(twin.rule)}"

    def _painter(self, rule: Rule, components: Components) -> _Painter:
        route = _route_of(self._app.view_functions[rule.endpoint])
        return _Painter(self.describe_rule(rule), route.label, self.version(), components)

    def _pointer(self, path: str) -> str:
        """Say where the same is on a WebSocket."""
        page = self._extension.swagger_ui_path
        link = "" if page is None else f" ([its document]({websocket_page_seen_from(page)}))"
        return f"The same on a WebSocket: `{path}`{link}."


class _Painter:
    """Fills in the operations of one route on one version of OpenAPI."""

    def __init__(
        self,
        description: RouteDescription,
        label: str,
        version: OpenAPIVersion,
        components: Components,
    ) -> None:
        self.label = label
        self._title = pascal(label)
        self._description = description
        self._has_item_schema = version == "3.2.0"
        self._components = components
        self._body = input_schema(description, components)

    def fill_in(self, operation: Operation, rule: Rule, method: str) -> None:
        """Fill in what quart-schema cannot know; what the user documented stays."""
        kinds = event_kinds(self._description)
        operation.setdefault("summary", f"Ask {rule.rule}")
        operation["description"] = self._text(operation.get("description", ""), kinds)
        operation["parameters"] = self._parameters(operation.get("parameters", []), rule, method)
        if method != "get" and "requestBody" not in operation:
            operation["requestBody"] = self._request_body()
        operation["responses"] = self._responses(kinds, method) | operation.get("responses", {})

    def _text(self, own: str, kinds: Iterable[EventKind]) -> str:
        """Say in words what comes back; this is what people read first."""
        examples = example_events(self._description)
        parts = [
            own.strip(),
            *self._description.notes,
            _HOW_IT_ANSWERS,
            event_table(kinds, {name: event.data for name, event in examples.items()}),
        ]
        return "\n\n".join(part for part in parts if part)

    def _parameters(self, own: list[Schema], rule: Rule, method: str) -> list[Schema]:
        schema = self._components.of(self._description.parameters, "validation")
        given = {name: self._parameter(name, schema) for name in schema.get("properties", {})}
        for name, default in self._description.defaults.items():
            if default is not None and "schema" in given[name]:
                given[name]["schema"] = {**given[name]["schema"], "default": default}
        path = [_merged(p, given.get(p["name"])) if p["in"] == "path" else p for p in own]
        query = [given[name] for name in given if name not in rule.arguments]
        if method == "get":
            query += self._inputs_in_query(set(given))
        documented = {(p["name"], p["in"]) for p in own}
        return [*path, *(p for p in query if (p["name"], p["in"]) not in documented)]

    def _parameter(self, name: str, container: Schema) -> Schema:
        schema = dict(container["properties"][name])
        parameter: Schema = {"name": name, "in": "query"}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        parameter["required"] = name in container.get("required", ())
        plain = _plain_form(schema, self._components)
        if plain is None:
            return parameter | {"content": {_JSON: {"schema": schema}}}
        return parameter | {"schema": plain}

    def _inputs_in_query(self, parameters: set[str]) -> list[Schema]:
        names = [name for name in self._body.get("properties", {}) if name not in parameters]
        inputs = [self._parameter(name, self._body) for name in names]
        if not self._description.takes_other_inputs:
            return inputs
        anything = {"type": "object", "additionalProperties": {"type": "string"}}
        free = {"name": "inputs", "in": "query", "description": "Any further inputs, by name."}
        return [*inputs, {**free, "required": False, "schema": anything, "explode": True}]

    def _request_body(self) -> Schema:
        content: Schema = {"schema": self._components.add(f"{self._title}Input", self._body)}
        example = example_input(self._description.body)
        if example is not NO_EXAMPLE:
            content["example"] = example
        return {"required": True, "content": {_JSON: content}}

    def _responses(self, kinds: list[EventKind], method: str) -> Schema:
        field = next(iter(self._body.get("properties", ())), "question")
        misfit = InputError("the inputs do not fit", {field: "Field required"})
        wait = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        responses = {
            "200": self._answer(kinds),
            "400": self._refusal(misfit, "The inputs do not fit; nothing was run."),
            "413": self._refusal(
                InputTooLargeError("send no more than 16777216 bytes"),
                "The body is too large; nothing was run.",
            ),
            "500": self._failure(500, "The chain failed, where one document was asked for."),
            "503": self._failure(503, "The server takes no more requests now; try again later.")
            | {"headers": {"Retry-After": wait}},
        }
        if method == "get":
            del responses["413"]
        return responses

    def _refusal(self, error: HTTPException, description: str) -> Schema:
        return self._problem(InputProblem, description, json.loads(error.get_body()))

    def _failure(self, status: int, description: str) -> Schema:
        example = {"status_code": status, "detail": HTTPStatus(status).phrase}
        return self._problem(ErrorData, description, example)

    def _problem(self, kind: type[BaseModel], description: str, example: Schema) -> Schema:
        schema = self._components.named(kind, "serialization")
        content = {_JSON: {"schema": schema, "example": example}}
        return {"description": description, "content": content}

    def _answer(self, kinds: Iterable[EventKind]) -> Schema:
        event = self._components.add(
            f"{self._title}Event",
            {
                "description": "One event of the stream.",
                "oneOf": [server_sent_event(kind, self._components) for kind in kinds],
            },
        )
        stream = _bytes(example_turn(self._description))
        return {
            "description": f"The answer: in one document, or as it comes:\n\n```\n{stream}```",
            "content": {_STREAM: self._stream(event), _JSON: self._document()},
        }

    def _stream(self, event: Schema) -> Schema:
        """Describe the stream by its events; only OpenAPI 3.2 can also show one as a whole."""
        if not self._has_item_schema:
            examples = example_events(self._description).values()
            return {"schema": event, "examples": {e.name: _shown(e) for e in examples}}
        turns = {
            "answer": ("An answer", example_turn(self._description)),
            "failure": ("A chain that fails", failed_turn(self._description)),
        }
        shown = {n: {"summary": what, "value": _bytes(turn)} for n, (what, turn) in turns.items()}
        return {"itemSchema": event, "examples": shown}

    def _document(self) -> Schema:
        output = self._components.named(self._description.output, "serialization")
        properties = {"output": {"description": _output_text(output), **output}}
        documents = self._components.of(SourceDocumentsData, "serialization")["properties"]
        if "source_documents" in self._description.events:
            properties |= documents
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


def in_front_of(
    provider: OpenAPIProvider, describe_rule: DescribeRule, version: Callable[[], OpenAPIVersion]
) -> ChainProvider:
    """Return a `ChainProvider` that is in all else what `provider` is.

    Args:
        provider: The provider that an app has, of quart-schema's class or one derived from it.
        describe_rule: Describes the chain route that a rule leads to.
        version: Tells which version the document is to have.
    """
    own = type(provider)
    combined: Any = copy(provider)
    combined.__class__ = type(f"Chain{own.__name__}", (ChainProvider, own), {})
    combined.describe_rule = describe_rule
    combined.version = version
    result: ChainProvider = combined
    return result


def _route_of(view: Any) -> ChainRoute:
    route = route_of(view)
    assert route is not None  # only rules of chain routes were noted
    return route


def _at_its_root(document: dict[str, Any]) -> dict[str, Any]:
    """Say where the app is mounted, which is known only to a request."""
    root = request.root_path if has_request_context() else ""
    start = {key: document[key] for key in ("openapi", "info")}
    return {**start, "servers": [{"url": root or "/"}], **document}


def _shown(event: Event) -> Schema:
    return {"summary": event.name, "value": {"event": event.name, "data": event.data}}


def _bytes(turn: Iterable[Event]) -> str:
    return b"".join(map(sse.encode, turn)).decode()


def _output_text(schema: Schema) -> str:
    return "The answer." if schema else "The answer: a text, unless the chain returns data."


def _merged(documented: Schema, ours: Schema | None) -> Schema:
    """Add to a path's parameter what the factory's annotation says of it."""
    if ours is None:
        return documented
    schema = {**documented.get("schema", {}), **ours.get("schema", {})}
    schema.pop("default", None)  # it is always given
    return {**documented, **{k: ours[k] for k in ("description",) if k in ours}, "schema": schema}


def _plain_form(schema: Schema, components: Components) -> Schema | None:
    """Return the schema of a value as a query string has it, or None if it has to be JSON.

    Of what can be given as a text, or as a list of texts, that form is shown.
    """
    siblings = {key: value for key, value in schema.items() if key != "anyOf"}
    if siblings.get("default", ...) is None:
        del siblings["default"]  # a query string says null by saying nothing
    options = [components.resolve(option) for option in schema.get("anyOf", [schema])]
    options = [option for option in options if option.get("type") != "null"]
    scalars = [option for option in options if _is_scalar(option)]
    if len(scalars) == len(options) > 1:
        return {**siblings, "anyOf": scalars}
    lists = [o for o in options if _is_list_of_scalars(o, components)]
    plain = [*lists, *scalars]
    return {**siblings, **plain[0]} if plain else None


def _is_list_of_scalars(schema: Schema, components: Components) -> bool:
    items = components.resolve(schema.get("items", {}))
    return schema.get("type") == "array" and bool(items) and _is_scalar(items)


def _is_scalar(schema: Schema) -> bool:
    structured = schema.get("type") in ("object", "array")
    return not structured and not schema.keys() & {"anyOf", "oneOf", "allOf"}


def _mend(document: dict[str, Any]) -> None:
    """Mend what makes a document invalid: routes without responses, ids that are not unique.

    Strict validators also want it said where nothing is said about security.
    """
    document.setdefault("security", [])
    seen: set[str] = set()
    for item in document["paths"].values():
        for method in _METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            if not operation.get("responses"):
                operation["responses"] = {"default": {"description": "Not documented."}}
            if "operationId" in operation:
                operation["operationId"] = _unique(operation["operationId"], seen)


def _unique(name: str, seen: set[str]) -> str:
    """Return a name that was not seen before: the same, or with a number."""
    number, unique = 1, name
    while unique in seen:
        number += 1
        unique = f"{name}_{number}"
    seen.add(unique)
    return unique
