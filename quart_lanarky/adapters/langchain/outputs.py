"""What a chain returns, as far as that can be told without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import (
    RunnableAssign,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase, RunnableEachBase
from pydantic import BaseModel, PydanticUserError, TypeAdapter
from typing_extensions import is_typeddict

from .marks import class_path, nearest

__all__ = ["answer_type", "may_retrieve"]


def answer_type(chain: Any) -> Any:
    """Return the type of a chain's answer in JSON: Any where that cannot be told.

    Messages are answered as their text, so they count as `str`.
    """
    try:
        declared = getattr(chain, "custom_output_type", None)  # by .with_types()
        if declared is not None:
            return described(declared)
        reader = nearest(chain, _READERS)
        return Any if reader is None else reader(chain)
    except Exception:  # noqa: BLE001  # types are LangChain's and users' code, and fail as they like
        return Any


def described(kind: Any) -> Any:
    """Return how an output of some type is answered in JSON: Any if that is not certain."""
    if _is_text(kind):
        return str
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    if not (is_model or is_typeddict(kind) or kind in (int, float, bool)):
        return Any
    try:
        TypeAdapter(kind)
    except PydanticUserError:  # a typing.TypedDict before Python 3.12
        return Any
    return kind


def _is_text(kind: Any) -> bool:
    """Tell whether a type is a text, a message, or one of several kinds of messages."""
    if isinstance(kind, type):
        return issubclass(kind, str | BaseMessage)
    if get_origin(kind) is Annotated:
        return _is_text(get_args(kind)[0])
    return get_origin(kind) in (Union, UnionType) and all(map(_is_text, get_args(kind)))


def may_retrieve(chain: Any) -> bool:
    """Tell whether a chain may look documents up: always, unless all of it can be seen."""
    inside = nearest(chain, _SEEN_INTO)
    return True if inside is None else any(map(may_retrieve, inside(chain)))


def _agreed(options: Iterable[Any]) -> Any:
    """Return the type of the answer of whichever of several chains runs."""
    types = [answer_type(option) for option in options]
    return types[0] if all(kind is types[0] for kind in types) else Any


def _of_llm_chain(chain: Any) -> Any:
    return described(chain.output_parser.OutputType)


def _of_retrieval_qa(chain: Any) -> Any:
    inner = getattr(chain.combine_documents_chain, "llm_chain", None)  # where all is stuffed in one
    return Any if inner is None else _of_llm_chain(inner)


def _branches(chain: Any) -> list[Any]:
    return [chain.default, *(branch for _, branch in chain.branches)]


_READERS: dict[str, Callable[[Any], Any]] = {
    class_path(BaseLanguageModel): lambda _: str,
    class_path(BaseLLMOutputParser): lambda chain: described(chain.OutputType),
    class_path(RunnableBindingBase): lambda chain: answer_type(chain.bound),
    class_path(RunnableBranch): lambda chain: _agreed(_branches(chain)),
    class_path(RunnableLambda): lambda chain: described(chain.OutputType),
    class_path(RunnableSequence): lambda chain: answer_type(chain.last),
    class_path(RunnableWithFallbacks): lambda chain: _agreed(chain.runnables),
    "langchain_core.runnables.history.RunnableWithMessageHistory": lambda _: Any,
    "langchain_classic.chains.llm.LLMChain": _of_llm_chain,
    "langchain_classic.chains.retrieval_qa.base.BaseRetrievalQA": _of_retrieval_qa,
}

_SEEN_INTO: Mapping[str, Callable[[Any], Iterable[Any]]] = {
    class_path(BaseLanguageModel): lambda _: (),
    class_path(BaseLLMOutputParser): lambda _: (),
    class_path(BasePromptTemplate): lambda _: (),
    class_path(RunnableAssign): lambda chain: [chain.mapper],
    class_path(RunnableBindingBase): lambda chain: [chain.bound],
    class_path(RunnableBranch): lambda c: [
        *_branches(c),
        *(condition for condition, _ in c.branches),
    ],
    class_path(RunnableEachBase): lambda chain: [chain.bound],
    class_path(RunnableParallel): lambda chain: chain.steps__.values(),
    class_path(RunnablePassthrough): lambda chain: [] if chain.func is None else [chain.func],
    class_path(RunnablePick): lambda _: (),
    class_path(RunnableSequence): lambda chain: chain.steps,
    class_path(RunnableWithFallbacks): lambda chain: chain.runnables,
}
"""The chains inside a chain, for the kinds that run nothing else."""
