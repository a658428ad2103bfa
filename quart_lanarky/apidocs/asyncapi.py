"""The AsyncAPI 3.0 spec of an app: its WebSocket routes, which OpenAPI cannot describe.

Each route is a channel with two operations of the app: it receives messages and sends events. The
spec is complete in itself; nothing in it refers to the OpenAPI spec.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from inspect import getdoc
from typing import Any

from quart import Quart, has_request_context, request
from quart_schema import QuartSchema
from quart_schema.openapi import (
    QUART_SCHEMA_DEPRECATED_ATTRIBUTE,
    QUART_SCHEMA_OPERATION_ID_ATTRIBUTE,
    QUART_SCHEMA_SECURITY_ATTRIBUTE,
    QUART_SCHEMA_TAG_ATTRIBUTE,
)

from ..protocols.base import MessageDocs
from ..protocols.json_schema import Components, Schema, numbered, pascal
from ..protocols.negotiation import JSON
from ..transports.route_description import (
    CHAIN_EXTENSION,
    ChainRoute,
    RouteInProtocol,
    ServedRule,
    chain_rules,
    path_of,
)
from .schema_objects import plain

__all__ = ["build", "with_server"]

Describe = Callable[[ChainRoute], RouteInProtocol]
"""Describes a chain route on a WebSocket."""


def build(app: Quart, schema: QuartSchema, describe: Describe) -> dict[str, Any]:
    """Return the AsyncAPI spec of an app.

    Args:
        app: The app.
        schema: Its quart-schema, which knows the title, the security schemes and the like.
        describe: Describes a chain route on a WebSocket.
    """
    components = Components()
    spec: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": _info(schema),
        "defaultContentType": JSON,
        "channels": {},
        "operations": {},
    }
    messages: dict[str, Schema] = {}
    for served in chain_rules(app, websocket=True):
        names = numbered(_channel_name(served))
        name = next(name for name in names if name not in spec["channels"])
        builder = _ChannelBuilder(served, name, describe(served.route), components, messages)
        spec["channels"][name] = builder.channel()
        security = _security(served, schema)
        spec["operations"] |= {
            operation: {**built, **({"security": security} if security else {})}
            for operation, built in builder.operations().items()
        }
    spec["components"] = {"messages": messages, "schemas": components.added}
    if schema.security_schemes:
        spec["components"]["securitySchemes"] = {
            name: _security_scheme(plain(scheme))
            for name, scheme in schema.security_schemes.items()
        }
    return spec


def with_server(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with the server to connect to, which is known only within a request."""
    if not has_request_context():
        return spec
    server = {"host": request.host, "protocol": "wss" if request.scheme == "https" else "ws"}
    if request.root_path:
        server["pathname"] = request.root_path
    return {**spec, "servers": {"this": server}}


class _ChannelBuilder:
    """Describes one WebSocket route: its channel, its messages, its operations."""

    def __init__(
        self,
        served: ServedRule,
        name: str,
        route: RouteInProtocol,
        components: Components,
        messages: dict[str, Schema],
    ) -> None:
        self._served = served
        self._name = name
        self._description, protocol = route
        self._extension = route.chain_extension
        self._docs = protocol.docs(self._description, pascal(name), components)
        self._components = components
        self._messages = messages
        self._address = path_of(served.rule)
        summary, text = _docstring_parts(served.view)
        self._summary = summary or f"Ask {self._address}"
        self._text = _paragraphs(text, *self._description.notes)
        self._client_messages = list(map(self._add_message, self._docs.client_messages()))
        self._server_messages = list(map(self._add_message, self._docs.server_messages()))

    def channel(self) -> Schema:
        """Return the channel: its address and all its messages."""
        channel: Schema = {
            "address": self._address,
            "title": self._name,
            "summary": self._summary,
            "messages": {
                n: _reference("components/messages", n)
                for n in [*self._client_messages, *self._server_messages]
            },
            "bindings": {"ws": self._websocket_binding()},
            CHAIN_EXTENSION: self._extension,
        }
        if self._text:
            channel["description"] = self._text
        if parameters := self._path_parameters():
            channel["parameters"] = parameters
        return channel

    def operations(self) -> dict[str, Schema]:
        """Return the two operations."""
        # Viewers show the description of operations, and often not that of their channel.
        receiving = _paragraphs(
            f"{self._summary.rstrip('.')}.", self._text, self._docs.receive_description
        )
        return {
            f"{self._name}.receive": self._operation(
                "receive",
                f"To {self._address}",
                "Messages of the client",
                _paragraphs(receiving, self._parameter_list()),
                self._client_messages,
            ),
            f"{self._name}.send": self._operation(
                "send",
                f"From {self._address}",
                "Events of the answer",
                self._docs.send_description,
                self._server_messages,
            ),
        }

    def _parameter_list(self) -> str:
        """Return a Markdown list of the query parameters, for viewers may not show bindings."""
        query = self._websocket_binding().get("query", {})
        lines = [
            f"- `{name}`: {self._parameter_text(schema)}"
            for name, schema in query.get("properties", {}).items()
        ]
        return "\n".join(["Parameters in the query string:\n", *lines]) if lines else ""

    def _parameter_text(self, schema: Schema) -> str:
        """Return the type, the choices, the default and the description of a parameter as text."""
        options = [self._components.resolve(option) for option in schema.get("anyOf", [schema])]
        types = [str(option["type"]) for option in options if option.get("type", "null") != "null"]
        choices = [", ".join(map(str, option["enum"])) for option in options if "enum" in option]
        words = [" or ".join(types) or "any", *(f"one of {names}" for names in choices)]
        default = schema.get("default")
        if default is not None:
            words.append(f"default {default if isinstance(default, str) else json.dumps(default)}")
        return ". ".join(filter(None, [", ".join(words), schema.get("description")]))

    def _operation(
        self, action: str, title: str, summary: str, description: str, messages: Iterable[str]
    ) -> Schema:
        operation: Schema = {
            "action": action,
            "channel": _reference("channels", self._name),
            "title": title,
            "summary": summary,
            "description": description,
            "messages": [_reference(f"channels/{self._name}/messages", name) for name in messages],
        }
        if _is_deprecated(self._served):
            operation["description"] = f"**Deprecated.** {description}"
        if tags := _tags(self._served):
            operation["tags"] = [{"name": tag} for tag in tags]
        return operation

    def _parameters(self) -> Schema:
        return self._components.of(self._description.parameters, "validation")

    def _path_parameters(self) -> Schema:
        known = self._parameters().get("properties", {})
        return {
            name: {"description": known.get(name, {}).get("description", "A part of the path.")}
            for name in sorted(self._served.rule.arguments)
        }

    def _websocket_binding(self) -> Schema:
        """Return the WebSocket binding, which describes the query string of the handshake."""
        schema = self._parameters()
        path_parameters = self._served.rule.arguments
        defaults = self._description.defaults
        properties = {
            name: {**value, "default": defaults[name]} if name in defaults else value
            for name, value in schema.get("properties", {}).items()
            if name not in path_parameters
        }
        for option in self._description.request_options:
            properties[option.name] = {"description": option.description, **option.schema}
        if not properties:
            return {"method": "GET", "bindingVersion": "0.1.0"}
        query: Schema = {"type": "object", "properties": properties}
        required = [name for name in schema.get("required", ()) if name not in path_parameters]
        required += [
            option.name
            for option in self._description.request_options
            if option.is_required and option.header is None
        ]
        if required:
            query["required"] = required
        return {"method": "GET", "query": query, "bindingVersion": "0.1.0"}

    def _add_message(self, message: MessageDocs) -> str:
        """Add a message under its name, or a numbered one if another has it; return the name."""
        content: Schema = {
            "summary": message.summary,
            "contentType": message.content_type,
            "payload": message.schema,
        }
        if shown := [{"summary": e.summary, "payload": e.value} for e in message.examples]:
            content["examples"] = shown
        named = ({"name": free, "title": free, **content} for free in numbered(message.name))
        found = next(m for m in named if self._messages.setdefault(m["name"], m) == m)
        return str(found["name"])


def _paragraphs(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _channel_name(served: ServedRule) -> str:
    name: str = getattr(served.view, QUART_SCHEMA_OPERATION_ID_ATTRIBUTE, served.route.label)
    return re.sub(r"\W", "_", name)  # it becomes a part of references


def _security(served: ServedRule, schema: QuartSchema) -> list[Schema]:
    """Return references to the security schemes of a route, or else to those of the app."""
    own = [
        requirement
        for owner in (served.view, served.blueprint)
        for requirement in getattr(owner, QUART_SCHEMA_SECURITY_ATTRIBUTE, None) or ()
    ]
    names = dict.fromkeys(name for each in own or schema.security or () for name in each)
    return [_reference("components/securitySchemes", name) for name in names]


def _security_scheme(own: Schema) -> Schema:
    """Convert a security scheme of OpenAPI to one of AsyncAPI."""
    kind = {"apiKey": "httpApiKey", "mutualTLS": "X509"}.get(own["type"], own["type"])
    scheme = {**own, "type": kind}
    if "flows" in own:
        flows = {name: dict(flow) for name, flow in own["flows"].items()}
        for flow in flows.values():
            flow["availableScopes"] = flow.pop("scopes", {})
        scheme["flows"] = flows
    return scheme


def _info(schema: QuartSchema) -> Schema:
    own: Schema = plain(schema.info)
    return {key: value for key, value in own.items() if key != "summary"}


def _reference(section: str, name: str) -> Schema:
    return {"$ref": f"#/{section}/{name}"}


def _docstring_parts(view: Any) -> tuple[str, str]:
    summary, _, description = (getdoc(view) or "").partition("\n")
    return summary, description.strip()


def _is_deprecated(served: ServedRule) -> bool:
    owners = (served.view, served.blueprint)
    return any(getattr(owner, QUART_SCHEMA_DEPRECATED_ATTRIBUTE, False) for owner in owners)


def _tags(served: ServedRule) -> list[str]:
    tags: set[str] = set(getattr(served.view, QUART_SCHEMA_TAG_ATTRIBUTE, ()))
    return sorted(tags | set(getattr(served.blueprint, QUART_SCHEMA_TAG_ATTRIBUTE, ())))
