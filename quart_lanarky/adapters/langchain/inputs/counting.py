"""Count the messages that a client sends, before any of them is validated or converted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice, repeat
from types import UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin

from .messages import MESSAGE_TYPES, as_items, with_messages
from .types import keyed_hints, root_of, takes_object, unaliased

__all__ = ["count_messages"]

Part = tuple[Any, Any]
"""A value inside the client's data, and its type."""


def count_messages(value: Any, hint: Any, limit: int) -> int:
    """Count the messages in a value; counting stops once there are more than `limit`.

    A list of more than `limit` lists or objects counts as that many messages, whatever is in them.

    Args:
        value: What a client sent for a field.
        hint: The type of the field. Messages may be anywhere in it, such as in a user's model.
        limit: The maximum number of messages.
    """
    found, left = 0, [(value, hint)]
    while left and found <= limit:  # not recursive: the client controls the depth
        inner, kind = left.pop()
        if not _may_hold_messages(kind):
            continue
        if with_messages(kind) in MESSAGE_TYPES:
            found += len(as_items(inner))
        else:
            parts = [*islice(_parts(inner, kind), limit + 1)]
            found += len(parts) if len(parts) > limit else 0
            left += parts
    return found


def _parts(value: Any, hint: Any) -> Iterator[Part]:
    """Yield the items or fields of a value with their types; for a union, each alternative."""
    inside, origin, args = _inner_types(hint), get_origin(hint), get_args(hint)
    if inside is not None:
        yield from ((value, kind) for kind in inside)
    elif isinstance(value, Mapping) and takes_object(hint):
        hints, others = _keyed_hints(origin or hint), args[-1] if args else Any
        yield from ((part, hints.get(key, others)) for key, part in value.items())
    elif isinstance(value, list | tuple) and args:
        is_fixed = origin is tuple and args[-1] is not Ellipsis
        yield from zip(value, args if is_fixed else repeat(args[0]), strict=False)


def _inner_types(hint: Any) -> tuple[Any, ...] | None:
    """Return the types that a union or wrapper is about; None for any other type."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return args
    if origin in (Annotated, Required, NotRequired):
        return args[:1]
    inner = root_of(unaliased(hint))
    return None if inner is hint else (inner,)


_keyed_hints = lru_cache(64)(keyed_hints)


def _may_hold_messages(hint: Any) -> bool:
    try:
        return _holds_messages(hint)
    except TypeError:  # an unhashable type
        return True


@lru_cache(256)
def _holds_messages(hint: Any) -> bool:
    """Return whether values of a type can contain messages, at any depth."""
    left, seen = [hint], set()
    while left:
        kind = left.pop()
        if with_messages(kind) in MESSAGE_TYPES:
            return True
        if kind not in seen:  # a model may be recursive
            seen.add(kind)
            left += _inner_types(kind) or get_args(kind)
            left += _keyed_hints(get_origin(kind) or kind).values() if takes_object(kind) else ()
    return False
