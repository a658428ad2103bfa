"""What a chain returns, as far as that can be told without running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from langchain_core.documents import Document
from langchain_core.language_models import BaseLanguageModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import (
    Runnable,
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

from ..inputs.parameters import runnable_hint
from .base import class_path, is_a, nearest
from .registry import tag_answer_models

__all__ = ["answer_type", "declared_type", "holds_documents", "may_retrieve"]


def answer_type(chain: Any) -> Any:
    """Return the type of a chain's answer in JSON: Any where that cannot be told.

    Messages are answered as their text, so they count as `str`.
    """
    try:
        return _read(chain)
    except Exception:  # noqa: BLE001  # types are LangChain's and users' code, and fail as they like
        return Any


def declared_type(kind: Any) -> Any:
    """Return the type of an answer according to an annotation, of a chain that is not known.

    An object of it may be the answer, or hold the answer among others. Only a Pydantic model
    is no dict to look into.
    """
    return Any if is_typeddict(kind) else _described(kind)


def may_retrieve(chain: Any) -> bool:
    """Tell whether a chain may look documents up: always, unless all of it can be seen."""
    inside = nearest(chain, _SEEN_INTO)
    return True if inside is None else any(map(may_retrieve, inside(chain)))


def holds_documents(hint: Any) -> bool:
    """Tell whether documents are among the values of a type, so that they may come back."""
    if isinstance(hint, type) and issubclass(hint, Document):
        return True
    return any(map(holds_documents, get_args(hint)))


def _read(chain: Any) -> Any:
    declared = getattr(chain, "custom_output_type", None)  # by .with_types()
    if declared is not None:
        kind = _described(declared)
        has_answer_inside = _is_object(kind) and tag_answer_models(chain).spec.output_path
        return Any if has_answer_inside else kind
    reader = nearest(chain, _READERS)
    return Any if reader is None else reader(chain)


def _described(kind: Any) -> Any:
    """Return how an output of some type is answered in JSON: Any if that is not certain."""
    if _is_text(kind):
        return str
    if kind in (int, float, bool):
        return kind
    return kind if _is_object(kind) and not _has_messages(kind) else Any


def _is_text(kind: Any) -> bool:
    """Tell whether a type is a text, a message, or one of several kinds of messages."""
    if isinstance(kind, type):
        return issubclass(kind, str | BaseMessage)
    if get_origin(kind) is Annotated:
        return _is_text(get_args(kind)[0])
    return get_origin(kind) in (Union, UnionType) and all(map(_is_text, get_args(kind)))


def _is_object(kind: Any) -> bool:
    """Tell whether a type is a class of plain objects that Pydantic can describe."""
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    if not (is_model or is_typeddict(kind)) or (is_model and issubclass(kind, Runnable)):
        return False
    try:
        TypeAdapter(kind)
    except PydanticUserError:  # a typing.TypedDict before Python 3.12
        return False
    return True


def _has_messages(kind: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Tell whether a dict has messages in it, which are answered as their texts.

    A Pydantic model is no dict to look into: it is answered as it describes itself.
    """
    if kind in seen:
        return False
    if isinstance(kind, type) and issubclass(kind, BaseMessage):
        return True
    fields = get_type_hints(kind).values() if is_typeddict(kind) else get_args(kind)
    return any(_has_messages(field, seen | {kind}) for field in fields)


def _agreed(options: Iterable[Any]) -> Any:
    """Return the type of the answer of whichever of several chains runs."""
    types = [_read(option) for option in options]
    return types[0] if all(kind is types[0] for kind in types) else Any


def _of_llm_chain(chain: Any) -> Any:
    return _described(chain.output_parser.OutputType)


def _of_retrieval_qa(chain: Any) -> Any:
    combine = chain.combine_documents_chain
    stuffs = is_a(combine, "langchain_classic.chains.combine_documents.stuff.StuffDocumentsChain")
    return _of_llm_chain(combine.llm_chain) if stuffs else Any


def _branches(chain: Any) -> list[Any]:
    return [chain.default, *(branch for _, branch in chain.branches)]


_READERS: dict[str, Callable[[Any], Any]] = {
    class_path(BaseLanguageModel): lambda _: str,
    class_path(BaseLLMOutputParser): lambda chain: _described(chain.OutputType),
    class_path(RunnableBindingBase): lambda chain: _read(chain.bound),
    class_path(RunnableBranch): lambda chain: _agreed(_branches(chain)),
    class_path(RunnableLambda): lambda c: _described(runnable_hint(c, c.OutputType)),
    class_path(RunnableSequence): lambda chain: _read(chain.last),
    class_path(RunnableWithFallbacks): lambda chain: _agreed(chain.runnables),
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
    class_path(RunnablePassthrough): lambda chain: filter(None, [chain.func, chain.afunc]),
    class_path(RunnablePick): lambda _: (),
    class_path(RunnableSequence): lambda chain: chain.steps,
    class_path(RunnableWithFallbacks): lambda chain: chain.runnables,
}
"""The chains inside a chain, for the kinds that run nothing else."""
