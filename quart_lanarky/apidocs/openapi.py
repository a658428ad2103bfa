"""The OpenAPI spec of an app: the one of quart-schema, with the chain routes described in full.

`ChainOpenAPIProvider` has the app's own `OpenAPIProvider`, of whichever class, build the spec, and
rewrites the operations of chain routes in what it returns. In other operations it changes only
what would make the whole spec invalid.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple, Protocol

from quart import Quart, has_request_context, request
from quart_schema import OpenAPIProvider, QuartSchema
from quart_schema.openapi import PATH_RE, QUART_SCHEMA_OPERATION_ID_ATTRIBUTE
from werkzeug.routing import Rule

from ..protocols.json_schema import Components, numbered
from ..settings import Settings
from ..transports.route_description import (
    CHAIN_EXTENSION,
    ChainRoute,
    RouteInProtocol,
    chain_rules,
    path_of,
    route_of,
)
from .operations import Operation, OperationBuilder
from .pages import websocket_page_link, websocket_page_path
from .schema_objects import plain

__all__ = ["ChainOpenAPIProvider", "RouteDescriber"]

Spec = dict[str, Any]
PathItem = dict[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


class RouteDescriber(Protocol):
    """Describes an app's chain routes."""

    @property
    def settings(self) -> Settings:
        """The settings of the app."""

    @property
    def own_errors(self) -> Mapping[int, str]:
        """The status codes of the app's own exceptions, with what clients are told."""

    @property
    def cache_key(self) -> Hashable:
        """A value that changes when the specs have to be built again."""

    def inspect_chains_sync(self) -> None:
        """Inspect the chains that are not inspected yet, unless an event loop is running."""

    def describe(self, route: ChainRoute, *, over_websocket: bool) -> RouteInProtocol:
        """Describe a chain route on one transport."""


class ChainOpenAPIProvider(OpenAPIProvider):
    """Adds the chain routes to the spec that the app's own provider builds.

    quart-schema calls nothing but `schema()`. The other methods of a provider are hooks of that
    one, and only those of `own` are called.

    Args:
        app: The app.
        extension: Its quart-schema, with the app's own provider.
        describer: Describes the app's chain routes.

    Attributes:
        own: The app's own provider.
    """

    def __init__(self, app: Quart, extension: QuartSchema, describer: RouteDescriber) -> None:
        super().__init__(app, extension)
        self.own = extension.openapi_provider
        self._describer = describer
        self._builder = _SpecBuilder(app, extension, describer)
        self._lock = Lock()
        self._cached: tuple[Hashable, Spec] | None = None

    def schema(self) -> Spec:
        """Return the spec; it is built again only when there is more to say."""
        with self._lock:  # several threads may call this at once
            self._describer.inspect_chains_sync()
            cache_key = self._describer.cache_key
            if self._cached is None or self._cached[0] != cache_key:
                self._cached = (cache_key, self._builder.build())
            return _with_server(self._cached[1], self._builder.websocket_page)


class _RulePath(NamedTuple):
    """A path that the app's own provider builds for a URL rule."""

    rule: Rule
    path: str
    item: PathItem

    @property
    def correct_path(self) -> str:
        """The path with all parameters of the rule.

        quart-schema reads `/<a>/<int:b>` as `/{b}`: its pattern takes `<a>/<int:` for a converter.
        """
        misread = re.sub(PATH_RE, r"{\1}", self.rule.rule)
        return path_of(self.rule) if self.path == misread else self.path


class _ChainOperation(NamedTuple):
    """An operation of a chain route in the spec."""

    rule: Rule
    route: ChainRoute
    path: str
    method: str
    operation: Operation


class _SpecBuilder:
    """Builds the spec: has the app's own provider build one, and rewrites it."""

    def __init__(self, app: Quart, extension: QuartSchema, describer: RouteDescriber) -> None:
        self._app = app
        self._schema = extension
        self._own = extension.openapi_provider
        self._describer = describer

    def build(self) -> Spec:
        """Build the spec."""
        spec: Spec = plain(self._own.schema())
        spec["openapi"] = self._describer.settings.openapi_version
        rule_paths = self._rule_paths()
        spec["paths"] = _correct_paths(spec["paths"], rule_paths)
        chain_operations = list(self._chain_operations(spec["paths"], rule_paths))
        self._describe(spec, chain_operations)
        _make_valid(spec, {(each.path, each.method) for each in chain_operations})
        return spec

    @property
    def websocket_page(self) -> str | None:
        """The path of the page of the WebSocket routes, if there are any."""
        page = self._schema.swagger_ui_path
        has_websockets = any(chain_rules(self._app, websocket=True))
        return websocket_page_path(page) if page is not None and has_websockets else None

    def _rule_paths(self) -> list[_RulePath]:
        """Build the paths of each rule once more: a spec does not say which rule a path is of."""
        return [
            _RulePath(rule, path, plain(item))
            for rule in self._own.generate_rules()
            for path, item in self._own.build_paths(rule)[0].items()
        ]

    def _chain_operations(
        self, paths: dict[str, PathItem], rule_paths: Iterable[_RulePath]
    ) -> Iterator[_ChainOperation]:
        rules = {(each.correct_path, key): each.rule for each in rule_paths for key in each.item}
        for (path, method), rule in rules.items():
            route = route_of(self._app.view_functions[rule.endpoint])
            operation = paths.get(path, {}).get(method)
            if route is not None and operation is not None and method in _METHODS:
                yield _ChainOperation(rule, route, path, method, operation)

    def _describe(self, spec: Spec, chain_operations: Iterable[_ChainOperation]) -> None:
        schemas = spec.setdefault("components", {}).setdefault("schemas", {})
        components = Components(schemas)
        websockets = {each.route: each.rule for each in chain_rules(self._app, websocket=True)}
        builders: dict[str, OperationBuilder] = {}  # the methods of a route have most in common
        for rule, route, _, method, operation in chain_operations:
            if rule.endpoint not in builders:
                builders[rule.endpoint] = self._operation_builder(route, components)
            builders[rule.endpoint].fill_in(operation, rule, method)
            _name_after_route(operation, method, self._app.view_functions[rule.endpoint], route)
            if route in websockets:
                self._link_websocket(operation, path_of(websockets[route]))
        schemas |= components.added

    def _operation_builder(self, route: ChainRoute, components: Components) -> OperationBuilder:
        described = self._describer.describe(route, over_websocket=False)
        settings, own_errors = self._describer.settings, self._describer.own_errors
        return OperationBuilder(described, route.label, settings, components, own_errors)

    def _link_websocket(self, operation: Operation, path: str) -> None:
        """Say where the route is served over a WebSocket."""
        page = self._schema.swagger_ui_path
        link = "" if page is None else f" ([its API docs]({websocket_page_link(page)}))"
        operation["description"] += f"\n\nThe same on a WebSocket: `{path}`{link}."
        operation[CHAIN_EXTENSION]["websocket"] = path


def _correct_paths(
    paths: dict[str, PathItem], rule_paths: Sequence[_RulePath]
) -> dict[str, PathItem]:
    """Return the paths of a spec, those that quart-schema misreads under their correct names.

    Several rules may have been read as the same path, of which quart-schema keeps the operations
    of the last one. Those of the others are taken from `rule_paths`.
    """
    kept = {(each.path, key): each for each in rule_paths for key in each.item}
    misread = {each.path for each in rule_paths if each.path != each.correct_path}
    corrected: dict[str, PathItem] = {}
    for path, item in paths.items():
        if path not in misread:
            corrected.setdefault(path, {}).update(item)
            continue
        for each in (each for each in rule_paths if each.path == path):
            corrected.setdefault(each.correct_path, {}).update(
                (key, item[key] if kept[path, key] is each else built)
                for key, built in each.item.items()
                if key in item
            )
    return corrected


def _name_after_route(operation: Operation, method: str, view: Any, route: ChainRoute) -> None:
    """Replace quart-schema's default id by one with the label of the route."""
    is_chosen = hasattr(view, QUART_SCHEMA_OPERATION_ID_ATTRIBUTE)
    if not is_chosen and operation.get("operationId") == f"{method}_{view.__name__}":
        operation["operationId"] = f"{method}_{route.label}"


def _with_server(spec: Spec, websocket_page: str | None) -> Spec:
    """Return the spec with what is known only within a request: the server, whose root path it is.

    It links to the page of the WebSocket routes too, unless the app links to something else.
    """
    start = {key: spec[key] for key in ("openapi", "info")}
    if not has_request_context():
        return {**start, "servers": [{"url": "/"}], **spec}
    root = request.root_path
    url = f"{request.scheme}://{request.host}{root}{websocket_page}"  # Swagger UI wants a whole one
    link = {"externalDocs": {"description": "The WebSocket routes", "url": url}}
    return {**start, "servers": [{"url": root or "/"}], **(link if websocket_page else {}), **spec}


def _make_valid(spec: Spec, chain_operations: set[tuple[str, str]]) -> None:
    """Repair what makes a spec invalid: operations without responses, ids that are not unique.

    Strict validators also require `security` where an app says nothing about it.
    """
    spec.setdefault("security", [])
    operations = [
        ((path, method), item[method])
        for path, item in spec["paths"].items()
        for method in _METHODS
        if method in item
    ]
    seen: set[str] = set()
    for _, operation in sorted(operations, key=lambda found: found[0] in chain_operations):
        responses = operation.get("responses") or {"default": {"description": "Not documented."}}
        operation["responses"] = {str(status): answer for status, answer in responses.items()}
        if "operationId" in operation:  # of two equal ids, the one of a chain route is changed
            name = next(name for name in numbered(operation["operationId"]) if name not in seen)
            operation["operationId"] = name
            seen.add(name)
