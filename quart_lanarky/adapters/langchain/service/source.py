"""A chain factory as the source of a route's chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from inspect import isawaitable
from types import MappingProxyType
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from quart import Websocket
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import MultiDict

from ....errors import InputError
from ....protocols.base import RequestOption, RouteDescription
from ....protocols.native.encode import Mode
from ....runs.stream import EventStream
from ....settings import Settings
from ....transports.admission import current_registry
from ....transports.request_options import asked_names
from ..inputs.fields import parse_json
from ..inputs.parameter_types import check_return_annotation
from ..inputs.parameters import factory_name, factory_parameters, returned_type
from ..inputs.policy import InputPolicy
from ..inputs.resume import RESUME, resume_value
from .chain_run import ChainRun
from .compile import ChainCompiler, CompiledChain
from .describe import ChainDescriber
from .factories import ChainFactory, open_chain
from .options import RouteOptions
from .plan import HandlerFactory
from .showing import with_shown
from .thread_ids import THREAD_ID, Thread, find_thread

__all__ = ["LangChainSource", "OpenedChain"]


class LangChainSource:
    """Makes, compiles and describes the chains of one route.

    Args:
        factory: The chain factory.
        options: The options of the route.
        label: What the API docs are to call it.

    Attributes:
        parameters: The parameters of the factory.
    """

    def __init__(self, factory: ChainFactory, options: RouteOptions, label: str) -> None:
        self._factory = factory
        self._options = options
        self.parameters = factory_parameters(factory)
        check_return_annotation(returned_type(factory), factory_name(factory))
        self._describer = ChainDescriber(factory, self.parameters, options, label)
        self._compiler = ChainCompiler(options, lambda: self._describer.declared_input)

    @property
    def reads_request(self) -> bool:
        """Whether a function of the app's reads the request: it may want what is in the path."""
        return callable(self._options.config) or self._options.thread is not None

    @property
    def request_options(self) -> Sequence[RequestOption]:
        """What a request may ask of its run besides the inputs."""
        return self._describer.request_options

    @property
    def label(self) -> str:
        """The route's name in the API docs."""
        return self._describer.label

    async def inspect_chain(self) -> Any:
        """Return the chain, made for this once, or None if it need not or cannot be made."""
        return await self._describer.inspect_chain()

    def describe(self, inspected: Any, *, over_websocket: bool) -> RouteDescription:
        """Describe the route on one transport."""
        return self._describer.describe(inspected, over_websocket=over_websocket)

    async def open(
        self,
        connection: BaseRequestWebsocket,
        parameters: dict[str, Any],
        asked: Mapping[str, str],
        settings: Settings,
        resources: AsyncExitStack,
    ) -> OpenedChain:
        """Call the factory, and compile the chain that it makes."""
        shown = asked_names(asked, "show", self._options.show)
        config = await self._config(connection)
        chain = self._compiler.compile(await open_chain(self._factory, parameters, resources))
        named, proposed = self._options.thread, asked.get(THREAD_ID)
        thread = await find_thread(chain.source, config, named, connection, proposed)
        is_taken = proposed is None or (thread is not None and thread.is_asked)
        if not is_taken and _has_no_inputs_in_its_query(connection):
            raise InputError("unknown query parameters", {THREAD_ID: "there is none"})
        own = self._options.handler_for(over_websocket=isinstance(connection, Websocket))
        return OpenedChain(
            chain,
            with_shown(chain.plan.handlers if own is None else [own], shown),
            mode=self._options.mode or settings.default_mode,
            config=config if thread is None else thread.config,
            policy=InputPolicy(self._options.accept, settings.file_urls, settings.max_messages),
            source=f"the route {connection.url_rule}",
            thread=None if thread is None else self._taking_turns(thread),
            query={} if is_taken else {THREAD_ID: proposed},
        )

    def _taking_turns(self, thread: Thread) -> Thread:
        registry = current_registry()
        locks = None if registry is None else registry.locks
        options = self._options
        return replace(thread, locks=locks, on_busy=options.on_busy, may_resume=options.resume)

    async def _config(self, connection: BaseRequestWebsocket) -> RunnableConfig | None:
        config = self._options.config
        given = config(connection) if callable(config) else config
        return await given if isawaitable(given) else given


class OpenedChain:
    """A chain made for one request or connection, and how to run it.

    Args:
        chain: The chain.
        handlers: What makes its handlers, each called with a stream and `mode=`.
        mode: How tokens are encoded; handlers only pass it on.
        config: The configuration of the route, for LangChain.
        policy: What the route accepts from its clients.
        source: Whose runs these are, for the log.
        thread: The thread that they run on.
        query: What was taken out of the query string for an option that the chain does not have.
    """

    def __init__(
        self,
        chain: CompiledChain,
        handlers: Sequence[HandlerFactory],
        *,
        mode: Mode,
        config: RunnableConfig | None,
        policy: InputPolicy,
        source: str,
        thread: Thread | None = None,
        query: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._chain = chain
        self._handlers = handlers
        self._mode: Mode = mode
        self._config = config
        self._policy = policy
        self._source = source
        self._thread = thread
        self._query = query

    def pick_inputs(self, query: MultiDict[str, str]) -> dict[str, Any]:
        """Return the inputs that a query string has."""
        query.update(self._query)
        inputs = self._chain.inputs.pick(query)
        return inputs | {RESUME: parse_json(inputs[RESUME])} if self._is_answer(inputs) else inputs

    def new_run(self, message: Mapping[str, Any] | str, stream: EventStream) -> ChainRun:
        """Make the run that answers `message`, with handlers of its own.

        Raises:
            InputError: The message does not fit the chain's inputs.
        """
        is_answer = self._is_answer(message)
        if is_answer:
            inputs = resume_value(cast(Mapping[str, Any], message), self._policy)
        else:
            inputs = self._chain.inputs.for_chain(message, self._policy)
        handlers = [new(stream, mode=self._mode) for new in self._handlers]
        return ChainRun(
            self._chain.plan,
            inputs,
            handlers,
            stream,
            config=self._config,
            source=self._source,
            thread=self._thread,
            is_answer=is_answer,
        )

    def _is_answer(self, message: Mapping[str, Any] | str) -> bool:
        """Tell whether a message answers an interrupt; a graph may have an input of that name."""
        if self._thread is None or self._thread.graph is None or not self._thread.may_resume:
            return False
        is_object = not isinstance(message, str)
        return is_object and RESUME in message and RESUME not in self._chain.inputs.names


def _has_no_inputs_in_its_query(connection: BaseRequestWebsocket) -> bool:
    return isinstance(connection, Websocket) or connection.method != "GET"
