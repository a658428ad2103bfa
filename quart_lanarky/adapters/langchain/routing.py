"""From a chain or a chain factory to routes: `stream_chain`, and the blueprint of `add_chain`."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, Literal, overload

from langchain_core.runnables import Runnable
from quart import (
    Blueprint,
    Response,
    current_app,
    has_websocket_context,
    request,
    websocket,
)
from werkzeug.datastructures import MultiDict

from ... import sse
from ...errors import ChainTypeError, InputError
from ...events import Mode, check_mode
from ...extension import Settings, current_settings
from ...messages import parse_object
from ...responses import EventStreamResponse, json_answer
from ...streams import EventStream
from ...websockets import WebSocketSession
from .chains import HandlerPair, check_chain, plan_chain
from .inputs import Fields, chain_inputs, factory_name, factory_parameters
from .runs import ChainRun

__all__ = ["chain_blueprint", "stream_chain"]

ChainFactory = Callable[..., Any]
View = Callable[..., Awaitable[Any]]
"""Any, because one view serves both: Quart types HTTP and WebSocket views differently."""

Query = MultiDict[str, str]

Side = Literal[0, 1]
HTTP: Final = 0
WEBSOCKET: Final = 1  # the two sides of a handler pair


@overload
def stream_chain(factory: ChainFactory, /) -> View: ...


@overload
def stream_chain(
    *,
    mode: Mode | None = None,
    output_key: str | None = None,
    handlers: HandlerPair | None = None,
) -> Callable[[ChainFactory], View]: ...


def stream_chain(
    factory: ChainFactory | None = None,
    /,
    *,
    mode: Mode | None = None,
    output_key: str | None = None,
    handlers: HandlerPair | None = None,
) -> View | Callable[[ChainFactory], View]:
    """Turn a chain factory into a view that streams the chain's answer.

    The factory, ``def`` or ``async def``, is called once for each request (for a WebSocket:
    once for each connection) and returns the chain. A ``def`` runs in a thread, as Quart's own
    synchronous views do. Its parameters are path or query-string parameters, converted to
    their annotations; those without a default are required. The query string has no others.

    The route decides the transport. Over HTTP the chain's inputs are the JSON body of a POST
    or the rest of the query string of a GET; the answer is a stream of server-sent events, or
    one JSON document for ``Accept: application/json``. On a WebSocket every message is a turn.

    Use it with brackets or without; put the route, and decorators such as a login check, above.

    Args:
        factory: The chain factory.
        mode: `"json"` or `"text"`; by default the app's `QUART_LANARKY_DEFAULT_MODE`.
        output_key: Which of the chain's several outputs is the answer, where that cannot be
            seen from the chain.
        handlers: Your own pair of handler classes, the one for HTTP first, instead of those
            that fit the chain.

    Raises:
        ConfigurationError: There is no such mode, or the factory has a parameter that cannot
            come from a request. It is a ValueError.
    """
    options = _Options(check_mode(mode) if mode is not None else None, output_key, handlers)
    if factory is None:
        return functools.partial(_view, options=options)
    return _view(factory, options=options)


def chain_blueprint(
    rule: str,
    chain: Runnable[Any, Any] | ChainFactory,
    *,
    name: str | None = None,
    mode: Mode | None = None,
    output_key: str | None = None,
    handlers: HandlerPair | None = None,
) -> Blueprint:
    """Make the blueprint that serves `chain` at `rule`: POST, GET, and a WebSocket at `/ws`.

    Args:
        rule: The URL rule, such as `/qa`.
        chain: A chain that is ready, or a factory as `@stream_chain` decorates.
        name: The blueprint's name; by default made from the rule.
        mode: As in `stream_chain`.
        output_key: As in `stream_chain`.
        handlers: As in `stream_chain`.

    Raises:
        ChainTypeError: `chain` is neither a chain nor callable.
    """
    decorate = stream_chain(mode=mode, output_key=output_key, handlers=handlers)
    view = decorate(_factory_of(chain))
    words = re.sub(r"\W+", "_", rule).strip("_") or "root"
    blueprint = Blueprint(name or f"chain_{words}", __name__)
    blueprint.add_url_rule(rule, "stream", view, methods=["GET", "POST"])
    blueprint.add_websocket(rule.rstrip("/") + "/ws", "websocket", view)
    return blueprint


def _factory_of(chain: Runnable[Any, Any] | ChainFactory) -> ChainFactory:
    if isinstance(chain, Runnable):

        async def ready_chain() -> Runnable[Any, Any]:
            return chain

        return ready_chain
    if callable(chain):
        return chain
    raise ChainTypeError(f"add_chain takes a chain or a function that makes one, not {chain!r}")


@dataclass(frozen=True)
class _Options:
    mode: Mode | None
    output_key: str | None
    handlers: HandlerPair | None


def _view(factory: ChainFactory, *, options: _Options) -> View:
    route = _ChainRoute(factory, options)

    @functools.wraps(factory)
    async def view(**path: Any) -> Response | None:
        return await (route.talk(path) if has_websocket_context() else route.respond(path))

    return view


class _ChainRoute:
    """What a route knows before any request: how its chain is made. Nothing here changes."""

    def __init__(self, factory: ChainFactory, options: _Options) -> None:
        self._factory = factory
        self._parameters = factory_parameters(factory)
        self._options = options

    async def respond(self, path: dict[str, Any]) -> Response:
        """Answer the current HTTP request."""
        if request.method == "HEAD":  # Quart adds it to GET; nobody would read the answer
            return Response(content_type=sse.CONTENT_TYPE)
        body = None if request.method == "GET" else parse_object(await _json_body())
        parameters, rest = self._read_query(request.args, path)
        if body is not None:
            _refuse_unknown(rest)
        service = await self._open(parameters, HTTP)
        run = service.open_run(service.inputs.pick(rest) if body is None else body)
        return await json_answer(run, run.output) if _wants_json() else EventStreamResponse(run)

    async def talk(self, path: dict[str, Any]) -> None:
        """Serve the current WebSocket. What is wrong before it is accepted is an HTTP error."""
        parameters, rest = self._read_query(websocket.args, path)
        _refuse_unknown(rest)
        service = await self._open(parameters, WEBSOCKET)
        session = WebSocketSession(
            service.open_run,
            max_queued_turns=service.settings.max_queued_turns,
            mode=service.mode,
        )
        await session.serve()

    def _read_query(self, query: Query, path: dict[str, Any]) -> tuple[dict[str, Any], Query]:
        """Return the factory's parameters, and what the query string holds besides them."""
        names = self._parameters.hints
        given = self._parameters.pick(query) | path
        rest = MultiDict((n, v) for n, v in query.items(multi=True) if n not in names)
        return self._parameters.check({n: v for n, v in given.items() if n in names}), rest

    async def _open(self, parameters: dict[str, Any], side: Side) -> _ChainService:
        settings = current_settings()
        made = await current_app.ensure_async(self._factory)(**parameters)
        if isawaitable(made):  # a lambda, or an object, around an `async def`
            made = await made
        chain = check_chain(made, factory_name(self._factory))
        return _ChainService(chain, self._options, settings, side)


class _ChainService:
    """A chain made for one request or connection, and how to run it."""

    def __init__(
        self, chain: Runnable[Any, Any], options: _Options, settings: Settings, side: Side
    ) -> None:
        plan = plan_chain(chain, output_key=options.output_key, handlers=options.handlers)
        self.settings = settings
        self.mode: Mode = options.mode or settings.default_mode
        self.inputs: Fields = chain_inputs(chain)
        self._chain = chain
        self._output_key = plan.output_key
        self._factories = [pair[side] for pair in plan.pairs]

    def open_run(self, message: Mapping[str, Any] | str) -> ChainRun:
        """Make the run that answers `message`, with a stream and handlers of its own.

        Raises:
            InputError: The message does not fit the chain's inputs.
        """
        inputs = self.inputs.for_chain(message)
        stream = EventStream(
            max_events=self.settings.buffer_events, flush_interval=self.settings.flush_interval
        )
        handlers = [factory(stream, mode=self.mode) for factory in self._factories]
        return ChainRun(
            self._chain, inputs, handlers, stream, mode=self.mode, output_key=self._output_key
        )


async def _json_body() -> str | bytes:
    if not request.is_json:
        raise InputError("send the inputs as JSON, with the header Content-Type: application/json")
    return await request.get_data()


def _wants_json() -> bool:
    offers = ["text/event-stream", "application/json"]
    return request.accept_mimetypes.best_match(offers) == "application/json"


def _refuse_unknown(query: Query) -> None:
    if query:
        raise InputError("unknown query parameters", dict.fromkeys(query, "there is none"))
