"""What functions read whose source does not matter: those of the standard library and LangChain.

A function sees the whole input of its chain, and what it reads of it is only known where the
function itself is known.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final, NotRequired

from langchain_core.documents import Document

from ..inputs.fields import Fields, Value

__all__ = ["library_function_fields"]


def library_function_fields(function: Callable[..., Any]) -> Fields | None:
    """Return the fields that a function reads; None for one that is not known."""
    if isinstance(function, itemgetter):
        return _items(function)
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not module.startswith("langchain_classic."):
        return None
    path = f"{module.removeprefix('langchain_classic.')}.{name}"
    if path == _FORMAT_DOCUMENTS:
        return _documents(function)
    is_of_agent = path.startswith("agents.") and path.endswith(".<locals>.<lambda>")
    hints = _AGENT_STEPS if is_of_agent else _READ_BY_LAMBDAS.get(path)
    return None if hints is None else Fields(hints)


_READ_BY_LAMBDAS: Final[dict[str, dict[str, Any]]] = {
    "chains.retrieval.create_retrieval_chain.<locals>.<lambda>": {"input": Any},
    # One of the two lambdas reads each of these; neither has to be there for the other.
    "chains.history_aware_retriever.create_history_aware_retriever.<locals>.<lambda>": {
        "input": NotRequired[Any],
        "chat_history": NotRequired[Any],
    },
}

_AGENT_STEPS: Final[dict[str, Any]] = {"intermediate_steps": Any}
"""What the lambdas read with which `create_react_agent` and alike format an agent's steps."""

_FORMAT_DOCUMENTS: Final = (
    "chains.combine_documents.stuff.create_stuff_documents_chain.<locals>.format_docs"
)


def _items(getter: itemgetter[Any]) -> Fields:
    """Return the keys of an object that an `itemgetter` gets, or a list for those of no object."""
    keys = getter.__reduce__()[1]
    if all(isinstance(key, str) for key in keys):
        return Fields(dict.fromkeys(keys, Any))
    return Value(list[Any])


def _documents(function: Any) -> Fields:
    """Return the documents that `create_stuff_documents_chain` formats, under the name it uses."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
    return Fields({cells["document_variable_name"].cell_contents: list[Document]})
