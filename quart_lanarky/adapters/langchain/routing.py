"""From a chain or a chain factory to routes: `stream_chain`, and the blueprint of `add_chain`."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from inspect import isawaitable
from typing import Any, Final, Literal, Unpack, overload

from langchain_core.runnables import Runnable, RunnableConfig
from quart import Blueprint, Response, has_websocket_context, request, websocket
from werkzeug.datastructures import MultiDict

from ...errors import InputError
from ...protocols import sse
from ...protocols.native.encode import Mode
from ...protocols.native.requests import parse_object
from ...protocols.negotiation import prefers_json
from ...runs.stream import EventStream
from ...settings import Settings, current_settings
from ...transports.admission import reserve_slot
from ...transports.guards import (
    check_origin,
    is_finished_reconnect,
    limit_body,
    read_json,
    setup_timeout,
)
from ...transports.json_response import json_answer
from ...transports.route_description import attach_route
from ...transports.sse_response import EventStreamResponse
from ...transports.websocket_session import WebSocketSession
from .inputs.parameters import factory_parameters
from .service.chain_run import ChainRun
from .service.compile import ChainCompiler, CompiledChain
from .service.describe import ChainDescriber
from .service.factories import ChainFactory, factory_of, open_chain
from .service.options import ChainOptions, RouteOptions

__all__ = ["chain_blueprint", "stream_chain"]

View = Callable[..., Awaitable[Any]]
"""Any, because one view serves both: Quart types HTTP and WebSocket views differently."""

Query = MultiDict[str, str]

Side = Literal[0, 1]
HTTP: Final = 0
WEBSOCKET: Final = 1  # the two sides of a handler pair


@overload
def stream_chain(factory: ChainFactory, /) -> View: ...


@overload
def stream_chain(**options: Unpack[ChainOptions]) -> Callable[[ChainFactory], View]: ...


def stream_chain(
    factory: ChainFactory | None = None, /, **options: Unpack[ChainOptions]
) -> View | Callable[[ChainFactory], View]:
    """Turn a chain factory into a view that streams the chain's answer.

    The factory, ``def`` or ``async def``, is called once for each request (for a WebSocket:
    once for each connection) and returns the chain, or yields it and cleans up when the stream
    has ended, however it ended. A ``def`` runs in a thread, as Quart's own synchronous views
    do. Its parameters are path or query-string parameters, converted to their annotations;
    those without a default are required. The query string has no others.

    The route decides the transport. Over HTTP the chain's inputs are the JSON body of a POST
    or the rest of the query string of a GET; the answer is a stream of server-sent events, or
    one JSON document for ``Accept: application/json``. On a WebSocket every message is a turn.

    The documents describe the route by `input_model`, by the annotation
    ``-> Runnable[Question, str]`` with a Pydantic model, or else by the chain, for which the
    factory is called once when they are first asked for. The annotation binds requests as well.

    Use it with brackets or without; put the route, and decorators such as a login check, above.

    Args:
        factory: The chain factory.
        **options: All of them are optional.

            - `mode`: `"json"` or `"text"`; by default the app's `QUART_LANARKY_DEFAULT_MODE`.
            - `output_key`: Which of the chain's several outputs is the answer, where that
              cannot be seen from the chain.
            - `final_tag`: The tag of the model runs that speak for the answer, where that
              cannot be seen from the chain.
            - `hold_tokens`: How many tokens of an agent's model that has tools wait, for it
              may call one yet (32); 0 lets them go at once, None holds them to the end.
            - `input_model`: A Pydantic model for the inputs, instead of what the chain says.
            - `config`: A LangChain configuration (callbacks, tags, `thread_id`), or a
              function, ``def`` or ``async def``, that is given Quart's request (for a
              WebSocket: its handshake) and returns one. The run's id is always ours.
            - `handlers`: Your own pair of handler classes, the one for HTTP first, instead of
              those that fit the chain. Their `events` say what they send.

    Raises:
        ConfigurationError: An option makes no sense, or the factory has a parameter that
            cannot come from a request. It is a ValueError.
        TypeError: There is no such option.
    """
    route_options = RouteOptions(**options)
    if factory is None:
        return functools.partial(_view, options=route_options)
    return _view(factory, route_options)


def chain_blueprint(
    rule: str,
    chain: Runnable[Any, Any] | ChainFactory,
    *,
    name: str | None = None,
    **options: Unpack[ChainOptions],
) -> Blueprint:
    """Make the blueprint that serves `chain` at `rule`: POST, GET, and a WebSocket at `/ws`.

    Args:
        rule: The URL rule, such as `/qa`.
        chain: A chain that is ready, or a factory as `@stream_chain` decorates.
        name: The blueprint's name; by default made from the rule.
        **options: As in `stream_chain`.

    Raises:
        ChainTypeError: `chain` is neither a chain nor callable.
    """
    words = re.sub(r"\W+", "_", rule).strip("_") or "root"
    view = _view(factory_of(chain), RouteOptions(**options), words)
    blueprint = Blueprint(name or f"chain_{words}", __name__)
    blueprint.add_url_rule(rule, "stream", view, methods=["GET", "POST"])
    blueprint.add_websocket(rule.rstrip("/") + "/ws", "websocket", view)
    return blueprint


def _view(factory: ChainFactory, options: RouteOptions, label: str | None = None) -> View:
    route = _ChainRoute(factory, options, label or str(getattr(factory, "__name__", "")))

    @functools.wraps(factory)
    async def view(**path: Any) -> Response | None:
        try:
            return await (route.talk(path) if has_websocket_context() else route.respond(path))
        except InputError as error:
            # Quart makes a circle of it and its frames, which have all that the client has sent.
            raise error.with_traceback(None)  # noqa: B904  # it is the same error

    attach_route(view, route.describer)
    return view


class _ChainRoute:
    """What a route knows before any request: how its chain is made and compiled."""

    def __init__(self, factory: ChainFactory, options: RouteOptions, label: str) -> None:
        self._factory = factory
        self._parameters = factory_parameters(factory)
        self._options = options
        self.describer = ChainDescriber(factory, self._parameters, options, label)
        self._compiler = ChainCompiler(options, lambda: self.describer.declared_input)

    async def respond(self, path: dict[str, Any]) -> Response:
        """Answer the current HTTP request."""
        settings = current_settings()
        limit_body(settings.max_message_bytes)
        body = None
        if request.method == "HEAD":  # Quart adds it to GET; nobody would read the answer
            return Response(content_type=sse.CONTENT_TYPE)
        if request.method == "GET":
            check_origin(request, settings.allowed_origins)
            if is_finished_reconnect(request):
                return Response(status=204)
        else:
            body = parse_object(await read_json(settings.max_message_bytes))
        parameters, rest = self._read_query(request.args, path)
        if body is not None:
            _refuse_unknown(rest)
        async with AsyncExitStack() as stack:
            service = await self._open(parameters, HTTP, settings, stack)
            run = service.open_run(service.inputs.pick(rest) if body is None else body)
            if prefers_json(request.headers.get("Accept", "")):
                return await json_answer(run, run.output)
            return EventStreamResponse(run, stack)

    async def talk(self, path: dict[str, Any]) -> None:
        """Serve the current WebSocket. What is wrong before it is accepted is an HTTP error."""
        settings = current_settings()
        check_origin(websocket, settings.allowed_origins)
        parameters, rest = self._read_query(websocket.args, path)
        _refuse_unknown(rest)
        async with AsyncExitStack() as stack:
            service = await self._open(parameters, WEBSOCKET, settings, stack)
            session = WebSocketSession(service.open_run, settings=settings, mode=service.mode)
            await session.serve()

    def _read_query(self, query: Query, path: dict[str, Any]) -> tuple[dict[str, Any], Query]:
        """Return the factory's parameters, and what the query string holds besides them."""
        names = self._parameters.hints
        given = self._parameters.pick(query) | path
        rest = MultiDict((n, v) for n, v in query.items(multi=True) if n not in names)
        return self._parameters.check({n: v for n, v in given.items() if n in names}), rest

    async def _open(
        self, parameters: dict[str, Any], side: Side, settings: Settings, stack: AsyncExitStack
    ) -> _ChainService:
        asking = request if side == HTTP else websocket
        async with reserve_slot(settings), setup_timeout(settings.run_timeout):
            config = await self._config(asking)
            chain = await open_chain(self._factory, parameters, stack)
        source = f"the route {asking.url_rule}"
        return _ChainService(
            self._compiler.compile(chain), self._options.mode, settings, side, config, source
        )

    async def _config(self, asking: Any) -> RunnableConfig | None:
        config = self._options.config
        given = config(asking) if callable(config) else config
        return await given if isawaitable(given) else given


class _ChainService:
    """A chain made for one request or connection, and how to run it."""

    def __init__(
        self,
        chain: CompiledChain,
        mode: Mode | None,
        settings: Settings,
        side: Side,
        config: RunnableConfig | None,
        source: str,
    ) -> None:
        self._settings = settings
        self.mode: Mode = mode or settings.default_mode
        self.inputs = chain.inputs
        self._handlers = [pair[side] for pair in chain.plan.pairs]
        self._new_run = functools.partial(
            ChainRun, chain.plan, mode=self.mode, config=config, source=source
        )

    def open_run(self, message: Mapping[str, Any] | str) -> ChainRun:
        """Make the run that answers `message`, with a stream and handlers of its own.

        Raises:
            InputError: The message does not fit the chain's inputs.
        """
        inputs = self.inputs.for_chain(message, self._settings.max_messages)
        stream = EventStream(
            max_events=self._settings.buffer_events, flush_interval=self._settings.flush_interval
        )
        handlers = [factory(stream, mode=self.mode) for factory in self._handlers]
        return self._new_run(inputs, handlers, stream)


def _refuse_unknown(query: Query) -> None:
    if query:
        raise InputError("unknown query parameters", dict.fromkeys(query, "there is none"))
