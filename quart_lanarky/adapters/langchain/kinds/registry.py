"""The registry of the kinds: which of them a chain is, and its models tagged accordingly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.runnables import Runnable

from ....errors import ChainTypeError
from ..handlers.selection import AnswerSpec
from .base import TAGGED_MODELS, TaggedChain, nearest
from .classic import CLASSIC
from .langgraph import GRAPHS
from .lcel import RUNNABLES

__all__ = ["check_chain", "tag_answer_models"]

_TAGGERS = {**RUNNABLES, **CLASSIC, **GRAPHS}


def tag_answer_models(chain: Any, key: str | None = None) -> TaggedChain:
    """Mark the models that speak for the answer of `chain`, which is under `key` of its output."""
    tagger = nearest(chain, _TAGGERS)
    return (
        TaggedChain(chain, _under(key)) if tagger is None else tagger(chain, key, tag_answer_models)
    )


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


def _under(key: str | None) -> AnswerSpec:
    return replace(TAGGED_MODELS, output_path=() if key is None else ((key,),))
