"""The types of answers in JSON, as they follow from the types of a chain's output."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable
from pydantic import BaseModel, PydanticUserError, TypeAdapter
from typing_extensions import is_typeddict

__all__ = ["common_type", "is_object", "json_type"]


def json_type(kind: Any) -> Any:
    """Return how an output of some type is answered in JSON: Any if that is not certain."""
    if _is_text(kind):
        return str
    if kind in (int, float, bool):
        return kind
    return kind if is_object(kind) and not _has_messages(kind) else Any


def common_type(types: Sequence[Any]) -> Any:
    """Return the type that several chains have in common: Any if they differ."""
    return types[0] if all(kind is types[0] for kind in types) else Any


def is_object(kind: Any) -> bool:
    """Tell whether a type is a class of plain objects that Pydantic can describe."""
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    if not (is_model or is_typeddict(kind)) or (is_model and issubclass(kind, Runnable)):
        return False
    try:
        TypeAdapter(kind)
    except PydanticUserError:  # a typing.TypedDict before Python 3.12
        return False
    return True


def _is_text(kind: Any) -> bool:
    """Tell whether a type is a text, a message, or one of several kinds of messages."""
    if isinstance(kind, type):
        return issubclass(kind, str | BaseMessage)
    if get_origin(kind) is Annotated:
        return _is_text(get_args(kind)[0])
    return get_origin(kind) in (Union, UnionType) and all(map(_is_text, get_args(kind)))


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
