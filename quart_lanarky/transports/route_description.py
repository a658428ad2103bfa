"""How the API docs find the chain routes of an app, and have them described.

The view of a chain route carries its `ChainRoute` in an attribute, as quart-schema's decorators do
it, so that it survives decorators that use `functools.wraps`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol

from quart import Blueprint, Quart
from quart_schema.openapi import QUART_SCHEMA_HIDDEN_ATTRIBUTE
from werkzeug.routing import Rule

from ..protocols.base import RouteDescription, RouteProtocol
from ..settings import Settings

__all__ = [
    "CHAIN_EXTENSION",
    "ChainRoute",
    "RouteInProtocol",
    "ServedRule",
    "attach_route",
    "chain_rules",
    "path_of",
    "route_of",
]

CHAIN_EXTENSION: Final = "x-chain"
"""The field of both API specs that says that this is a chain route; tools skip `x-` fields."""

_ROUTE_ATTRIBUTE: Final = "_quart_lanarky_route"


class RouteInProtocol(NamedTuple):
    """A chain route on one transport, with its protocol: what the API docs are built from.

    Attributes:
        description: Its description, whatever its protocol.
        protocol: Its protocol, which describes what is sent.
    """

    description: RouteDescription
    protocol: RouteProtocol

    @property
    def chain_extension(self) -> dict[str, Any]:
        """What `x-chain` says of the route."""
        kept = {"keeps_history": True} if self.description.keeps_history else {}
        shown = {"show": list(self.description.shows)} if self.description.shows else {}
        resumed = {"resumes": True} if self.description.resumes else {}
        return {**self.protocol.options, **kept, **shown, **resumed}


class ChainRoute(Protocol):
    """A route that can describe itself."""

    @property
    def label(self) -> str:
        """Its name in the API docs: a Python identifier."""

    async def inspect_chain(self) -> Any:
        """Return what has to be looked at to describe the route, or None; it may call a factory.

        It is called once for each app, when the API docs are first asked for.
        """

    def describe(self, seen: Any, *, over_websocket: bool, settings: Settings) -> RouteInProtocol:
        """Describe the route, with what `inspect_chain` returned if it was called."""


def attach_route(view: Any, route: ChainRoute) -> None:
    """Note on a view which chain route it serves."""
    setattr(view, _ROUTE_ATTRIBUTE, route)


def route_of(view: Any) -> ChainRoute | None:
    """Return the chain route that a view serves, if it does."""
    route: ChainRoute | None = getattr(view, _ROUTE_ATTRIBUTE, None)
    return route


def path_of(rule: Rule) -> str:
    """Return the path of a rule with its parameters in braces."""
    return re.sub(r"<(?:[^<>]*:)?([^<>:]+)>", r"{\1}", rule.rule)


class ServedRule(NamedTuple):
    """One URL rule of an app that leads to a chain route.

    Attributes:
        rule: The rule.
        view: The view behind it, with its decorators.
        route: The chain route.
        blueprint: The blueprint that the view was registered with, if any.
    """

    rule: Rule
    view: Any
    route: ChainRoute
    blueprint: Blueprint | None


def chain_rules(app: Quart, *, websocket: bool | None = None) -> Iterator[ServedRule]:
    """Yield the rules of an app's chain routes but for those that `@hide` hides.

    Args:
        app: The app.
        websocket: Only those of WebSockets, or only those of HTTP.
    """
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        route = route_of(view)
        if route is None or getattr(view, QUART_SCHEMA_HIDDEN_ATTRIBUTE, False):
            continue
        if websocket is None or rule.websocket is websocket:
            blueprint: Any = app.blueprints.get(rule.endpoint.rpartition(".")[0])
            yield ServedRule(rule, view, route, blueprint)
