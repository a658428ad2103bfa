"""Fields as they follow from the types and the schemas of a chain's input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, NotRequired, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, PydanticUserError, RootModel
from typing_extensions import is_typeddict

from ..inputs.fields import WRAPPED, Fields, ModelFields, Value
from ..inputs.messages import with_messages
from ..inputs.open_inputs import AnyInput, AnyObject, AnyValue
from ..inputs.types import (
    dumped_input,
    field_hint,
    is_required,
    root_of,
    takes_json,
    takes_messages,
    takes_object,
    typed_dict_hints,
    without_requiredness,
)

__all__ = [
    "declared_fields",
    "fields_of_type",
    "merge_alternatives",
    "merge_fields",
    "optional_fields",
    "reserved_in",
    "schema_fields",
]


def fields_of_type(kind: Any, *, dump: bool = False) -> Fields:
    """Return the fields of what a chain is called with; an object is the body itself.

    Args:
        kind: The type that the chain takes.
        dump: Whether it is called with the `model_dump()` of an object, and not the object.
    """
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    as_object = _object_fields(bare, dump=dump)
    if as_object is not None:
        return as_object
    if dump and root_of(bare) is not bare:  # a RootModel of something else than an object
        return Value(Annotated[bare, AfterValidator(dumped_input)])
    return Value(with_messages(kind))


def _object_fields(kind: Any, *, dump: bool) -> Fields | None:
    """Return the fields of a type whose values may be objects; None for any other type."""
    origin = get_origin(kind) or kind
    if kind in (Any, object) or isinstance(kind, TypeVar):
        return AnyValue()
    if is_typeddict(origin):
        return Fields(typed_dict_hints(kind))
    if _is_mapping(kind):
        return AnyObject(kind)
    if origin in (Union, UnionType) and any(map(_is_mapping, get_args(kind))):
        return AnyInput()
    if takes_object(root_of(kind)):
        return ModelFields(kind, dump=dump)
    return None if takes_json(kind) else AnyObject()


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Mapping) and not is_typeddict(origin)


def schema_fields(chain: Any) -> Fields:
    """Read LangChain's own schema, by the names that the chain knows: some have an alias."""
    try:
        schema = chain.get_input_schema()
    except PydanticUserError:  # a typing.TypedDict before Python 3.12
        return fields_of_type(chain.InputType)
    if issubclass(schema, RootModel):
        return fields_of_type(schema.model_fields["root"].annotation)
    fields = schema.model_fields.items()
    return Fields({field.alias or name: field_hint(field) for name, field in fields})


def declared_fields(own: Fields, declared: Any) -> Fields:
    """Apply the declared input type unless the chain already takes it.

    Args:
        own: The fields that the chain takes by itself.
        declared: The input type that is declared of it.
    """
    takes_it = isinstance(own, ModelFields) and own.body is declared
    return own if takes_it else fields_of_type(declared, dump=True).reserving(own.reserved)


def optional_fields(fields: Fields) -> Fields:
    """Return the fields of a runnable that may not run: none is required, nor of a certain type."""
    if not (fields.is_object and fields.is_known):
        return fields
    hints = {name: NotRequired[_loose_hint(hint)] for name, hint in fields.hints.items()}
    return Fields(hints, is_open=fields.is_open, reserved=fields.reserved)


def merge_fields(parts: Sequence[Fields]) -> Fields:
    """Return the fields of what several runnables take that all get the same input.

    Other fields are accepted unless each of the runnables names those that it reads.

    Args:
        parts: What each takes.
    """
    known = [part for part in parts if part.is_known]
    if not known or not known[0].is_object:
        return (known or parts)[0].reserving(reserved_in(parts))
    return _merged(parts, _shared_hint)


def merge_alternatives(parts: Sequence[Fields]) -> Fields:
    """Return the fields of what several runnables take of which one gets the input.

    A field is required, or of a certain type, if that holds for each of them.

    Args:
        parts: What each takes.
    """
    known = [part for part in parts if part.is_known]
    if known and all(part.is_object for part in known):
        return _merged(parts, _alternative_hint)
    if len(known) < len(parts) or any(part.is_object for part in parts):
        return AnyValue().reserving(reserved_in(parts))
    if all(type(part) is Value for part in parts):
        return Value(_alternative_hint(WRAPPED, [part.hints for part in parts]))
    return parts[0]


HintMerger = Callable[[str, list[dict[str, Any]]], Any]


def _merged(parts: Sequence[Fields], merge_hints: HintMerger) -> Fields:
    named = [part.hints if part.is_object and part.is_known else {} for part in parts]
    hints = {name: merge_hints(name, named) for each in named for name in each}
    is_open = any(part.is_open or not part.is_object for part in parts)
    return Fields(hints, is_open=is_open, reserved=reserved_in(parts) - hints.keys())


def reserved_in(parts: Iterable[Fields]) -> set[str]:
    """Return the names that one of several runnables keeps for the app."""
    return {name for part in parts for name in part.reserved}


def _shared_hint(name: str, named: list[dict[str, Any]]) -> Any:
    """Return the type of a field that several runnables read."""
    found = [hints[name] for hints in named if name in hints]
    bare = map(without_requiredness, found)
    hint = next((hint for hint in bare if hint is not Any), Any)
    return hint if any(map(is_required, found)) else NotRequired[hint]


def _alternative_hint(name: str, named: list[dict[str, Any]]) -> Any:
    """Return the type of a field that one of several runnables reads."""
    found = [hints[name] for hints in named if name in hints]
    hint, *others = [without_requiredness(each) for each in found]
    is_common = len(found) == len(named)
    if not is_common or any(other != hint for other in others):
        hint = next(filter(takes_messages, [hint, *others]), Any)
    return hint if is_common and all(map(is_required, found)) else NotRequired[hint]


def _loose_hint(hint: Any) -> Any:
    """Return Any, but the type of messages, which have to be converted whoever reads them."""
    hint = without_requiredness(hint)
    return hint if takes_messages(hint) else Any
