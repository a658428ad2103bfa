"""A chain route, over HTTP and WebSockets: negotiate, guard, decode, open, respond.

Where its chain comes from is an adapter's business: it implements `ChainSource`, and `chain_view`
makes the view.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import cache, update_wrapper
from typing import Any, Protocol

from quart import Response, after_this_request, has_websocket_context, request, session, websocket
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException

from ..errors import InputError
from ..protocols.base import RequestOption, RouteDescription, RouteProtocol
from ..protocols.native.encode import Mode
from ..protocols.native.protocol import NativeProtocol
from ..protocols.negotiation import prefers_json
from ..runs.run import Run
from ..runs.stream import EventStream
from ..settings import Settings, current_settings
from .admission import reserve_session, reserve_slot
from .connection import unwrap_proxy
from .guards import (
    check_host,
    check_origin,
    is_finished_reconnect,
    limit_body,
    read_json,
    setup_timeout,
)
from .json_response import answer_failure_as_json, json_answer
from .request_options import read_request_options
from .route_description import RouteInProtocol, attach_route
from .sse_response import EventStreamResponse
from .websocket_session import WebSocketSession

__all__ = ["ChainSource", "OpenChain", "Parameters", "View", "chain_view"]

logger = logging.getLogger(__name__)

View = Callable[..., Awaitable[Any]]
"""Any, because one view serves both: Quart types HTTP and WebSocket views differently."""

Query = MultiDict[str, str]


NewProtocol = Callable[[Settings], RouteProtocol]
"""Makes the protocol of a route, for the settings of the app."""


class Parameters(Protocol):
    """The parameters of a route's path and query string."""

    @property
    def names(self) -> Collection[str]:
        """Their names."""

    def pick(self, query: Query, /) -> dict[str, Any]:
        """Return what a query string has, before it is checked."""

    def check(self, given: Mapping[str, Any], /) -> dict[str, Any]:
        """Return the values, converted to their types.

        Raises:
            InputError: One is missing, unknown or of a wrong type.
        """


class OpenChain(Protocol):
    """A chain made for one request or connection."""

    def pick_inputs(self, query: Query, /) -> dict[str, Any]:
        """Return the inputs that a query string has."""

    def new_run(self, message: Mapping[str, Any] | str, stream: EventStream, /) -> Run:
        """Make the run that answers `message` into `stream`.

        Raises:
            InputError: The message does not fit the chain's inputs.
        """


class ChainSource(Protocol):
    """Where the chain of a route comes from; an adapter implements it."""

    @property
    def label(self) -> str:
        """The route's name in the API docs: a Python identifier."""

    @property
    def parameters(self) -> Parameters:
        """What is needed to make a chain."""

    @property
    def request_options(self) -> Sequence[RequestOption]:
        """What a request may ask of its run besides the inputs."""

    async def open(
        self,
        connection: BaseRequestWebsocket,
        parameters: dict[str, Any],
        asked: Mapping[str, str],
        settings: Settings,
        resources: AsyncExitStack,
    ) -> OpenChain:
        """Make a chain for a request or a WebSocket's connection.

        Args:
            connection: The request, or the handshake.
            parameters: Checked by `parameters`.
            asked: The options of the request that were given, by name.
            settings: The app's.
            resources: What the chain has to clean up in the end.

        Raises:
            InputError: An option makes no sense, or asks for more than the route allows.
        """

    async def inspect_chain(self) -> Any:
        """Return what has to be looked at to describe the chain, or None; it may call a factory."""

    def describe(self, inspected: Any, *, over_websocket: bool) -> RouteDescription:
        """Describe the route on one transport, with what `inspect_chain` returned."""


def chain_view(
    source: ChainSource,
    mode: Mode | None = None,
    *,
    protocol: NewProtocol | None = None,
    named_after: Any = None,
) -> View:
    """Make the view of a chain route, for HTTP routes and WebSocket routes alike.

    Args:
        source: Where the chain comes from.
        mode: How the native protocol encodes tokens; by default the app's
            `QUART_LANARKY_DEFAULT_MODE`.
        protocol: Makes the protocol of the route; by default the native one.
        named_after: The function whose name and attributes the view takes over.
    """
    route = _Route(source, _native(mode) if protocol is None else protocol)

    async def view(**path: Any) -> Response | None:
        try:
            return await (route.talk(path) if has_websocket_context() else route.respond(path))
        except InputError as error:
            # Quart keeps a reference cycle with its frames, which hold all that the client sent.
            raise error.with_traceback(None)  # noqa: B904  # it is the same error
        except HTTPException:
            raise
        except Exception as error:
            answer_failure_as_json(error)
            raise

    if named_after is not None:
        update_wrapper(view, named_after)
    attach_route(view, route)
    return view


class _Route:
    """What a route knows before any request."""

    def __init__(self, source: ChainSource, new_protocol: NewProtocol) -> None:
        self._source = source
        self._new_protocol = new_protocol

    # -- for the API docs ------------------------------------------------------------------

    @property
    def label(self) -> str:
        """The route's name."""
        return self._source.label

    async def inspect_chain(self) -> Any:
        """Return what `describe` wants to know of the chain."""
        return await self._source.inspect_chain()

    def describe(
        self, inspected: Any, *, over_websocket: bool, settings: Settings
    ) -> RouteInProtocol:
        """Describe the route on one transport."""
        description = self._source.describe(inspected, over_websocket=over_websocket)
        return RouteInProtocol(description, self._new_protocol(settings))

    @property
    def path_names(self) -> Collection[str] | None:
        """The parameters that its path may have; None for any, if the request itself is read."""
        reads_request = getattr(self._source, "reads_request", True)
        return None if reads_request else self._source.parameters.names

    # -- requests --------------------------------------------------------------------------

    async def respond(self, path: dict[str, Any]) -> Response:
        """Answer the current HTTP request."""
        after_this_request(_forbid_caching)  # of whatever answer, a refusal or a failure too
        settings = current_settings()
        check_host(request, settings.allowed_hosts)
        protocol = self._new_protocol(settings)
        wants_json = prefers_json(request.headers.get("Accept", ""))
        limit_body(settings.max_message_bytes)
        body = None
        if request.method == "HEAD":  # Quart adds it to GET; there is no body to read
            encoder = protocol.new_encoder()
            return Response(headers=dict(encoder.headers), content_type=encoder.content_type)
        if request.method == "GET":
            check_origin(request, settings.allowed_origins)
            if is_finished_reconnect(request):
                return Response(status=204)
        else:
            body = protocol.parse_body(await read_json(settings.max_message_bytes))
        parameters, asked, rest = self._read_query(request, path)
        if body is not None:
            _refuse_unknown(rest)
        async with AsyncExitStack() as resources:
            # Not Quart's proxy: its debug page shows what the frames hold, and cannot show that.
            connection = unwrap_proxy(request)
            async with reserve_slot(settings), setup_timeout(settings.run_timeout):
                chain = await self._source.open(connection, parameters, asked, settings, resources)
                inputs = chain.pick_inputs(rest) if body is None else body
                run = chain.new_run(inputs, _new_stream(settings))
                resources.callback(run.release)  # whatever happens before it is read
                await run.prepare()
            if wants_json:
                return await json_answer(run, run.output)
            return EventStreamResponse(run, resources, encoder=protocol.new_encoder())

    async def talk(self, path: dict[str, Any]) -> None:
        """Serve the current WebSocket. What is wrong before it is accepted is an HTTP error."""
        settings = current_settings()
        check_host(websocket, settings.allowed_hosts)
        check_origin(websocket, settings.allowed_origins)
        parameters, asked, rest = self._read_query(websocket, path)
        _refuse_unknown(rest)
        async with AsyncExitStack() as resources:
            resources.enter_context(reserve_session(settings))
            connection = unwrap_proxy(websocket)
            async with reserve_slot(settings), setup_timeout(settings.run_timeout):
                chain = await self._source.open(connection, parameters, asked, settings, resources)
            if session.modified:
                _warn_of_lost_session(str(websocket.url_rule))

            def open_run(message: Mapping[str, Any] | str) -> Run:
                return chain.new_run(message, _new_stream(settings))

            talk = WebSocketSession(
                open_run, settings=settings, protocol=self._new_protocol(settings)
            )
            await talk.serve()

    def _read_query(
        self, connection: BaseRequestWebsocket, path: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str], Query]:
        """Return the source's parameters, the request's options, and what the query has besides."""
        query, names = connection.args, self._source.parameters.names
        own: Query = MultiDict((n, v) for n, v in query.items(multi=True) if n in names)
        rest: Query = MultiDict((n, v) for n, v in query.items(multi=True) if n not in names)
        given = self._source.parameters.pick(own)
        if twice := given.keys() & path.keys():  # code that reads the query would see another value
            raise InputError("the path has them", dict.fromkeys(twice, "is given more than once"))
        given |= {name: value for name, value in path.items() if name in names}
        asked = read_request_options(self._source.request_options, connection, rest)
        return self._check_parameters(given), asked, rest

    def _check_parameters(self, given: dict[str, Any]) -> dict[str, Any]:
        """Convert the source's parameters; say of wrong ones that they are not in the body."""
        if not self._source.parameters.names:
            return {}
        try:
            checked: dict[str, Any] = self._source.parameters.check(given)
        except InputError as error:
            if not error.fields:
                raise
            place = "the parameters in the path or the query string do not fit"
            raise InputError(place, error.fields) from None
        return checked


@cache
def _warn_of_lost_session(path: str) -> None:
    logger.warning(
        "%s: the session was changed in the handshake of a WebSocket, which can set no cookie, so "
        "the next connection of the same visitor will not know of it (a new thread, say): change "
        "it when the page is loaded, in the view of its GET",
        path,
    )


async def _forbid_caching(response: Any) -> Any:
    """Keep caches off a response: it is of one user, and in the form that `Accept` asked for."""
    # Not `setdefault`: Werkzeug makes an exception for each header that is missing.
    names = {name.lower() for name, _ in response.headers}
    if "cache-control" not in names:
        response.headers.add("Cache-Control", "no-store")
    if "vary" in names:
        response.vary.add("Accept")
    else:
        response.headers.add("Vary", "Accept")
    return response


def _native(mode: Mode | None) -> NewProtocol:
    return lambda settings: NativeProtocol(mode or settings.default_mode)


def _new_stream(settings: Settings) -> EventStream:
    return EventStream(max_events=settings.buffer_events, flush_interval=settings.flush_interval)


def _refuse_unknown(query: Query) -> None:
    if query:
        raise InputError("unknown query parameters", dict.fromkeys(query, "there is none"))
