"""What kind of chain this is: which handler pairs fit it, and which output is its answer.

The chain object decides, never the name of a run. Classic chains are recognised without
importing `langchain-classic`, which is an extra: if nobody imported it, no chain is of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.runnables import Runnable, RunnableBinding

from ...errors import ChainTypeError
from .callbacks import (
    EventCallbackHandler,
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)

__all__ = [
    "ChainPlan",
    "HandlerFactory",
    "HandlerPair",
    "check_chain",
    "is_agent_executor",
    "is_retrieval_qa",
    "plan_chain",
    "unwrap",
]

HandlerFactory = Callable[..., EventCallbackHandler]
"""A handler class, or anything else that is called with a stream and `mode=`."""

HandlerPair = tuple[HandlerFactory, HandlerFactory]
"""The handler for HTTP streaming and the handler for WebSockets."""


@dataclass(frozen=True)
class ChainPlan:
    """How a chain is served.

    Attributes:
        pairs: The handler pairs, in the order in which LangChain is to call them.
        output_key: Which value of the chain's output is the answer, where it is a dict.
    """

    pairs: tuple[HandlerPair, ...]
    output_key: str | None = None


def plan_chain(
    chain: Runnable[Any, Any],
    *,
    output_key: str | None = None,
    handlers: HandlerPair | None = None,
) -> ChainPlan:
    """Find the handler pairs that fit `chain`.

    Args:
        chain: The chain.
        output_key: Overrides which output is the answer.
        handlers: Overrides the handlers: the user's own pair.
    """
    bare = unwrap(chain)
    if output_key is None:
        output_key = _output_key(bare)
    if handlers is not None:
        return ChainPlan((handlers,), output_key)
    if is_agent_executor(bare):
        return ChainPlan((_with_key(_FINAL_TOKENS, output_key),), output_key)
    tokens = _with_key(_TOKENS, output_key)
    if is_retrieval_qa(bare) and bare.return_source_documents:
        return ChainPlan((tokens, _DOCUMENTS), output_key)
    return ChainPlan((tokens,), output_key)


def check_chain(candidate: Any, source: str) -> Runnable[Any, Any]:
    """Return `candidate` if it is a chain.

    Args:
        candidate: What may be a chain.
        source: Where it comes from, for the error's text.

    Raises:
        ChainTypeError: It is no LangChain Runnable.
    """
    if isinstance(candidate, Runnable):
        return candidate
    raise ChainTypeError(
        f"{source} gave {type(candidate).__name__}, which is no LangChain Runnable; "
        "it has to be a chain, an agent or a graph"
    )


def unwrap(chain: Runnable[Any, Any]) -> Any:
    """Return the chain inside its `.bind()` and `.with_config()` wrappers."""
    while isinstance(chain, RunnableBinding):
        chain = chain.bound
    return chain


def is_agent_executor(chain: Any) -> bool:
    """Tell whether `chain` is a classic `AgentExecutor`."""
    return isinstance(chain, _classic("agents.agent", "AgentExecutor"))


def is_retrieval_qa(chain: Any) -> bool:
    """Tell whether `chain` is a classic `RetrievalQA` or of its family."""
    return isinstance(chain, _classic("chains.retrieval_qa.base", "BaseRetrievalQA"))


def _classic(module: str, name: str) -> type | tuple[()]:
    """Return a class of langchain-classic; `()`, of which nothing is an instance, if not loaded."""
    found: type | tuple[()] = getattr(sys.modules.get(f"langchain_classic.{module}"), name, ())
    return found


def _output_key(chain: Any) -> str | None:
    if is_agent_executor(chain):
        # An executor over a Runnable agent does not know its own keys; the agents all say this.
        return next((key for key in chain.output_keys if key != "intermediate_steps"), "output")
    return chain.output_key if is_retrieval_qa(chain) else None


def _with_key(pair: HandlerPair, output_key: str | None) -> HandlerPair:
    http, websocket = pair
    return partial(http, output_key=output_key), partial(websocket, output_key=output_key)


_TOKENS: HandlerPair = (TokenStreamingCallbackHandler, TokenWebSocketCallbackHandler)
_DOCUMENTS: HandlerPair = (
    SourceDocumentStreamingCallbackHandler,
    SourceDocumentWebSocketCallbackHandler,
)
_FINAL_TOKENS: HandlerPair = (
    FinalTokenStreamingCallbackHandler,
    FinalTokenWebSocketCallbackHandler,
)
