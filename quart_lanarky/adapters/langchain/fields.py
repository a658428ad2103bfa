"""Named, typed fields that client data is checked against, and what chains are called with.

They are a TypedDict under a Pydantic TypeAdapter and not a model: their names come from users,
and a model cannot have a field named `schema` or `copy`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, is_dataclass
from dataclasses import fields as dataclass_fields
from functools import cached_property
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
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
    ConfigDict,
    PydanticUserError,
    RootModel,
    TypeAdapter,
    ValidationError,
    with_config,
)
from pydantic.fields import FieldInfo
from typing_extensions import TypeAliasType, TypedDict, is_typeddict
from werkzeug.datastructures import MultiDict

from ...errors import InputError
from .conversations import Messages, TextOrMessages, with_messages

__all__ = [
    "WRAPPED",
    "AnyObject",
    "Fields",
    "ModelFields",
    "State",
    "Value",
    "dumped_input",
    "field_hint",
    "hints_of",
    "is_required",
    "root_of",
    "split_mark",
    "takes_object",
    "typed_dict_hints",
    "unmarked",
]

WRAPPED = "input"
"""The field that holds the input of a chain which takes something else than an object."""


def _adapter(hints: dict[str, Any], least: int = 0) -> TypeAdapter[Any]:
    """Make a TypedDict whose fields go by their own names, whatever alias a type brings.

    How many of them it has to have at least is for its schema alone.
    """
    config = ConfigDict(
        title="",  # the name that is chosen below says nothing
        extra="forbid",
        arbitrary_types_allowed=True,
        validate_by_alias=False,
        validate_by_name=True,
        loc_by_alias=False,
        json_schema_extra={"minProperties": least} if least else None,
    )
    shape: type[Any] = TypedDict("Fields", hints)  # type: ignore[misc]  # made at run time
    return TypeAdapter(with_config(config)(shape))


def _checkable(hint: Any) -> Any:
    try:
        _adapter({"field": hint})
    except PydanticUserError:
        return Any if is_required(hint) else NotRequired[Any]
    return hint


def split_mark(hint: Any) -> tuple[Any, Any]:
    """Return `Required` or `NotRequired` if `hint` says it, and the hint without."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired):
        return origin, args[0]
    if origin is Annotated and get_origin(args[0]) in (Required, NotRequired):
        mark, bare = split_mark(args[0])
        return mark, Annotated[bare, *args[1:]]
    return None, hint


def unmarked(hint: Any) -> Any:
    """Return a type without its `Required` or `NotRequired`."""
    return split_mark(hint)[1]


def is_required(hint: Any) -> bool:
    """Tell whether a field of this type may not be missing."""
    return split_mark(hint)[0] is not NotRequired


def field_hint(field: FieldInfo) -> Any:
    """Return the type of a model's field, with its constraints, and whether it is required."""
    hint: Any = field.annotation
    for constraint in field.metadata:
        hint = Annotated[hint, constraint]
    hint = with_messages(hint)
    return hint if field.is_required() else NotRequired[hint]


def typed_dict_hints(kind: Any) -> dict[str, Any]:
    """Return the fields of a TypedDict, each with its own mark alone."""
    origin = get_origin(kind) or kind
    hints = {}
    for name, hint in get_type_hints(origin, include_extras=True).items():
        mark, bare = split_mark(hint)
        required = mark is Required or (mark is None and name in origin.__required_keys__)
        hints[name] = with_messages(bare) if required else NotRequired[with_messages(bare)]
    return hints


def root_of(kind: Any) -> Any:
    """Return what is inside a RootModel; anything else is its own root."""
    while isinstance(kind, type) and issubclass(kind, RootModel):
        kind = kind.model_fields["root"].annotation
    return kind


def takes_object(kind: Any) -> bool:
    """Tell whether the values of a type are JSON objects."""
    origin = get_origin(kind) or kind
    is_class = isinstance(origin, type) and issubclass(origin, BaseModel | Mapping)
    return is_typeddict(origin) or is_class or is_dataclass(origin)


def hints_of(kind: Any) -> dict[str, Any]:
    """Return the fields of a class; a model's under the names that it looks for first."""
    origin = get_origin(kind) or kind
    if is_typeddict(origin):
        return typed_dict_hints(origin)
    if is_dataclass(origin):
        return _dataclass_hints(origin)
    if issubclass(origin, BaseModel):
        return {_keys(origin, name)[0]: field_hint(f) for name, f in origin.model_fields.items()}
    return {}  # a mapping


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


def _accepted_keys(kind: Any) -> set[str] | None:
    """Return the keys of an object that a class knows; None if it takes any."""
    origin = get_origin(kind) or kind
    if is_typeddict(origin) or is_dataclass(origin):
        return set(hints_of(origin))
    if issubclass(origin, BaseModel) and origin.model_config.get("extra") != "allow":
        return {key for name in origin.model_fields for key in _keys(origin, name)}
    return None


def _keys(model: type[BaseModel], name: str) -> list[str]:
    """Return the keys under which a model accepts one of its fields."""
    config, alias = model.model_config, model.model_fields[name].validation_alias
    keys = _first_keys(alias) if config.get("validate_by_alias", True) else []
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    return [*keys, name] if by_name or not keys else keys


def _first_keys(alias: str | AliasPath | AliasChoices | None) -> list[str]:
    """Return the keys of an object at which an alias starts."""
    if isinstance(alias, AliasChoices):
        return [key for choice in alias.choices for key in _first_keys(choice)]
    if isinstance(alias, AliasPath):
        return [str(alias.path[0])]
    return [alias] if alias else []


def dumped_input(value: Any) -> Any:
    """Return what `model_dump()` does, but for LangChain's objects, which chains take as such."""
    kept = {name for name, hint in _field_types(type(value)) if _holds_langchain(hint)}
    if isinstance(value, RootModel) and kept:
        return value.root
    dumped = TypeAdapter(type(value)).dump_python(value, exclude=kept)
    return {**dumped, **{name: getattr(value, name) for name in kept}} if kept else dumped


def _field_types(kind: Any) -> Iterable[tuple[str, Any]]:
    if is_dataclass(kind):
        return _dataclass_hints(kind).items()
    return ((name, field.annotation) for name, field in kind.model_fields.items())


def _holds_langchain(hint: Any) -> bool:
    """Tell whether messages, documents and alike are among the values of a type."""
    hint = root_of(_unaliased(hint))
    if isinstance(hint, type) and issubclass(hint, Serializable):
        return True
    return any(_holds_langchain(inner) for inner in get_args(hint))


def _unaliased(hint: Any) -> Any:
    """Return what a named type, such as `Messages`, stands for."""
    return hint.__value__ if isinstance(hint, TypeAliasType) else hint


_WRAPPERS = (Annotated, NotRequired, Union, UnionType)


def _takes_list(hint: Any) -> bool:
    """Tell whether `hint` is a list, tuple or set, also inside Optional, Annotated and alike."""
    hint = _unaliased(hint)
    origin = get_origin(hint) or hint
    if origin in (list, tuple, set, frozenset):
        return True
    return origin in _WRAPPERS and any(_takes_list(inner) for inner in get_args(hint))


def _takes_text(hint: Any) -> bool:
    """Tell whether a text can be a value of a type; of a number, say, it never is."""
    if _takes_messages(hint):
        return True
    hint = root_of(_unaliased(hint))
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Required, *_WRAPPERS):
        parts = args[:1] if origin in (Required, NotRequired, Annotated) else args
        return any(map(_takes_text, parts))
    if origin is Literal:
        return any(isinstance(value, str) for value in args)
    others = (int, float, bool, type(None), list, tuple, set, frozenset)
    return origin not in others and not takes_object(hint)


def _takes_only_objects(hint: Any) -> bool:
    """Tell whether a value can only be an object or a list of them: a query has it as JSON."""
    hint = root_of(hint)
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (NotRequired, Annotated):
        return _takes_only_objects(args[0])
    if origin in (Union, UnionType):
        return all(_takes_only_objects(arg) for arg in args if arg is not type(None))
    if origin in (list, tuple, set, frozenset):
        return bool(args) and _takes_only_objects(args[0])
    return takes_object(hint)


def _parsed(text: str) -> Any:
    """Return the JSON that a text holds; what it is otherwise, the check will say."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _takes_messages(hint: Any) -> bool:
    return hint in (Messages, TextOrMessages) or (
        get_origin(hint) in _WRAPPERS and any(map(_takes_messages, get_args(hint)))
    )


def _refusal(fields: dict[str, str]) -> InputError:
    """Make the error; what is wrong with all fields together belongs to no field."""
    whole = fields.pop("", None)
    return InputError("the inputs do not fit" + (f": {whole}" if whole else ""), fields)


def _messages(error: ValidationError) -> dict[str, str]:
    return {
        ".".join(map(str, e["loc"])): e["msg"].removeprefix("Value error, ")
        for e in error.errors(include_url=False)
    }


class Fields:
    """A set of named, typed fields that client data is checked against.

    The classes that derive from it differ in what a chain is called with: the object, the value
    of its only field, an instance of a model.

    Args:
        hints: For each field its type; `NotRequired[...]` marks one that may be missing.
        defaults: Makes the values of fields without which the chain cannot be called.
    """

    is_object: ClassVar[bool] = True
    """Whether the chain takes an object whose fields these are."""

    least: ClassVar[int] = 0
    """How many fields there have to be."""

    def __init__(
        self, hints: Mapping[str, Any], defaults: Mapping[str, Callable[[], Any]] | None = None
    ) -> None:
        self.hints = dict(hints)
        self._defaults = dict(defaults or {})

    @property
    def is_known(self) -> bool:
        """Whether the chain says anything about what it takes."""
        return True

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """What checks the data, and describes it in a JSON schema."""
        try:
            return _adapter(self.hints, self.least)
        except PydanticUserError:  # it cannot be checked by Pydantic; the chain may still take it
            hints = {name: _checkable(hint) for name, hint in self.hints.items()}
            return _adapter(hints, self.least)

    def check(self, data: Mapping[str, Any]) -> Any:
        """Return `data` converted to the types of the fields.

        Raises:
            InputError: A field is missing, unknown or of a wrong type; it names each.
        """
        unknown = self._unknown(data)
        try:
            checked = self.adapter.validate_python(dict(data))
        except ValidationError as error:
            raise _refusal(_messages(error) | unknown) from None
        if unknown:
            raise _refusal(unknown)
        return checked

    def for_chain(self, message: Mapping[str, Any] | str) -> Any:
        """Return what the chain is called with, for a JSON object or a bare text.

        Raises:
            InputError: The inputs do not fit, or a bare text cannot tell which input it is.
        """
        data = self._named(message) if isinstance(message, str) else message
        return self._input(self.check(data))

    def pick(self, query: MultiDict[str, str]) -> dict[str, Any]:
        """Return the fields that a query string has: lists as lists, objects parsed as JSON."""
        return {name: self._value(name, query.getlist(name)) for name in query}

    def without(self, names: Collection[str]) -> Fields:
        """Return the same fields but for some, which come from elsewhere than the client."""
        return Fields({name: hint for name, hint in self.hints.items() if name not in names})

    @property
    def text_field(self) -> str | None:
        """The field that a bare text is for: the only one, or the only required one.

        None if there are several, or if it takes no text.
        """
        required = [name for name, hint in self.hints.items() if is_required(hint)]
        names = required or list(self.hints)
        return names[0] if len(names) == 1 and _takes_text(self.hints[names[0]]) else None

    def _named(self, text: str) -> dict[str, Any]:
        """Give a bare text to its field."""
        if self.text_field is None:
            inputs = ", ".join(self.hints) or "an object of any fields"
            raise InputError(f"send a JSON object with the inputs of this chain: {inputs}")
        return {self.text_field: text}

    def _value(self, name: str, values: list[str]) -> Any:
        """Return the last of several values for a field that takes one, as forms do."""
        hint = self.hints.get(name, Any)
        if _takes_messages(hint) and len(values) == 1:
            return values[0]  # for a model it stays a text
        if _takes_only_objects(hint):
            return _parsed(values[-1])
        return values if _takes_list(hint) else values[-1]

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, str]:
        return {}  # the TypedDict refuses them itself

    def _input(self, values: Any) -> Any:
        missing = {name: make() for name, make in self._defaults.items() if name not in values}
        return {**values, **missing}


class Value(Fields):
    """The input of a chain that takes no object, wrapped into one."""

    is_object = False

    def __init__(self, hint: Any) -> None:
        super().__init__({WRAPPED: hint})

    @property
    def is_known(self) -> bool:
        """Whether the chain says anything about what it takes."""
        return self.hints[WRAPPED] is not Any

    def _input(self, values: Any) -> Any:
        return values[WRAPPED]


class AnyObject(Fields):
    """A JSON object as it is, for a chain that does not say which fields it takes."""

    is_object = False

    def __init__(self, body: Any = dict[str, Any]) -> None:
        super().__init__({})
        self._body = body

    @property
    def is_known(self) -> bool:
        """Whether the chain says anything about what it takes."""
        return False

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """What checks the data, and describes it in a JSON schema."""
        return TypeAdapter(self._body)


class State(Fields):
    """The state of a graph, of which a client sends any part but an empty one."""

    least = 1

    def for_chain(self, message: Mapping[str, Any] | str) -> Any:
        """Return what the graph is called with, or refuse an empty object."""
        if not message and not any(map(is_required, self.hints.values())):
            inputs = ", ".join(self.hints)
            raise InputError(f"send at least one of the inputs of this chain: {inputs}")
        return super().for_chain(message)


class ModelFields(Fields):
    """The fields of somebody's own Pydantic model or dataclass, which checks them itself.

    Args:
        body: The class.
        dump: Whether the chain is called with a dict instead of an instance.
    """

    is_object = False

    def __init__(self, body: Any, *, dump: bool) -> None:
        super().__init__(hints_of(root_of(body)))
        self.body = body
        self._dump = dump

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """What checks the data, and describes it in a JSON schema."""
        return TypeAdapter(self.body)

    def _unknown(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Refuse what the model would ignore, for it is most often a name that is misspelt."""
        accepted = _accepted_keys(root_of(self.body))
        if accepted is None:
            return {}
        return {name: "Extra inputs are not permitted" for name in data if name not in accepted}

    def _input(self, values: Any) -> Any:
        return dumped_input(values) if self._dump else values
