"""The options of a chain route."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, TypedDict

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel

from ....errors import ConfigurationError
from ....events.declared import declared_events
from ....protocols.native.encode import Mode, check_mode
from ....runs.run_locks import OnBusy, check_on_busy
from ..handlers.base import EventCallbackHandler
from ..handlers.selection import DEFAULT_HOLD_TOKENS, check_hold
from ..inputs.policy import Acceptable, check_accept
from .plan import ChainPlan, HandlerFactory, HandlerPair, class_of, plan_chain
from .showing import Showable, check_show
from .thread_ids import NameThread, check_thread

__all__ = ["ChainOptions", "RouteOptions"]

Config = RunnableConfig | Callable[[Any], RunnableConfig | Awaitable[RunnableConfig]]
"""A LangChain configuration, or a function of the current request that returns one."""


class ChainOptions(TypedDict, total=False):
    """The options of a route, as documented by `stream_chain`."""

    mode: Mode | None
    output_key: str | None
    final_tag: str | None
    hold_tokens: int | None
    input_model: type[BaseModel] | None
    config: Config | None
    handlers: HandlerFactory | HandlerPair | None
    accept: Collection[Acceptable]
    show: Collection[Showable]
    thread: NameThread | None
    on_busy: OnBusy
    resume: bool


@dataclass(frozen=True)
class RouteOptions:
    """The options of a route with their defaults, validated.

    Raises:
        ConfigurationError: An option has an invalid value.
    """

    mode: Mode | None = None
    output_key: str | None = None
    final_tag: str | None = None
    hold_tokens: int | None = DEFAULT_HOLD_TOKENS
    input_model: type[BaseModel] | None = None
    config: Config | None = None
    handlers: HandlerFactory | HandlerPair | None = None
    accept: Collection[Acceptable] = ()
    show: Collection[Showable] = ()
    thread: NameThread | None = None
    on_busy: OnBusy = "wait"
    resume: bool = True

    def __post_init__(self) -> None:
        """Validate the options, so that an invalid one is reported at decoration."""
        if self.mode is not None:
            check_mode(self.mode)
        check_hold(self.hold_tokens)
        check_accept(self.accept)
        check_show(self.show)
        check_on_busy(self.on_busy)
        if self.thread is not None and not callable(self.thread):
            raise ConfigurationError(
                "thread= takes a function of the request and of the id that the client proposes, "
                f"which returns the thread id, not {self.thread!r}"
            )
        check_thread(None, self.config, self.thread)
        if not isinstance(self.resume, bool):
            raise ConfigurationError(f"resume= is True or False, not {self.resume!r}")
        if self.input_model is not None and not _is_model_class(self.input_model):
            raise ConfigurationError(
                f"input_model= takes a Pydantic model, not {self.input_model!r}"
            )
        for over_websocket in (False, True):
            if (handler := self.handler_for(over_websocket=over_websocket)) is not None:
                _check_handler(class_of(handler))

    def plan_for(self, chain: Runnable[Any, Any]) -> ChainPlan:
        """Return the plan to serve `chain` with these options."""
        return plan_chain(
            chain,
            output_key=self.output_key,
            final_tag=self.final_tag,
            hold_tokens=self.hold_tokens,
        )

    def handler_for(self, *, over_websocket: bool) -> HandlerFactory | None:
        """Return the custom handler for a transport; None if there is none.

        Raises:
            ConfigurationError: `handlers` is neither a handler class nor a pair of them.
        """
        if self.handlers is None or callable(self.handlers):
            return self.handlers
        pair = self.handlers if isinstance(self.handlers, tuple | list) else ()
        if len(pair) != 2 or not all(map(callable, pair)):  # noqa: PLR2004  # it is a pair
            raise ConfigurationError(
                "handlers= takes a handler class, or a pair of them: the one for HTTP streaming "
                f"and the one for WebSockets; not {self.handlers!r}"
            )
        return pair[over_websocket]


def _check_handler(kind: type) -> None:
    if kind is not object and not issubclass(kind, EventCallbackHandler):
        raise ConfigurationError(
            f"handlers= takes classes that send events, and {kind.__name__} sends no events: a "
            'callback handler of LangChain belongs into config={"callbacks": [...]}'
        )
    declared_events(kind).check()


def _is_model_class(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)
