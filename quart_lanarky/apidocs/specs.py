"""The API specs of one app: inspects its chains, builds the specs and serves them.

Nothing is built when the app is set up, for routes and `QuartSchema` may yet be added. `install`
is called when the app is first used, by a server or by a command.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping
from contextvars import Context
from functools import partial, wraps
from http import HTTPStatus
from types import MethodType
from typing import Any, Final

from quart import Quart, Response
from quart_schema import QuartSchema, hide
from werkzeug.routing import Rule

from ..runs.failures import ErrorTable
from ..settings import EXTENSION_KEY, Settings
from ..transports.guards import require_allowed_host
from ..transports.route_description import ChainRoute, RouteInProtocol, chain_rules
from ..transports.threads import SPEC_THREADS
from . import asyncapi
from .openapi import ChainOpenAPIProvider, Spec
from .pages import ASYNCAPI_ENDPOINT, add_pages

__all__ = ["ApiSpecs"]

logger = logging.getLogger(__name__)

INSPECT_TIMEOUT: Final = 5.0
"""Seconds that a chain factory gets to make the chain that its route is described by."""

_SCHEMA_KEY: Final = "QUART_SCHEMA"


class ApiSpecs:
    """The OpenAPI and the AsyncAPI spec of an app.

    Args:
        app: The app.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app
        self._provider: ChainOpenAPIProvider | None = None
        self._is_installed = False
        self._inspected: dict[ChainRoute, Any] = {}
        self._inspecting: set[ChainRoute] = set()
        self._has_failed = False  # a chain could not be inspected
        self._inspection: asyncio.Task[None] | None = None
        self._asyncapi: tuple[Hashable, Spec] | None = None

    def install(self) -> None:
        """Wrap the app's own OpenAPI provider, and add the routes of the API docs.

        If the app has no quart-schema, it gets one. Calling this again does nothing.
        """
        if not self._is_installed:
            schema = self._app.extensions.get(_SCHEMA_KEY) or _set_up_quart_schema(self._app)
            self.wrap_provider(schema)
            self._is_installed = True
            if schema.openapi_path is not None:
                self._add_routes(schema)

    def wrap_provider(self, schema: QuartSchema) -> None:
        """Have the provider of a quart-schema describe chain routes, if it does not do so yet."""
        provider = schema.openapi_provider
        if not isinstance(provider, ChainOpenAPIProvider):
            provider = ChainOpenAPIProvider(self._app, schema, self)
            self._provider = schema.openapi_provider = provider
        elif self._provider is None:  # another app has the same quart-schema
            self._provider = provider

    def openapi(self) -> Spec:
        """Return the OpenAPI spec."""
        self.install()
        assert self._provider is not None  # it is installed
        return self._provider.schema()

    def asyncapi(self) -> Spec:
        """Return the AsyncAPI spec; it is built again only when there is more to say."""
        self.install()
        self.inspect_chains_sync()
        cache_key = self.cache_key
        if self._asyncapi is None or self._asyncapi[0] != cache_key:
            schema = self._app.extensions[_SCHEMA_KEY]
            on_websocket = partial(self.describe, over_websocket=True)
            self._asyncapi = (cache_key, asyncapi.build(self._app, schema, on_websocket))
        return asyncapi.with_server(self._asyncapi[1])

    def described_routes(self) -> Iterator[tuple[Rule, RouteInProtocol]]:
        """Yield the URL rules of the chain routes with their descriptions."""
        self.inspect_chains_sync()
        for served in chain_rules(self._app):
            yield served.rule, self.describe(served.route, over_websocket=served.rule.websocket)

    def describe(self, route: ChainRoute, *, over_websocket: bool) -> RouteInProtocol:
        """Describe a chain route on one transport, with its chain if that was inspected."""
        inspected = self._inspected.get(route)
        return route.describe(inspected, over_websocket=over_websocket, settings=self.settings)

    @property
    def settings(self) -> Settings:
        """The settings of the app."""
        return Settings.from_config(self._app.config)

    @property
    def cache_key(self) -> Hashable:
        """A value that changes when the specs have to be built again."""
        rules = len(list(self._app.url_map.iter_rules()))
        return rules, len(self._inspected), self.settings, tuple(self.own_errors.items())

    @property
    def own_errors(self) -> Mapping[int, str]:
        """The status codes of the app's own exceptions, with what clients are told."""
        table: ErrorTable = self._app.extensions[EXTENSION_KEY].error_table
        return table.statuses

    async def inspect_chains(self) -> None:
        """Inspect the chains that are not inspected yet, each once.

        Visitors who come at once share one task. It goes on without them: a factory that is slow
        is not called again for each of them that has left.
        """
        loop = asyncio.get_running_loop()
        task = self._inspection
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._inspection = loop.create_task(self._inspect_all(), context=Context())
        await asyncio.shield(task)

    async def _inspect_all(self) -> None:
        routes = self._uninspected()
        self._inspecting |= routes
        try:
            found = await asyncio.gather(*map(self._inspect_chain, routes))
            self._inspected |= dict(zip(routes, found, strict=True))
        finally:
            self._inspecting -= routes
        while self._inspecting:  # noqa: ASYNC110  # another task does, perhaps on another loop
            await asyncio.sleep(0.01)

    def inspect_chains_sync(self) -> None:
        """Inspect them where no event loop is running, such as in a command; else do nothing."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._uninspected():
                asyncio.run(self.inspect_chains())

    def inspect_chains_of_command(self, *, with_startup: bool) -> None:
        """Inspect them for a command, which serves nothing.

        Args:
            with_startup: Run the app's `before_serving` and `while_serving` functions first, and
                `after_serving` ones afterwards, as a server does.
        """
        self.install()
        if with_startup:
            asyncio.run(self._inspect_started_chains())
            return
        self.inspect_chains_sync()
        does_start = self._app.before_serving_funcs or self._app.while_serving_gens
        if does_start and self._has_failed:
            logger.warning(
                "the functions of before_serving and while_serving have not run; if a chain "
                "needs what they open, add --startup to the command"
            )

    async def _inspect_started_chains(self) -> None:
        async with self._app.test_app():
            await self.inspect_chains()

    def _uninspected(self) -> set[ChainRoute]:
        routes = {served.route for served in chain_rules(self._app)}
        return routes - self._inspected.keys() - self._inspecting

    async def _inspect_chain(self, route: ChainRoute) -> Any:
        """Return what the description of a route needs of its chain, or None if that fails.

        This runs in an empty context, without the request: a spec must not depend on who
        requested it first.
        """

        async def inspect_chain() -> Any:
            async with self._app.app_context():
                return await route.inspect_chain()

        task = asyncio.get_running_loop().create_task(inspect_chain(), context=Context())
        try:
            return await asyncio.wait_for(task, INSPECT_TIMEOUT)
        except Exception as error:  # noqa: BLE001  # it is the user's code, and may need a request
            self._has_failed = True
            logger.warning(
                "the API docs say little about the route %r, for its chain could not be made "
                "(%s: %s); declare its inputs with input_model=",
                route.label,
                type(error).__name__,
                error,
            )
            return None

    def _add_routes(self, schema: QuartSchema) -> None:
        """Serve the AsyncAPI spec and the pages, and the OpenAPI spec without blocking the loop."""
        own = self._app.view_functions["openapi"]
        is_default = own == MethodType(QuartSchema.openapi, schema)
        guard = None if is_default else own  # a view of the user's may reject requests
        openapi = wraps(own)(self._spec_view(self.openapi, guard, guard_responds=True))
        self._app.endpoint("openapi")(require_allowed_host(openapi))
        asyncapi = hide(self._spec_view(self.asyncapi, guard, guard_responds=False))
        asyncapi = require_allowed_host(asyncapi)
        folder = str(schema.openapi_path).rpartition("/")[0]
        self._app.add_url_rule(f"{folder}/asyncapi.json", ASYNCAPI_ENDPOINT, asyncapi)
        add_pages(self._app, schema)

    def _spec_view(
        self,
        build: Callable[[], Spec],
        guard: Callable[[], Any] | None,
        *,
        guard_responds: bool,
    ) -> Callable[[], Awaitable[Response]]:
        """Return a view of a spec, which is built in a thread.

        Args:
            build: Builds the spec.
            guard: The user's own view of the OpenAPI spec, which decides who may see a spec.
            guard_responds: Whether the guard's response is sent, for the user may change the spec
                in it, or only its rejections are.
        """

        async def ask_guard() -> Response:
            returned: Any = await self._app.ensure_async(guard)()  # type: ignore[arg-type]
            response: Any = await self._app.make_response(returned)
            return response  # type: ignore[no-any-return]

        async def spec_view() -> Response:
            # Before any factory is called. What it lets through it may have to build again.
            allowed = None if guard is None else await ask_guard()
            if allowed is not None and allowed.status_code != HTTPStatus.OK:
                return allowed
            known = self.cache_key
            await self.inspect_chains()
            spec = await SPEC_THREADS.run(build)
            if allowed is not None and guard_responds:
                return allowed if known == self.cache_key else await ask_guard()
            # Not sorted: a spec has first what matters most to its readers.
            text = self._app.json.dumps(spec, sort_keys=False)
            return Response(text, content_type="application/json")

        return spec_view


def _set_up_quart_schema(app: Quart) -> QuartSchema:
    """Set quart-schema up for an app that has none, but keep the app's JSON provider.

    Of its pages only Swagger UI is added, for the others load scripts from other hosts.
    """
    json_provider = app.json
    if taken := {"openapi", "swagger_ui"} & app.view_functions.keys():
        logger.warning("no API docs are served, for the app has views of its own: %s", taken)
        schema = QuartSchema(app, openapi_path=None)
    else:
        schema = QuartSchema(app, redoc_ui_path=None, scalar_ui_path=None)
    app.json = json_provider
    return schema
