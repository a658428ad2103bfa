"""What a chain returns, as far as that is known without running it."""

from __future__ import annotations

from typing import Any, get_args

from langchain_core.documents import Document
from typing_extensions import is_typeddict

from .output_types import json_type
from .registry import CHAIN_KINDS

__all__ = [
    "answer_type",
    "declared_type",
    "holds_documents",
    "keeps_history",
    "may_interrupt",
    "may_retrieve",
]


def answer_type(chain: Any) -> Any:
    """Return the type of a chain's answer in JSON: Any where that is not known.

    Messages are answered as their text, so they count as `str`.
    """
    try:
        return CHAIN_KINDS.output(chain)
    except Exception:  # noqa: BLE001  # types are LangChain's and users' code, and fail as they like
        return Any


def declared_type(kind: Any) -> Any:
    """Return the type of an answer according to an annotation, of a chain that is not known.

    An object of it may be the answer, or hold the answer among others. Only a Pydantic model
    is no dict to look into.
    """
    return Any if is_typeddict(kind) else json_type(kind)


def may_retrieve(chain: Any) -> bool:
    """Tell whether a chain may look documents up: yes, unless all that it runs can be seen."""
    return CHAIN_KINDS.may_retrieve(chain)


def keeps_history(chain: Any) -> bool:
    """Tell whether a chain keeps the messages of a conversation itself, so that none are sent."""
    return CHAIN_KINDS.keeps_history(chain)


def may_interrupt(chain: Any) -> bool:
    """Tell whether a chain may wait for a person instead of answering."""
    return CHAIN_KINDS.may_interrupt(chain)


def holds_documents(hint: Any) -> bool:
    """Tell whether documents are among the values of a type, so that they may come back."""
    if isinstance(hint, type) and issubclass(hint, Document):
        return True
    return any(map(holds_documents, get_args(hint)))
