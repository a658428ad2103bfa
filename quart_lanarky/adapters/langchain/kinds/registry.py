"""The registry of all kinds of chains that are known."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

from ....errors import ChainTypeError
from . import classic, components, langgraph, lcel
from .base import ChainKinds

__all__ = ["CHAIN_KINDS", "check_chain"]

CHAIN_KINDS = ChainKinds((*components.KINDS, *lcel.KINDS, *classic.KINDS, *langgraph.KINDS))
"""What all questions about a chain are put to."""


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
        f"{_advice(candidate)}"
    )


def _advice(candidate: Any) -> str:
    """Say of what is no chain what to write instead."""
    if candidate is None:
        return "is there a `return chain` missing?"
    if isinstance(candidate, str | dict | list | BaseMessage):
        return (
            "return the chain itself, `return chain`, and not what `chain.invoke(...)` or "
            "`chain.stream(...)` returns"
        )
    if callable(getattr(candidate, "compile", None)):
        return "compile the graph: `return graph.compile()`"
    if isinstance(candidate, AbstractContextManager | AbstractAsyncContextManager):
        return "leave @contextmanager or @asynccontextmanager out: a factory may simply yield"
    return "it has to be a chain, an agent or a graph"
