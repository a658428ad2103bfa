"""LanarkyExtension: what an app gets once, its settings and its chain routes."""

from __future__ import annotations

import asyncio
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack
from urllib.parse import quote_from_bytes
from weakref import WeakSet

from quart import Blueprint, Quart
from werkzeug.exceptions import BadHost

from .adapters import Adapter, default_adapter
from .apidocs.commands import commands_for
from .apidocs.specs import ApiSpecs
from .errors import ConfigurationError
from .playground.views import add_playground, check_path
from .runs.failures import ErrorTable
from .runs.registry import RunRegistry
from .settings import EXTENSION_KEY, SETTING_KEYS, Settings, check_names
from .transports.connection import (
    CONNECTION_KEY,
    ClientConnection,
    refuse,
    wrap_websocket_class,
)
from .transports.hypercorn import Server, defer_sigterm, detect_server
from .transports.owners import FindOwner
from .transports.route_checks import RouteChecks

if TYPE_CHECKING:
    from .adapters.langchain.routing import AddChainOptions

__all__ = ["API_SPECS_KEY", "LanarkyExtension"]

API_SPECS_KEY = f"{EXTENSION_KEY}_API_SPECS"
"""The key in `app.extensions` of the app's `ApiSpecs`."""

_CHECKS_KEY = f"{EXTENSION_KEY}_CHECKS"

GRACEFUL_TIMEOUT_MARGIN = 1.0
"""Seconds before the server cuts all streams at which theirs are ended properly."""


class LanarkyExtension:
    """Adds streaming chain routes to a Quart app.

    Args:
        app: The app; without one, call `init_app` later. One extension may serve several apps.
        playground: The path of a page on which people try the chain routes, such as
            `"/playground"`; None for no page. It asks as its visitor could, with their cookies.
        owner: Whose thread it is that a client names: a function, ``def`` or ``async def``, that is
            called with Quart's request (for a WebSocket: its handshake) and returns a str, or None
            for nobody. Threads of different owners are different threads. Without it, a thread is
            open to whoever knows its id.
        adapter: Makes routes from the chains of another LLM framework. LangChain's is imported
            when `add_chain` is first called.

    Raises:
        ConfigurationError: `playground` is no path, `owner` no function, or a setting makes no
            sense.
    """

    def __init__(
        self,
        app: Quart | None = None,
        *,
        playground: str | None = None,
        owner: FindOwner | None = None,
        adapter: Adapter | None = None,
    ) -> None:
        self.registry = RunRegistry()
        self.error_table = ErrorTable()
        if owner is not None and not callable(owner):
            raise ConfigurationError(
                f"owner= takes a function of the request that says whose threads are meant, not "
                f"{owner!r}"
            )
        self.owner = owner
        self._adapter = adapter
        self._playground = None if playground is None else check_path(playground)
        self._stopping: Any = None  # the sign of the server that is watched
        self._apps: WeakSet[Quart] = WeakSet()
        self._blueprints: list[Blueprint] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Set the app up: defaults for its settings, the chain routes added so far, API docs.

        Raises:
            ConfigurationError: A setting has a value that makes no sense.
        """
        check_names(app.config)
        settings = Settings.from_config(app.config)
        for name, key in SETTING_KEYS.items():
            app.config.setdefault(key, getattr(settings, name))
        app.extensions[EXTENSION_KEY] = self
        if API_SPECS_KEY not in app.extensions:
            _add_api_docs(app)
            self._wrap_asgi_app(app)
        if app not in self._apps:
            self._apps.add(app)
            if self._playground is not None:
                add_playground(app, self._playground)
            for blueprint in self._blueprints:
                app.register_blueprint(blueprint)
            app.extensions[_CHECKS_KEY].check_duplicates()

    def add_chain(
        self, rule: str, chain: Any | Callable[..., Any], **options: Unpack[AddChainOptions]
    ) -> Blueprint:
        """Serve a chain at `rule`: POST and GET there, and a WebSocket at `rule` + `/ws`.

        Args:
            rule: The URL rule, such as `/qa`.
            chain: A chain that is ready, or a factory as `@stream_chain` decorates.
            **options: All of them are optional.

                - `name`: The blueprint's name; by default made from the rule.
                - `methods`: The HTTP methods at the rule, `("GET", "POST")`. Browsers send a GET
                  for pages of other origins as well; `("POST",)` leaves it out.
                - `websocket`: Whether there is a WebSocket (True).
                - Whatever `stream_chain` takes.

        Returns:
            The blueprint, registered on the extension's apps.

        Raises:
            ChainTypeError: `chain` is neither a chain nor callable.
            ConfigurationError: An option makes no sense.
        """
        self._adapter = self._adapter or default_adapter()
        blueprint = self._adapter.chain_blueprint(rule, chain, **options)
        self._make_name_unique(blueprint, rule, is_given=options.get("name") is not None)
        self._blueprints.append(blueprint)
        for app in self._apps:
            app.register_blueprint(blueprint)
            app.extensions[_CHECKS_KEY].check_duplicates()
        return blueprint

    def _make_name_unique(self, blueprint: Blueprint, rule: str, *, is_given: bool) -> None:
        """Number the name of a blueprint that is made from a rule: `/a/b` and `/a-b` have one."""
        taken = {each.name for each in self._blueprints}
        if is_given and blueprint.name in taken:
            raise ConfigurationError(
                f"add_chain: the name {blueprint.name!r} of the route {rule} is that of another "
                "route already; give it another name="
            )
        name = blueprint.name
        for number in range(2, len(taken) + 2):
            if blueprint.name not in taken:
                break
            blueprint.name = f"{name}_{number}"

    def error_for(
        self,
        exception_class: type[Exception],
        *,
        status: int,
        detail: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Tell clients more of an exception than "Internal Server Error".

        It holds for the runs of the extension's apps that fail with such an exception, or because
        of one: over server-sent events and WebSockets as the `error` event, in JSON responses as
        their status. Of several classes that an exception derives from, the nearest counts.

        Args:
            exception_class: The class; its subclasses are meant as well.
            status: The status code, from 400 to 599. With one below 500 the exception is no error
                of the app's, and its traceback is not logged.
            detail: What the client is told; by default the phrase of the status. The text of the
                exception itself is never sent.
            retry_after: After how many seconds the client may try again: in the event, and as the
                header `Retry-After`.

        Raises:
            ConfigurationError: One of the values makes no sense.
        """
        self.error_table.add(exception_class, status, detail, retry_after)

    @property
    def is_draining(self) -> bool:
        """Whether no new run is let in any more, since the server is about to stop.

        What a health check wants to know.
        """
        return self.registry.is_draining

    async def drain(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # as a server's
        """Let no new run in, and return when the live ones have ended.

        From now on requests are answered with status 503, and WebSockets without a turn in
        progress are closed with code 1012. `quart_lanarky.serve` calls it when it has to
        stop; call it yourself before you stop a server of another kind.

        Args:
            timeout: How many seconds the live runs get; by default the longest
                `QUART_LANARKY_DRAIN_TIMEOUT` of the extension's apps. Those that take longer
                are cancelled, and their clients get an `error` with status 503 and an `end`.
        """
        await self.registry.drain(self._drain_timeout() if timeout is None else timeout)

    def _drain_timeout(self) -> float:
        settings = (Settings.from_config(app.config) for app in self._apps)
        return max((each.drain_timeout for each in settings), default=0.0)

    def _wrap_asgi_app(self, app: Quart) -> None:
        """Stand between the server and the app, where its end can be seen coming."""
        serve: Any = app.asgi_app
        checks = app.extensions[_CHECKS_KEY] = RouteChecks(app)

        async def serve_connection(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] not in ("http", "websocket"):
                await serve(scope, receive, send)
                return
            checks.run_once()
            self._watch(detect_server(send))
            connection = ClientConnection(receive, scope["type"], send)
            scope = {**scope, CONNECTION_KEY: connection}
            if not scope["query_string"].isascii():  # only in HTTP/2, and Quart reads it as UTF-8
                quoted = quote_from_bytes(scope["query_string"], string.printable)
                scope["query_string"] = quoted.encode()
            try:
                await serve(scope, connection.receive, send)
            except BadHost:  # no name at all: Quart itself would have it fail with status 500
                await refuse(scope, send)
            finally:
                if scope["type"] == "websocket":
                    connection.discard_input()

        app.asgi_app = serve_connection  # type: ignore[method-assign]  # as Quart documents it
        app.asgi_websocket_class = wrap_websocket_class(app.asgi_websocket_class)

    def _watch(self, server: Server | None) -> None:
        if server is not None and server.stopping is not self._stopping:
            self._stopping = server.stopping
            self._watching = asyncio.create_task(self._drain_when_it_stops(server))

    async def _drain_when_it_stops(self, server: Server) -> None:
        with defer_sigterm(server, GRACEFUL_TIMEOUT_MARGIN):
            await server.stopping.wait()
            await self.drain(
                max(
                    0.0,
                    min(self._drain_timeout(), server.graceful_timeout - GRACEFUL_TIMEOUT_MARGIN),
                )
            )


def _add_api_docs(app: Quart) -> None:
    """Add the API docs to an app, and install them when it is first served or runs a command.

    Not earlier: the user may yet set up quart-schema, before or after this extension.
    """
    specs = app.extensions[API_SPECS_KEY] = ApiSpecs(app)
    if (schema := app.extensions.get("QUART_SCHEMA")) is not None:
        specs.wrap_provider(schema)
    app.cli.add_command(commands_for(specs))
    serve: Any = app.asgi_app
    find_command = app.cli.get_command

    async def install_and_serve(scope: Any, receive: Any, send: Any) -> None:
        specs.install()
        await serve(scope, receive, send)

    def install_and_find(context: Any, name: str) -> Any:
        specs.install()
        return find_command(context, name)

    app.asgi_app = install_and_serve  # type: ignore[method-assign]  # as Quart documents it
    # Our own commands install the specs themselves, but `quart schema` and commands of the user
    # ask quart-schema. Quart tells an extension nothing before it runs those, and click has only
    # this hook, which is meant to be overridden, but in a class, and the group is Quart's.
    app.cli.get_command = install_and_find  # type: ignore[method-assign,assignment]
