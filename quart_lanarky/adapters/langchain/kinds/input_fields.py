"""Fields as they follow from the types and the schemas of a chain's input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NotRequired, TypeVar, get_args, get_origin

from pydantic import AfterValidator, PydanticUserError, RootModel
from typing_extensions import is_typeddict

from ..inputs.fields import AnyObject, Fields, ModelFields, Value
from ..inputs.messages import with_messages
from ..inputs.types import (
    dumped_input,
    field_hint,
    is_required,
    root_of,
    takes_object,
    typed_dict_hints,
    without_requiredness,
)

__all__ = ["declared_fields", "fields_of_type", "merge_fields", "optional_fields", "schema_fields"]


def fields_of_type(kind: Any, *, dump: bool = False) -> Fields:
    """Return the fields of what a chain is called with; an object is the body itself.

    Args:
        kind: The type that the chain takes.
        dump: Whether it is called with the `model_dump()` of an object, and not the object.
    """
    if isinstance(kind, TypeVar):
        kind = Any
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    origin = get_origin(bare) or bare
    if is_typeddict(origin):
        return Fields(typed_dict_hints(bare))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return AnyObject(bare)
    if takes_object(root_of(bare)):
        return ModelFields(bare, dump=dump)
    if dump and root_of(bare) is not bare:  # a RootModel of something else than an object
        return Value(Annotated[bare, AfterValidator(dumped_input)])
    return Value(with_messages(kind))


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
    return own if takes_it else fields_of_type(declared, dump=True)


def optional_fields(fields: Fields) -> Fields:
    """Return the same fields, none of them required."""
    if not fields.is_object:
        return fields
    return Fields(
        {name: NotRequired[without_requiredness(hint)] for name, hint in fields.hints.items()}
    )


def merge_fields(parts: Sequence[Fields], needed: Callable[[Iterable[bool]], bool] = any) -> Fields:
    """Return the fields of what several runnables take that get the same input.

    Args:
        parts: What each takes.
        needed: Whether a field is required that `any`, or only that `all` of them require.
    """
    known = [part for part in parts if part.is_known]
    if not known or not known[0].is_object:
        return (known or parts)[0]
    objects = [part.hints for part in known if part.is_object]
    names = dict.fromkeys(name for hints in objects for name in hints)
    return Fields({name: _common_hint(name, objects, needed) for name in names})


def _common_hint(
    name: str, objects: list[dict[str, Any]], needed: Callable[[Iterable[bool]], bool]
) -> Any:
    found = [without_requiredness(hints[name]) for hints in objects if name in hints]
    hint = next((hint for hint in found if hint is not Any), Any)
    required = needed(name in hints and is_required(hints[name]) for hints in objects)
    return hint if required else NotRequired[hint]
