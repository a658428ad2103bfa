"""OpenAPI: what quart-schema draws of an app, with its chain routes described in full.

A `ChainProvider` stands in front of the app's own `OpenAPIProvider`, of whichever class, and
leaves the drawing to it. Then it fills in the operations of chain routes. On other routes it
touches nothing but what would make the whole document invalid.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from copy import copy
from threading import Lock
from typing import Any, Final, Protocol

from quart import has_request_context, request
from quart_schema import OpenAPIProvider
from quart_schema.openapi import PATH_RE, QUART_SCHEMA_OPERATION_ID_ATTRIBUTE
from werkzeug.routing import Rule

from ..protocols.base import RouteDescription
from ..protocols.json_schema import Components, numbered, plain
from ..settings import OpenAPIVersion
from ..transports.route_description import (
    CHAIN_EXTENSION,
    ChainRoute,
    chain_rules,
    path_of,
    route_of,
)
from .operations import Operation, OperationBuilder
from .pages import websocket_page_seen_from

__all__ = ["ChainProvider", "Describer", "in_front_of"]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class Describer(Protocol):
    """Knows what there is to know of an app's chain routes."""

    @property
    def version(self) -> OpenAPIVersion:
        """The version that the document is to have."""

    @property
    def cache_key(self) -> Hashable:
        """Something that changes when the documents have to be drawn anew."""

    def inspect_chains_sync(self) -> None:
        """Look at what was not looked at yet, where that can be done without a loop."""

    def describe(self, route: ChainRoute, *, over_websocket: bool) -> RouteDescription:
        """Describe a chain route on one transport."""


class ChainProvider(OpenAPIProvider):
    """Draws the document; `in_front_of` makes it from the provider that an app has."""

    describer: Describer
    _lock: Lock
    _operations: list[tuple[Rule, ChainRoute, str, str]]
    _built: tuple[Hashable, dict[str, Any]] | None = None

    def schema(self) -> dict[str, Any]:
        """Return the document; it is drawn anew only when there is more to say."""
        with self._lock:  # several threads may be asked at once
            self.describer.inspect_chains_sync()
            cache_key = self.describer.cache_key
            if self._built is None or self._built[0] != cache_key:
                self._built = (cache_key, self._build())
            return _at_its_root(self._built[1])

    def build_paths(self, rule: Rule) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """Build the paths as the app's own provider does, and note which are of chain routes."""
        paths, components = super().build_paths(rule)
        misread = re.sub(PATH_RE, r"{\1}", rule.rule)  # where a converter follows another parameter
        paths = {path_of(rule) if path == misread else path: item for path, item in paths.items()}
        route = route_of(self._app.view_functions[rule.endpoint])
        if route is not None:
            places = [(path, method) for path, item in paths.items() for method in item]
            self._operations += [(rule, route, *place) for place in places if place[1] in _METHODS]
        return paths, components

    def operation_id(self, method: str, *about: Any) -> str | None:
        """Name an operation as the app's own provider does, but a chain route after its rule."""
        own: str | None = super().operation_id(method, *about)
        view = about[-1]
        route = route_of(view)
        is_chosen = hasattr(view, QUART_SCHEMA_OPERATION_ID_ATTRIBUTE)
        if route is None or is_chosen or own != f"{method.lower()}_{view.__name__}":
            return own
        return f"{method.lower()}_{route.label}"

    def _build(self) -> dict[str, Any]:
        self._operations = []
        document: dict[str, Any] = plain(super().schema())
        document["openapi"] = self.describer.version
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        components = Components(schemas)
        app: Any = self._app  # a weak proxy, which is not the app to mypy
        twins = {served.route: served.rule for served in chain_rules(app, websocket=True)}
        builders: dict[str, OperationBuilder] = {}  # the methods of a route have most in common
        for rule, route, path, method in self._operations:
            operation: Operation | None = document["paths"].get(path, {}).get(method)
            if operation is None:
                continue
            if rule.endpoint not in builders:
                builders[rule.endpoint] = self._builder(route, components)
            builders[rule.endpoint].fill_in(operation, rule, method)
            if route in twins:
                twin = path_of(twins[route])
                operation["description"] += f"\n\n{self._pointer(twin)}"
                operation[CHAIN_EXTENSION]["websocket"] = twin
        schemas |= components.added
        _repair(document, {(path, method) for _, _, path, method in self._operations})
        return document

    def _builder(self, route: ChainRoute, components: Components) -> OperationBuilder:
        description = self.describer.describe(route, over_websocket=False)
        return OperationBuilder(description, route.label, self.describer.version, components)

    def _pointer(self, path: str) -> str:
        """Say where the same is on a WebSocket."""
        page = self._extension.swagger_ui_path
        link = "" if page is None else f" ([its document]({websocket_page_seen_from(page)}))"
        return f"The same on a WebSocket: `{path}`{link}."


def in_front_of(provider: OpenAPIProvider, describer: Describer) -> ChainProvider:
    """Return a `ChainProvider` that is in all else what `provider` is.

    Args:
        provider: The provider that an app has, of quart-schema's class or one derived from it.
        describer: Knows the app's chain routes.
    """
    own = type(provider)
    combined: Any = copy(provider)
    combined.__class__ = type(f"Chain{own.__name__}", (ChainProvider, own), {})
    combined.describer = describer
    combined._lock = Lock()  # noqa: SLF001  # it is made here, and only here
    result: ChainProvider = combined
    return result


def _at_its_root(document: dict[str, Any]) -> dict[str, Any]:
    """Say where the app is mounted, which is known only to a request."""
    root = request.root_path if has_request_context() else ""
    start = {key: document[key] for key in ("openapi", "info")}
    return {**start, "servers": [{"url": root or "/"}], **document}


def _repair(document: dict[str, Any], ours: set[tuple[str, str]]) -> None:
    """Mend what makes a document invalid: routes without responses, ids that are not unique.

    Strict validators also want it said where nothing is said about security.
    """
    document.setdefault("security", [])
    operations = [
        ((path, method), item[method])
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    ]
    seen: set[str] = set()
    for _, operation in sorted(operations, key=lambda found: found[0] in ours):
        responses = operation.get("responses") or {"default": {"description": "Not documented."}}
        operation["responses"] = {str(status): answer for status, answer in responses.items()}
        if "operationId" in operation:  # of two that are the same, that of a chain route gives way
            name = next(name for name in numbered(operation["operationId"]) if name not in seen)
            operation["operationId"] = name
            seen.add(name)
