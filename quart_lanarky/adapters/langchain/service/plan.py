"""How a chain is served: its handlers, and which of its model runs produce the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableBinding, RunnablePassthrough

from ..handlers.base import EventCallbackHandler
from ..handlers.documents import SourceDocumentHandler
from ..handlers.selection import DEFAULT_HOLD_TOKENS, AnswerSpec, Tagged, no_run
from ..handlers.tokens import FinalTokenHandler, TokenHandler
from ..kinds.registry import CHAIN_KINDS
from ..kinds.tagging import TaggedChain

__all__ = [
    "ChainPlan",
    "HandlerFactory",
    "HandlerPair",
    "class_of",
    "plan_chain",
]

HandlerFactory = Callable[..., EventCallbackHandler]
"""A handler class, or anything else that is called with a stream and `mode=`."""

HandlerPair = tuple[HandlerFactory, HandlerFactory]
"""The handler for HTTP streaming and the handler for WebSockets."""


@dataclass(frozen=True)
class ChainPlan:
    """How a chain is served.

    Attributes:
        chain: The chain to run, with its answer models tagged.
        handlers: What makes its handlers, in the order in which LangChain is to call them.
        spec: Which of its model runs produce the answer, and where the answer is.
        has_own_chunks: Whether the chain is streamed, and its own chunks are the tokens.
        output_key: Which output is the answer, where the route names it.
    """

    chain: Runnable[Any, Any]
    handlers: tuple[HandlerFactory, ...]
    spec: AnswerSpec
    has_own_chunks: bool
    output_key: str | None = None


def plan_chain(
    chain: Runnable[Any, Any],
    *,
    output_key: str | None = None,
    final_tag: str | None = None,
    hold_tokens: int | None = DEFAULT_HOLD_TOKENS,
) -> ChainPlan:
    """Find out how to serve `chain`.

    Args:
        chain: The chain; it is not changed.
        output_key: Overrides which output is the answer.
        final_tag: Overrides which model runs are answer runs: those with this tag.
        hold_tokens: How many tokens are buffered while a model with tools may still call one.
    """
    tagged = CHAIN_KINDS.tag(chain, output_key)
    if final_tag is not None:
        spec = replace(tagged.spec, answer_runs=Tagged(final_tag))
        tagged = TaggedChain(chain, spec)
    elif tagged.has_own_chunks:
        tagged = replace(tagged, spec=replace(tagged.spec, answer_runs=no_run))
    return ChainPlan(
        chain=_reporting(tagged.chain),
        handlers=(_token_handler(tagged, hold_tokens), SourceDocumentHandler),
        spec=tagged.spec,
        has_own_chunks=tagged.has_own_chunks,
        output_key=output_key,
    )


def class_of(handler: HandlerFactory) -> type:
    """Return the class of handlers that a factory makes; `object` if that is not known."""
    while isinstance(handler, partial):
        handler = handler.func
    return handler if isinstance(handler, type) else object


def _reporting(chain: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return a chain that reports to its handlers what it returns.

    A model, a retriever, a tool, a graph or an app's own Runnable does not, or not always. A
    sequence does, whatever is in it.
    """
    if CHAIN_KINDS.reports_end(chain):
        return chain
    # Bound, for a sequence within a sequence would lose what its class makes of its output.
    return RunnablePassthrough() | RunnableBinding(bound=chain)


def _token_handler(tagged: TaggedChain, hold_tokens: int | None) -> HandlerFactory:
    if not tagged.spec.is_agent:
        return TokenHandler
    return partial(FinalTokenHandler, hold_tokens=hold_tokens)
