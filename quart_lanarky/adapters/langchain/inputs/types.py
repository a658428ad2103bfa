"""Inspect the types that client data is validated against: required fields, accepted values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as dataclass_fields
from functools import lru_cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from langchain_core.load.serializable import Serializable
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    PydanticSchemaGenerationError,
    RootModel,
    TypeAdapter,
)
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType, is_typeddict

from .messages import Messages, TextOrMessages, with_messages

__all__ = [
    "accepted_keys",
    "converted_fields",
    "dumped_input",
    "field_hint",
    "hints_of",
    "is_required",
    "keyed_hints",
    "root_of",
    "split_requiredness",
    "takes_json",
    "takes_list",
    "takes_messages",
    "takes_object",
    "takes_only_objects",
    "takes_text",
    "typed_dict_hints",
    "unaliased",
    "without_requiredness",
]


def split_requiredness(hint: Any) -> tuple[Any, Any]:
    """Return `Required`, `NotRequired` or None, and the hint without it."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired):
        return origin, args[0]
    if origin is Annotated and get_origin(args[0]) in (Required, NotRequired):
        requiredness, bare = split_requiredness(args[0])
        return requiredness, Annotated[bare, *args[1:]]
    return None, hint


def without_requiredness(hint: Any) -> Any:
    """Return a type without its `Required` or `NotRequired`."""
    return split_requiredness(hint)[1]


def is_required(hint: Any) -> bool:
    """Return whether a field of this type is required."""
    return split_requiredness(hint)[0] is not NotRequired


def field_hint(field: FieldInfo) -> Any:
    """Return the type of a model's field, with its constraints and `NotRequired` if optional."""
    hint: Any = field.annotation
    for constraint in field.metadata:
        hint = Annotated[hint, constraint]
    hint = with_messages(hint)
    return hint if field.is_required() else NotRequired[hint]


def typed_dict_hints(kind: Any) -> dict[str, Any]:
    """Return the fields of a TypedDict, with `NotRequired` around the types of optional ones."""
    origin = get_origin(kind) or kind
    hints = {}
    for name, hint in get_type_hints(origin, include_extras=True).items():
        requiredness, bare = split_requiredness(hint)
        required = requiredness is Required or (
            requiredness is None and name in origin.__required_keys__
        )
        hints[name] = with_messages(bare) if required else NotRequired[with_messages(bare)]
    return hints


def root_of(kind: Any) -> Any:
    """Return the root type of a RootModel; any other type is returned unchanged."""
    while isinstance(kind, type) and issubclass(kind, RootModel):
        kind = kind.model_fields["root"].annotation
    return kind


def takes_object(kind: Any) -> bool:
    """Return whether the values of a type are JSON objects."""
    origin = get_origin(kind) or kind
    is_class = isinstance(origin, type) and issubclass(origin, BaseModel | Mapping)
    return is_typeddict(origin) or is_class or is_dataclass(origin)


def takes_json(kind: Any) -> bool:
    """Return whether values of a type can be made from JSON: not if Pydantic 2 knows no way."""
    return not isinstance(kind, type) or _is_known_class(kind)


@lru_cache(64)
def _is_known_class(kind: type) -> bool:
    if hasattr(kind, "__get_pydantic_core_schema__"):
        return True
    if hasattr(kind, "__get_validators__"):  # a model of Pydantic 1
        return False
    try:
        TypeAdapter(kind)
    except PydanticSchemaGenerationError:
        return False
    return True


def converted_fields(model: Any) -> set[str]:
    """Return the fields of a class whose values its own validators may convert from other types."""
    validators = getattr(model, "__pydantic_decorators__", None)
    if validators is None:
        return set()
    if any(each.info.mode != "after" for each in validators.model_validators.values()):
        return set(hints_of(model))
    before = [v.info for v in validators.field_validators.values() if v.info.mode != "after"]
    names = {name for info in before for name in info.fields}
    return set(hints_of(model)) if "*" in names else names


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the types of the fields of a class; a model's under their preferred aliases."""
    origin = get_origin(kind) or kind
    if is_typeddict(origin):
        return typed_dict_hints(origin)
    if is_dataclass(origin):
        return _dataclass_hints(origin)
    if issubclass(origin, BaseModel):
        return {
            _field_keys(origin, name)[0]: field_hint(f) for name, f in origin.model_fields.items()
        }
    return {}  # a mapping


def keyed_hints(kind: Any) -> dict[str, Any]:
    """Return the fields of a class as `hints_of` does; a model's under every accepted key."""
    origin = get_origin(kind) or kind
    if not (isinstance(origin, type) and issubclass(origin, BaseModel)):
        return hints_of(kind)
    fields = origin.model_fields.items()
    return {key: field_hint(field) for name, field in fields for key in _field_keys(origin, name)}


def _dataclass_hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    fields = [field for field in dataclass_fields(kind) if field.init]
    empty = (MISSING, MISSING)
    return {
        field.name: with_messages(hints[field.name])
        if (field.default, field.default_factory) == empty
        else NotRequired[with_messages(hints[field.name])]
        for field in fields
    }


def accepted_keys(kind: Any) -> set[str] | None:
    """Return the keys that a class accepts in an object; None if it accepts any."""
    origin = get_origin(kind) or kind
    if is_typeddict(origin) or is_dataclass(origin):
        return set(hints_of(origin))
    if issubclass(origin, BaseModel) and origin.model_config.get("extra") != "allow":
        return {key for name in origin.model_fields for key in _field_keys(origin, name)}
    return None


def _field_keys(model: type[BaseModel], name: str) -> list[str]:
    """Return the keys under which a model accepts one of its fields."""
    config, alias = model.model_config, model.model_fields[name].validation_alias
    keys = _alias_keys(alias) if config.get("validate_by_alias", True) else []
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    return [*keys, name] if by_name or not keys else keys


def _alias_keys(alias: str | AliasPath | AliasChoices | None) -> list[str]:
    """Return the top-level keys that an alias refers to."""
    if isinstance(alias, AliasChoices):
        return [key for choice in alias.choices for key in _alias_keys(choice)]
    if isinstance(alias, AliasPath):
        return [str(alias.path[0])]
    return [alias] if alias else []


def dumped_input(value: Any) -> Any:
    """Dump a model or dataclass, except LangChain's objects, which chains take as they are."""
    langchain_fields = {
        name for name, hint in _field_types(type(value)) if _contains_langchain_objects(hint)
    }
    if isinstance(value, RootModel) and langchain_fields:
        return value.root
    dumped = TypeAdapter(type(value)).dump_python(value, exclude=langchain_fields)
    return (
        {**dumped, **{name: getattr(value, name) for name in langchain_fields}}
        if langchain_fields
        else dumped
    )


def _field_types(kind: Any) -> Iterable[tuple[str, Any]]:
    if is_dataclass(kind):
        return _dataclass_hints(kind).items()
    return ((name, field.annotation) for name, field in kind.model_fields.items())


def _contains_langchain_objects(hint: Any) -> bool:
    """Return whether messages, documents or the like are among the values of a type."""
    hint = root_of(unaliased(hint))
    if isinstance(hint, type) and issubclass(hint, Serializable):
        return True
    return any(_contains_langchain_objects(inner) for inner in get_args(hint))


def unaliased(hint: Any) -> Any:
    """Return the type behind a type alias such as `Messages`."""
    return hint.__value__ if isinstance(hint, TypeAliasType) else hint


_WRAPPERS = (Annotated, NotRequired, Union, UnionType)


def takes_list(hint: Any) -> bool:
    """Return whether `hint` is a list, tuple or set, also inside Optional or Annotated."""
    hint = unaliased(hint)
    origin = get_origin(hint) or hint
    if origin in (list, tuple, set, frozenset):
        return True
    return origin in _WRAPPERS and any(takes_list(inner) for inner in get_args(hint))


def takes_text(hint: Any) -> bool:
    """Return whether a text can be a value of a type."""
    if takes_messages(hint):
        return True
    hint = root_of(unaliased(hint))
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Required, *_WRAPPERS):
        parts = args[:1] if origin in (Required, NotRequired, Annotated) else args
        return any(map(takes_text, parts))
    if origin is Literal:
        return any(isinstance(value, str) for value in args)
    others = (int, float, bool, type(None), list, tuple, set, frozenset)
    return origin not in others and not takes_object(hint)


def takes_only_objects(hint: Any) -> bool:
    """Return whether values are always objects or lists of them: JSON in a query string."""
    hint = root_of(hint)
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (NotRequired, Annotated):
        return takes_only_objects(args[0])
    if origin in (Union, UnionType):
        return all(takes_only_objects(arg) for arg in args if arg is not type(None))
    if origin in (list, tuple, set, frozenset):
        return bool(args) and takes_only_objects(args[0])
    return takes_object(hint)


def takes_messages(hint: Any) -> bool:
    """Return whether the values of a type are lists of messages; a text is accepted for one."""
    return hint in (Messages, TextOrMessages) or (
        get_origin(hint) in _WRAPPERS and any(map(takes_messages, get_args(hint)))
    )
