"""Describes a chain route for the API docs.

A factory is called for it only if nothing else says what its chain takes: neither `input_model=`
nor the model in `-> Runnable[Model, ...]`. It is called as for a request, but outside of any, and
not if it has parameters that only a request can give.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import is_dataclass
from functools import cached_property
from typing import Any

from langchain_core.load.serializable import Serializable
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from ....errors import ConfigurationError
from ....events import INTERRUPT, SHOWABLE, SOURCE_DOCUMENTS, InterruptData
from ....events.declared import declared_events
from ....protocols.base import RequestOption, RouteDescription
from ....protocols.json_schema import is_finite
from ..callbacks import PAIRS
from ..handlers.documents import SourceDocumentHandler
from ..handlers.extraction import to_json
from ..handlers.tokens import TokenHandler
from ..inputs.fields import Fields
from ..inputs.parameters import declared_chain, parameter_defaults
from ..inputs.policy import describe_accepted
from ..inputs.types import is_required
from ..kinds.chain_inputs import chain_inputs
from ..kinds.chain_outputs import (
    answer_type,
    declared_type,
    holds_documents,
    keeps_history,
    may_interrupt,
    may_retrieve,
)
from .factories import ChainFactory, open_chain, ready_chain_of
from .options import RouteOptions
from .plan import HandlerFactory, class_of
from .showing import show_option, showing_handlers
from .thread_ids import THREAD_ID, has_threads, takes_thread, thread_option

__all__ = ["ChainDescriber"]

_UNKNOWN_INPUTS = "What its inputs are called could not be seen when these API docs were made."


class ChainDescriber:
    """Describes the routes of one chain factory.

    Args:
        factory: The chain factory.
        parameters: Its parameters.
        options: The options of the route.
        name: Its name in the API docs.
    """

    def __init__(
        self, factory: ChainFactory, parameters: Fields, options: RouteOptions, name: str
    ) -> None:
        self.label = _identifier(name)
        self._factory = factory
        self._parameters = parameters
        self._options = options

    @cached_property
    def declared_input(self) -> Any:
        """The class that the chain takes according to its factory's annotation, or None.

        Only a Pydantic model or a dataclass says enough: of the state of a graph, as a TypedDict,
        most fields are not the client's. LangChain's own objects have forms of their own.
        """
        kind, _ = declared_chain(self._factory)
        if not isinstance(kind, type) or issubclass(kind, Serializable):
            return None
        return kind if issubclass(kind, BaseModel) or is_dataclass(kind) else None

    @cached_property
    def request_options(self) -> tuple[RequestOption, ...]:
        """What a request may ask of its run besides the inputs; some chains have not all of them.

        A parameter of the factory comes before an option with the same name.
        """
        options = [show_option(self._options.show)] if self._options.show else []
        options.append(thread_option(is_required=self._options.thread is None))
        return tuple(each for each in options if each.name not in self._parameters.names)

    async def inspect_chain(self) -> Runnable[Any, Any] | None:
        """Return the chain, made for this once, or None if it need not or cannot be made.

        Raises:
            ConfigurationError: The factory is not called, since only a request has its parameters.
            Exception: Whatever the factory raises, which may need a request or a secret.
        """
        if self._options.input_model or self.declared_input:
            return None
        if required := self._required_parameters:
            raise ConfigurationError(f"only a request can give its factory {required}")
        async with AsyncExitStack() as stack:
            return await open_chain(self._factory, {}, stack)

    def describe(
        self, chain: Runnable[Any, Any] | None, *, over_websocket: bool
    ) -> RouteDescription:
        """Describe the route on one transport.

        Args:
            chain: The chain, if it is known.
            over_websocket: Whether on a WebSocket.
        """
        inputs = chain_inputs(chain, self._options.input_model, self.declared_input)
        handlers = self._handlers(chain, over_websocket=over_websocket)
        shown = showing_handlers(self._options.show)
        sending = [*(handlers or _ANY_CHAINS), *shown]
        declared = [declared_events(class_of(handler)) for handler in sending]
        events = {name: kind for each in declared for name, kind in each.types.items()}
        if self._options.handlers is None and not self._may_send_documents(chain, inputs):
            events.pop(SOURCE_DOCUMENTS, None)
        output = self._output(chain)
        may_wait = output is Any if chain is None else may_interrupt(chain)
        if may_wait:
            events[INTERRUPT] = InterruptData
        else:
            events.pop(INTERRUPT, None)
        return RouteDescription(
            parameters=self._parameters.adapter,
            body=inputs.adapter,
            output=output,
            events=events,
            defaults=self._defaults(),
            text_input=inputs.text_field,
            takes_other_inputs=inputs.is_open,
            keeps_history=chain is not None and keeps_history(chain),
            sends_other_events=not all(each.are_all for each in declared),
            handlers=tuple(
                _name_of(each, over_websocket=over_websocket) for each in [*handlers, *shown]
            ),
            resumes=self._options.resume and has_threads(chain),
            request_options=self._request_options_of(chain),
            shows=tuple(name for name in SHOWABLE if name in self._options.show),
            notes=tuple(self._notes(chain, inputs)),
            unknown_inputs=self._unknown_inputs(chain) if inputs.is_open else "",
        )

    def _request_options_of(self, chain: Runnable[Any, Any] | None) -> tuple[RequestOption, ...]:
        known = ready_chain_of(self._factory) if chain is None else chain
        if takes_thread(known, self._options.config, self._options.thread):
            return self.request_options
        return tuple(each for each in self.request_options if each.name != THREAD_ID)

    @property
    def _required_parameters(self) -> str:
        hints = self._parameters.hints.items()
        return ", ".join(name for name, hint in hints if is_required(hint))

    def _unknown_inputs(self, chain: Runnable[Any, Any] | None) -> str:
        if chain is not None:
            why = "the chain may read inputs that cannot be seen"
        elif required := self._required_parameters:
            why = f"the factory is called for requests alone, which have its {required}"
        else:
            why = "the factory could not be called, as the log says"
        return f"{why}; declare them with input_model= or `-> Runnable[Question, str]`"

    def _notes(self, chain: Runnable[Any, Any] | None, inputs: Fields) -> Iterator[str]:
        if chain is None and not inputs.is_known:
            yield _UNKNOWN_INPUTS
        if accepted := describe_accepted(self._options.accept):
            yield accepted

    def _handlers(
        self, chain: Runnable[Any, Any] | None, *, over_websocket: bool
    ) -> list[HandlerFactory]:
        own = self._options.handler_for(over_websocket=over_websocket)
        if own is not None:
            return [own]
        return [] if chain is None else list(self._options.plan_for(chain).handlers)

    def _may_send_documents(self, chain: Runnable[Any, Any] | None, inputs: Fields) -> bool:
        given = any(map(holds_documents, inputs.hints.values()))
        return given or chain is None or may_retrieve(chain)

    def _output(self, chain: Runnable[Any, Any] | None) -> Any:
        if self._options.output_key is not None:
            return Any
        known = Any if chain is None else answer_type(chain)
        is_part = chain is not None and bool(self._options.plan_for(chain).spec.output_path)
        if known is not Any or is_part:
            return known
        return declared_type(declared_chain(self._factory)[1])

    def _defaults(self) -> Mapping[str, Any]:
        defaults = parameter_defaults(self._factory).items()
        return {name: to_json(value) for name, value in defaults if is_finite(value)}


_ANY_CHAINS: tuple[HandlerFactory, ...] = (TokenHandler, SourceDocumentHandler)
"""What sends all that any chain's own handlers may send."""


def _name_of(handler: HandlerFactory, *, over_websocket: bool) -> str:
    kind = class_of(handler)
    if kind in PAIRS:
        return PAIRS[kind][over_websocket].__name__
    return str(getattr(handler, "__name__", "?")) if kind is object else kind.__name__


def _identifier(name: str) -> str:
    """Return an identifier for the API docs: a lambda has none, and a rule may be `/2`."""
    candidates = [name, f"chain_{name}"] if name else []
    return next((c for c in candidates if c.isidentifier()), "chain")
