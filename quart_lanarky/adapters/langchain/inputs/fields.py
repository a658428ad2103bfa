"""Named, typed fields that client data is checked against, and what chains are called with.

They are a TypedDict under a Pydantic TypeAdapter and not a model: their names come from users,
and a model cannot have a field named `schema` or `copy`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, NotRequired, cast

from pydantic import (
    ConfigDict,
    PlainValidator,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import TypedDict
from werkzeug.datastructures import MultiDict

from ....errors import MAX_MESSAGE, InputError, shortened
from .checks import bounded_adapter, problems_of
from .counting import count_messages
from .messages import drop_chunks
from .types import (
    accepted_keys,
    dumped_input,
    hints_of,
    is_required,
    root_of,
    takes_list,
    takes_messages,
    takes_only_objects,
    takes_text,
)

__all__ = ["WRAPPED", "AnyObject", "Each", "Fields", "ModelFields", "State", "Value"]

WRAPPED = "input"
"""The field that holds the input of a chain which takes something else than an object."""


def _adapter(hints: dict[str, Any], least: int = 0) -> TypeAdapter[Any]:
    """Return the adapter of such fields; chains that are made anew have those of the last one."""
    items = tuple(hints.items())
    try:
        return _shared_adapter(items, least)
    except TypeError:  # a type that cannot be a key
        return _new_adapter(items, least)


def _new_adapter(items: Iterable[tuple[str, Any]], least: int) -> TypeAdapter[Any]:
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
    shape: type[Any] = TypedDict("Fields", dict(items))  # type: ignore[misc]  # made at run time
    return bounded_adapter(with_config(config)(shape))


_shared_adapter = lru_cache(64)(_new_adapter)


def _checkable(hint: Any) -> Any:
    try:
        _adapter({"field": hint})
    except PydanticUserError:
        return Any if is_required(hint) else NotRequired[Any]
    return hint


def _parsed(text: str) -> Any:
    """Return the JSON that a text holds; what it is otherwise, the check will say."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _refusal(fields: dict[str, str]) -> InputError:
    """Make the error; what is wrong with all fields together belongs to no field."""
    whole = fields.pop("", None)
    said = f": {shortened(whole, MAX_MESSAGE)}" if whole else ""
    return InputError("the inputs do not fit" + said, fields)


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
    def names(self) -> Collection[str]:
        """The names of the fields."""
        return self.hints.keys()

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

    def check(self, data: Mapping[str, Any], max_messages: int | None = None) -> Any:
        """Return `data` converted to the types of the fields.

        Chunks of messages in it become whole messages, in `data` itself.

        Args:
            data: What the client sent.
            max_messages: How many messages there may be in it. None for any number.

        Raises:
            InputError: A field is missing, unknown or of a wrong type; it names each. Or there
                are more messages; it names the field with most of them.
        """
        if max_messages is not None:
            self._refuse_too_many(data, max_messages)
        drop_chunks(data)
        unknown = dict.fromkeys(self._unknown(data), "Extra inputs are not permitted")
        wrong: dict[str, str] = {}
        try:
            known = {name: value for name, value in data.items() if name not in unknown}
            checked = self.adapter.validate_python(known)
        except ValidationError as error:
            wrong = problems_of(error)
        if wrong or unknown:  # not inside of `except`: the new error would keep the old one
            raise _refusal(wrong | unknown)
        return checked

    def for_chain(self, message: Mapping[str, Any] | str, max_messages: int | None = None) -> Any:
        """Return what the chain is called with, for a JSON object or a bare text.

        Args:
            message: What the client sent.
            max_messages: How many messages there may be in it. None for any number.

        Raises:
            InputError: The inputs do not fit, or a bare text cannot tell which input it is.
        """
        data = self._named(message) if isinstance(message, str) else message
        return self._input(self.check(data, max_messages))

    def count(self, message: Any, most: int) -> dict[str, int]:
        """Return how many messages are in each field; what is beyond `most` is not looked at."""
        data = {self.text_field or "": message} if isinstance(message, str) else message
        if not isinstance(data, Mapping):
            return {}
        return {name: self._count(name, value, most) for name, value in data.items()}

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
        return names[0] if len(names) == 1 and takes_text(self.hints[names[0]]) else None

    def _named(self, text: str) -> dict[str, Any]:
        """Give a bare text to its field."""
        if self.text_field is None:
            inputs = ", ".join(self.hints) or "an object of any fields"
            raise InputError(f"send a JSON object with the inputs of this chain: {inputs}")
        return {self.text_field: text}

    def _value(self, name: str, values: list[str]) -> Any:
        """Return the last of several values for a field that takes one, as forms do."""
        hint = self.hints.get(name, Any)
        if takes_messages(hint) and len(values) == 1:
            return values[0]  # for a model it stays a text
        if takes_only_objects(hint):
            return _parsed(values[-1])
        return values if takes_list(hint) else values[-1]

    def _count(self, name: str, value: Any, most: int) -> int:
        return count_messages(value, self.hints.get(name, Any), most)

    def _refuse_too_many(self, data: Mapping[str, Any], most: int) -> None:
        counts = self.count(data, most)
        if sum(counts.values()) > most:
            name = max(counts, key=lambda each: counts[each])
            raise _refusal({name: f"send no more than {most} messages"})

    def _unknown(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Return the names that are none of the fields': Pydantic would make an error of each."""
        return (name for name in data if name not in self.hints)

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


class Each(Value):
    """A list of which each item is the input of the same chain."""

    def __init__(self, item: Fields) -> None:
        super().__init__(cast(Any, list)[Annotated[Any, PlainValidator(item.for_chain)]])
        self._item = item

    def _count(self, name: str, value: Any, most: int) -> int:
        """Count what all the items hold, for their chains have no bound of their own."""
        if name != WRAPPED or not isinstance(value, list):
            return 0
        found = 0
        for item in value:
            found += sum(self._item.count(item, most).values())
            if found > most:
                break
        return found


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
        return bounded_adapter(self._body)

    def _unknown(self, data: Mapping[str, Any]) -> Iterable[str]:
        return ()

    def _count(self, name: str, value: Any, most: int) -> int:
        return count_messages({name: value}, self._body, most)


class State(Fields):
    """The state of a graph, of which a client sends any part but an empty one."""

    least = 1

    def for_chain(self, message: Mapping[str, Any] | str, max_messages: int | None = None) -> Any:
        """Return what the graph is called with, or refuse an empty object."""
        if not message and not any(map(is_required, self.hints.values())):
            inputs = ", ".join(self.hints)
            raise InputError(f"send at least one of the inputs of this chain: {inputs}")
        return super().for_chain(message, max_messages)


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
        return bounded_adapter(self.body)

    def _count(self, name: str, value: Any, most: int) -> int:
        return count_messages({name: value}, self.body, most)  # a field may have several names

    def _unknown(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Refuse what the model would ignore, for it is most often a name that is misspelt."""
        accepted = accepted_keys(root_of(self.body))
        return () if accepted is None else (name for name in data if name not in accepted)

    def _input(self, values: Any) -> Any:
        return dumped_input(values) if self._dump else values
