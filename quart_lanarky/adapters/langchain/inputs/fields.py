"""Validate client data against named, typed fields, and make the inputs of chains from it.

The fields are validated as a TypedDict by a Pydantic TypeAdapter, not as a model: their names
come from users, and a model cannot have a field named `schema` or `copy`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from copy import copy
from functools import cached_property, lru_cache
from typing import Annotated, Any, ClassVar, Final, NotRequired, Self, cast

from pydantic import (
    ConfigDict,
    PlainValidator,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    with_config,
)
from typing_extensions import TypedDict
from werkzeug.datastructures import MultiDict

from ....errors import MAX_MESSAGE, InputError, shortened
from .checks import bounded_adapter, problems_of
from .client_data import check_client_data
from .counting import count_messages
from .policy import InputPolicy
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

__all__ = [
    "STRICT",
    "WRAPPED",
    "Each",
    "Fields",
    "ModelFields",
    "Value",
    "input_error",
    "parse_json",
]

WRAPPED = "input"
"""The field that wraps the input of a chain that does not take an object."""

STRICT: Final = InputPolicy()
"""Accepts a conversation in text, of any length."""


def _adapter_for(
    hints: dict[str, Any], least: int = 0, *, is_open: bool = False
) -> TypeAdapter[Any]:
    """Return the type adapter for fields, cached: equal chains of later requests share it."""
    items = tuple(hints.items())
    try:
        return _shared_adapter(items, least, is_open)
    except TypeError:  # an unhashable type
        return _new_adapter(items, least, is_open)


def _new_adapter(
    items: Iterable[tuple[str, Any]],
    least: int,
    is_open: bool,  # noqa: FBT001  # the cache tells positional arguments from others
) -> TypeAdapter[Any]:
    """Make the adapter of a TypedDict whose fields go by name, whatever alias their types have.

    The minimum number of fields, `least`, only appears in the JSON schema.
    """
    config = ConfigDict(
        title="",  # the name "Fields" would say nothing
        extra="allow" if is_open else "forbid",
        arbitrary_types_allowed=True,
        validate_by_alias=False,
        validate_by_name=True,
        loc_by_alias=False,
        json_schema_extra={"minProperties": least} if least else None,
    )
    shape: type[Any] = TypedDict("Fields", dict(items))  # type: ignore[misc]  # made at run time
    return bounded_adapter(with_config(config)(shape))


_shared_adapter = lru_cache(64)(_new_adapter)


def _validatable_hint(hint: Any) -> Any:
    try:
        _adapter_for({"field": hint})
    except PydanticUserError:
        return Any if is_required(hint) else NotRequired[Any]
    return hint


def parse_json(text: str) -> Any:
    """Parse a text as JSON; return other texts as they are, for the validation to refuse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def input_error(fields: dict[str, str]) -> InputError:
    """Make an `InputError`; the message under "" is about all fields together."""
    whole = fields.pop("", None)
    said = f": {shortened(whole, MAX_MESSAGE)}" if whole else ""
    return InputError("the inputs do not fit" + said, fields)


class Fields:
    """A set of named, typed fields that client data is validated against.

    Its subclasses differ in what the chain is called with: the object, the value of its only
    field, or an instance of a model.

    Args:
        hints: The type of each field by name; `NotRequired[...]` for an optional one.
        defaults: Functions that make the values of missing fields that the chain needs.
        is_open: Whether other fields are passed on as they are, because something may read them.
        reserved: Names of fields that a client may never send, since the app sets their values.
    """

    is_object: ClassVar[bool] = True
    """Whether the chain takes an object with these fields."""

    least: ClassVar[int] = 0
    """The minimum number of fields that a client has to send."""

    def __init__(
        self,
        hints: Mapping[str, Any],
        defaults: Mapping[str, Callable[[], Any]] | None = None,
        *,
        is_open: bool = False,
        reserved: Iterable[str] = (),
    ) -> None:
        self.hints = dict(hints)
        self.is_open = is_open
        self.reserved = frozenset(reserved)
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
        """The type adapter that validates the data and makes its JSON schema."""
        try:
            return _adapter_for(self.hints, self.least, is_open=self.is_open)
        except PydanticUserError:  # Pydantic cannot validate one of the types
            hints = {name: _validatable_hint(hint) for name, hint in self.hints.items()}
            return _adapter_for(hints, self.least, is_open=self.is_open)

    def check(self, data: Mapping[str, Any], policy: InputPolicy = STRICT) -> Any:
        """Return `data` converted to the types of the fields.

        Message chunks in `data` are replaced by whole messages, in place.

        Args:
            data: What the client sent.
            policy: What the route accepts.

        Raises:
            InputError: Fields are missing, unknown or of a wrong type; the error names each. Or
                there are too many messages; the error names the field with the most of them. Or
                the route does not accept what is in a field.
        """
        self._admit(data, policy)
        return self._validate(data, policy)

    def for_chain(self, message: Mapping[str, Any] | str, policy: InputPolicy = STRICT) -> Any:
        """Return the input of the chain, made from a JSON object or a bare text.

        Args:
            message: What the client sent.
            policy: What the route accepts.

        Raises:
            InputError: The inputs are invalid, or a bare text could be one of several inputs.
        """
        data = self._assign_text(message) if isinstance(message, str) else message
        self._admit(data, policy)
        return self.convert(data, policy)

    def convert(self, message: Mapping[str, Any] | str, policy: InputPolicy) -> Any:
        """Return the input of the chain, made from what was checked as a part of other inputs.

        Raises:
            InputError: The inputs are invalid, or a bare text could be one of several inputs.
        """
        data = self._assign_text(message) if isinstance(message, str) else message
        if not isinstance(data, Mapping):
            raise InputError("an item of the inputs must be a JSON object")
        return self._chain_input(self._validate(data, policy))

    def count(self, message: Any, limit: int) -> dict[str, int]:
        """Return the number of messages in each field; each count stops once above `limit`."""
        data = {self.text_field or "": message} if isinstance(message, str) else message
        if not isinstance(data, Mapping):
            return {}
        return {name: self._count_field(name, value, limit) for name, value in data.items()}

    def pick(self, query: MultiDict[str, str]) -> dict[str, Any]:
        """Return the fields of a query string: lists as lists, objects parsed from JSON.

        Raises:
            InputError: A field with one value is given twice: code that reads the query string
                itself would see the other value.
        """
        return {name: self._query_value(name, query.getlist(name)) for name in query}

    def without(self, names: Collection[str]) -> Fields:
        """Return the fields except those in `names`, which the client does not send."""
        if not (self.is_known and self.is_object):  # then it has no names of its own
            return self
        hints = {name: hint for name, hint in self.hints.items() if name not in names}
        return Fields(hints, is_open=self.is_open, reserved=self.reserved.difference(names))

    def reserving(self, names: Iterable[str]) -> Self:
        """Return the same fields, with more names that a client may never send as further ones."""
        fields = copy(self)
        fields.reserved = self.reserved.union(names)
        return fields

    @property
    def text_field(self) -> str | None:
        """The field that a bare text is assigned to: the only one, or the only required one.

        None if there are several, or if the field does not accept a text.
        """
        required = [name for name, hint in self.hints.items() if is_required(hint)]
        names = required or list(self.hints)
        return names[0] if len(names) == 1 and takes_text(self.hints[names[0]]) else None

    def _assign_text(self, text: str) -> dict[str, Any]:
        """Return a bare text as the value of its field."""
        if self.text_field is None:
            inputs = ", ".join(self.hints) or "an object of any fields"
            raise InputError(f"send a JSON object with the inputs of this chain: {inputs}")
        return {self.text_field: text}

    def _query_value(self, name: str, values: list[str]) -> Any:
        """Return the value of a field: a list, a scalar, or what its JSON has."""
        hint = self.hints.get(name, Any)
        if takes_messages(hint) and len(values) == 1:
            return values[0]  # a text is an input of its own for a model
        if takes_list(hint) and not takes_only_objects(hint):
            return values
        if len(values) > 1:
            raise input_error({name: "is given more than once"})
        return parse_json(values[0]) if takes_only_objects(hint) else values[0]

    def _count_field(self, name: str, value: Any, limit: int) -> int:
        return count_messages(value, self.hints.get(name, Any), limit)

    def _admit(self, data: Mapping[str, Any], policy: InputPolicy) -> None:
        """Refuse what the route does not accept, before anything is made of it."""
        if policy.max_messages is not None:
            self._check_message_count(data, policy.max_messages)
        if refused := check_client_data(data, policy, self.names):
            raise input_error(refused)

    def _check_message_count(self, data: Mapping[str, Any], limit: int) -> None:
        counts = self.count(data, limit)
        if sum(counts.values()) > limit:
            name = max(counts, key=lambda each: counts[each])
            raise input_error({name: f"send no more than {limit} messages"})

    def _validate(self, data: Mapping[str, Any], policy: InputPolicy) -> Any:
        unknown = dict.fromkeys(self._unknown_names(data), "Extra inputs are not permitted")
        wrong: dict[str, str] = {}
        try:
            known = {name: value for name, value in data.items() if name not in unknown}
            checked = self.adapter.validate_python(known, context=policy)
        except ValidationError as error:
            wrong = problems_of(error)
        if wrong or unknown:  # not inside `except`: the new error would reference the old one
            raise input_error(wrong | unknown)
        return checked

    def _unknown_names(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Return names that are no field; Pydantic would make an error for each of them."""
        if self.is_open:
            return (name for name in data if name in self.reserved)
        return (name for name in data if name not in self.hints)

    def _chain_input(self, values: Any) -> Any:
        missing = {name: make() for name, make in self._defaults.items() if name not in values}
        return {**values, **missing}


class Value(Fields):
    """The input of a chain that does not take an object, wrapped into one."""

    is_object = False

    def __init__(self, hint: Any) -> None:
        super().__init__({WRAPPED: hint})

    def _chain_input(self, values: Any) -> Any:
        return values[WRAPPED]


class Each(Value):
    """A list whose items are each an input of the same chain."""

    def __init__(self, item: Fields) -> None:
        super().__init__(cast(Any, list)[Annotated[Any, PlainValidator(self._convert_item)]])
        self._item = item

    def _convert_item(self, item: Any, info: ValidationInfo) -> Any:
        return self._item.convert(item, info.context or STRICT)

    def _count_field(self, name: str, value: Any, limit: int) -> int:
        """Count the messages of all items together: the limit is for the whole request.

        An item without messages counts as one, for each is a call of the chain.
        """
        if name != WRAPPED or not isinstance(value, list):
            return 0
        found = 0
        for item in value:
            found += max(1, sum(self._item.count(item, limit).values()))
            if found > limit:
                break
        return found


class ModelFields(Fields):
    """The fields of a user's Pydantic model or dataclass, which validates them itself.

    Args:
        body: The class.
        dump: Whether the chain is called with a dict instead of an instance of the class.
    """

    is_object = False

    def __init__(self, body: Any, *, dump: bool) -> None:
        super().__init__(hints_of(root_of(body)), is_open=accepted_keys(root_of(body)) is None)
        self.body = body
        self._dump = dump

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The type adapter that validates the data and makes its JSON schema."""
        return bounded_adapter(self.body)

    def _count_field(self, name: str, value: Any, limit: int) -> int:
        return count_messages({name: value}, self.body, limit)  # a field may have several aliases

    def _unknown_names(self, data: Mapping[str, Any]) -> Iterable[str]:
        """Return names that the model would ignore: they are usually misspelt."""
        accepted = accepted_keys(root_of(self.body))
        return () if accepted is None else (name for name in data if name not in accepted)

    def _chain_input(self, values: Any) -> Any:
        return dumped_input(values) if self._dump else values
