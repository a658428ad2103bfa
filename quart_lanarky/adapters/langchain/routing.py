"""From a chain or a chain factory to routes: `stream_chain`, and the blueprint of `add_chain`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any, Final, Unpack, overload

from langchain_core.runnables import Runnable
from quart import Blueprint

from ...errors import ConfigurationError
from ...transports.route import View, chain_view
from ...transports.route_checks import mark_factory
from .service.factories import ChainFactory, check_factory, factory_of
from .service.options import ChainOptions, RouteOptions
from .service.source import LangChainSource
from .service.thread_ids import check_thread

__all__ = ["AddChainOptions", "chain_blueprint", "stream_chain"]

METHODS: Final = ("GET", "POST")
"""The HTTP methods of a chain route."""


class AddChainOptions(ChainOptions, total=False):
    """The options of `add_chain`: its own, and those of `stream_chain`."""

    name: str | None
    methods: Collection[str]
    websocket: bool


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
    one JSON object for ``Accept: application/json``. On a WebSocket every message is a turn.

    The API docs describe the route by `input_model`, by the annotation
    ``-> Runnable[Question, str]`` with a Pydantic model, or else by the chain, for which the
    factory is called once when they are first asked for. The annotation binds requests as well.

    Use it with brackets or without; put the route, and decorators such as a login check, above.

    Args:
        factory: The chain factory.
        **options: All of them are optional.

            - `mode`: `"json"` or `"text"`; by default the app's `QUART_LANARKY_DEFAULT_MODE`.
            - `output_key`: Which of the chain's several outputs is the answer, where that
              cannot be seen from the chain.
            - `final_tag`: The tag of the model runs whose text is the answer, where that
              cannot be seen from the chain.
            - `hold_tokens`: How many tokens of an agent's model that has tools are buffered,
              since it may still call one (32); 0 buffers none, None all of them.
            - `input_model`: A Pydantic model for the inputs, instead of what the chain says.
            - `config`: A LangChain configuration (callbacks, tags, `thread_id`), or a
              function, ``def`` or ``async def``, that is given Quart's request (for a
              WebSocket: its handshake) and returns one. The run's id cannot be set.
            - `handlers`: Your own handler class, or a pair of them, the one for HTTP first,
              instead of those that fit the chain. Their `events` say what they send.
            - `accept`: What the inputs may have besides a conversation in text, a tuple of:
              `"system"` (messages with the roles `system` and `developer`), `"tools"` (tool
              calls and their results), `"files"` (inline, at a provider, or at a URL that
              `QUART_LANARKY_FILE_URLS` allows), `"serialized"` (LangChain's serialised objects,
              as data), `"overwrite"` (ids of messages, and LangGraph's `__overwrite__`).
            - `show`: What leaves the server besides the answer, a tuple of `"tools"` (calls, their
              progress and results), `"reasoning"`, `"steps"` (of graphs and subagents), `"custom"`
              (events of the app's nodes and tools), `"citations"`, `"media"`; by default nothing.
              A request may ask for less.
            - `thread`: For a graph with a checkpointer: a function, ``def`` or ``async def``, of
              Quart's request (for a WebSocket: its handshake) and of the id that the client
              proposes with ``?thread_id=`` (None without one), which returns the `thread_id`.
              Without it, and where `config` or the graph names none, the client has to propose one.
              With `owner=` of the extension it is one of that owner's threads.
            - `on_busy`: What a run does if another one is live on its thread, in this process:
              `"wait"` for it, `"reject"` (status 409), or `"cancel"` the other one.
            - `resume`: Whether clients may answer what a graph with a checkpointer waits for, with
              `{"resume": ...}` (True). False where others decide than those who ask.

    Raises:
        ConfigurationError: An option makes no sense, or the factory has a parameter that
            cannot come from a request. It is a ValueError.
        TypeError: There is no such option.
    """
    route_options = _route_options(options)
    if factory is None:
        return functools.partial(_view, options=route_options)
    return _view(factory, route_options)


def chain_blueprint(
    rule: str,
    chain: Runnable[Any, Any] | ChainFactory,
    *,
    name: str | None = None,
    methods: Collection[str] = METHODS,
    websocket: bool = True,
    **options: Unpack[ChainOptions],
) -> Blueprint:
    """Make the blueprint that serves `chain` at `rule`: POST, GET, and a WebSocket at `/ws`.

    Args:
        rule: The URL rule, such as `/qa`.
        chain: A chain that is ready, or a factory as `@stream_chain` decorates.
        name: The blueprint's name; by default made from the rule.
        methods: The HTTP methods at `rule`: `"GET"`, `"POST"`, both or none.
        websocket: Whether there is a WebSocket at `rule` + `/ws`.
        **options: As in `stream_chain`.

    Raises:
        ChainTypeError: `chain` is neither a chain nor callable.
        ConfigurationError: `methods` has others, or nothing is served.
    """
    _check_methods(methods, websocket=websocket)
    words = re.sub(r"\W+", "_", rule).strip("_") or "root"
    route_options = _route_options(options, ("name", "methods", "websocket"))
    if isinstance(chain, Runnable):
        check_thread(chain, route_options.config, route_options.thread)
    view = _view(factory_of(chain), route_options, words)
    blueprint = Blueprint(name or f"chain_{words}", __name__)
    if methods:
        blueprint.add_url_rule(rule, "stream", view, methods=list(methods))
    if websocket:
        blueprint.add_websocket(rule.rstrip("/") + "/ws", "websocket", view)
    return blueprint


def _check_methods(methods: Any, *, websocket: bool) -> None:
    is_list = isinstance(methods, Collection) and not isinstance(methods, str)
    if not is_list or not all(method in METHODS for method in methods):
        raise ConfigurationError(
            f'methods= takes a tuple of "GET" and "POST", one of them or none, not {methods!r}'
        )
    if not methods and not websocket:
        raise ConfigurationError(
            "methods= is empty and websocket= is False: nothing serves this chain"
        )


def _view(factory: ChainFactory, options: RouteOptions, label: str | None = None) -> View:
    check_factory(factory)
    label = label or str(getattr(factory, "__name__", ""))
    source = LangChainSource(factory, options, label)
    view = chain_view(source, options.mode, named_after=factory)
    mark_factory(factory)
    return view


def _route_options(options: ChainOptions, others: Collection[str] = ()) -> RouteOptions:
    """Return the options of a route; `others` has the names that the caller takes besides."""
    known = [*RouteOptions.__dataclass_fields__, *others]
    for name in options.keys() - set(known):
        similar = get_close_matches(name, known, 1)
        meant = f"did you mean {similar[0]}=? " if similar else ""
        raise TypeError(f"there is no option {name}=: {meant}There are {', '.join(known)}")
    return RouteOptions(**options)
