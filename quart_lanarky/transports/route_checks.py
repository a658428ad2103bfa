"""Find mistakes in the routes of an app when it starts, before a client runs into them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any, Final, NoReturn

from quart import Quart, has_request_context, request
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ..errors import ConfigurationError
from .route_description import route_of

__all__ = ["RouteChecks", "mark_factory"]

logger = logging.getLogger(__name__)

_FACTORY_ATTRIBUTE: Final = "_quart_lanarky_is_factory"


def mark_factory(factory: Any) -> None:
    """Note on a function that it makes chains, so it is no view itself."""
    with suppress(AttributeError, TypeError):  # a method has no attributes
        setattr(factory, _FACTORY_ATTRIBUTE, True)


class RouteChecks:
    """Checks the routes of one app.

    Args:
        app: The app. Its chain routes that take no POST are also watched for one, which is logged
            once for each of them.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app
        self._logged: set[str] = set()  # rules
        self._has_run = False
        self._start = app.startup
        app.startup = self._check_and_start  # type: ignore[method-assign]
        self._raise = app.raise_routing_exception
        app.raise_routing_exception = self._raise_routing_exception  # type: ignore[method-assign,assignment]

    def run_once(self) -> None:
        """Check the routes, unless that was done when the server started."""
        if not self._has_run:
            self.run()

    async def _check_and_start(self) -> None:
        """Start the app, unless its routes are wrong: the server then reports it, and exits."""
        self.run()
        await self._start()

    def run(self) -> None:
        """Check the routes that there are now; those that do nothing useful are logged.

        Raises:
            ConfigurationError: A chain factory is a view, or two chains have one rule.
        """
        for rule in self._app.url_map.iter_rules():
            view = self._app.view_functions.get(rule.endpoint)
            route = route_of(view)
            if route is not None:
                _warn_of_ignored(rule, route)
            elif getattr(view, _FACTORY_ATTRIBUTE, False):
                raise ConfigurationError(
                    f"the route {rule.rule} calls the chain factory {rule.endpoint}() itself, and "
                    "not what @stream_chain makes of it: put @stream_chain below the decorator of "
                    "the route, next to the function"
                )
        self.check_duplicates()
        self._has_run = True

    def check_duplicates(self) -> None:
        """Raise a `ConfigurationError` if two chains have one rule: only the first is called."""
        seen: dict[tuple[Any, ...], str] = {}
        for rule in self._app.url_map.iter_rules():
            if route_of(self._app.view_functions.get(rule.endpoint)) is None:
                continue
            for method in ("WebSocket",) if rule.websocket else sorted(rule.methods or ()):
                place = (rule.rule, method, rule.subdomain, rule.host)
                if method not in ("HEAD", "OPTIONS") and place in seen:
                    raise ConfigurationError(
                        f"two chains are served at {method} {rule.rule}, {seen[place]} and "
                        f"{rule.endpoint}: only the first would ever be called. Give one of them "
                        "another rule"
                    )
                seen.setdefault(place, rule.endpoint)

    def _raise_routing_exception(self, asking: BaseRequestWebsocket) -> NoReturn:
        """Tell the developer of a chain route of a POST that it does not take."""
        error = asking.routing_exception
        if (
            isinstance(error, MethodNotAllowed)
            and has_request_context()
            and request.method == "POST"
        ):
            methods = sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"})
            rule = self._chain_rule(methods)
            if rule is not None and rule not in self._logged:
                self._logged.add(rule)
                logger.warning(
                    "POST to the chain route %s got status 405, for it takes %s only: write "
                    '@app.post(...) for a POST, or methods=["GET", "POST"]',
                    rule,
                    ", ".join(methods),
                )
        self._raise(asking)
        raise AssertionError  # it has raised

    def _chain_rule(self, methods: list[str]) -> str | None:
        """Return the rule of the chain route that the path of the current request leads to."""
        adapter = self._app.create_url_adapter(request)
        if adapter is None or not methods:
            return None
        try:
            rule, _ = adapter.match(method=methods[0], return_rule=True)
        except HTTPException:
            return None
        return None if route_of(self._app.view_functions.get(rule.endpoint)) is None else rule.rule


def _warn_of_ignored(rule: Any, route: Any) -> None:
    names = getattr(route, "path_names", None)
    ignored = [] if names is None else sorted(rule.arguments - set(names))
    if ignored:
        logger.warning(
            "nothing is given the value of <%s> in the path of the chain route %s: add a parameter "
            "of this name to its factory, or read quart.request.view_args in a config= function",
            ", ".join(ignored),
            rule.rule,
        )
