"""The inputs of chains that do not name them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NotRequired

from pydantic import TypeAdapter

from .checks import bounded_adapter
from .counting import count_messages
from .fields import STRICT, WRAPPED, Fields
from .policy import InputPolicy

__all__ = ["AnyInput", "AnyObject", "AnyValue"]


class AnyObject(Fields):
    """Any JSON object, for a chain that says that it takes one and does not name its fields.

    Args:
        body: The type of the object.
    """

    def __init__(self, body: Any = dict[str, Any]) -> None:
        super().__init__({}, is_open=True)
        self._body = body

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The type adapter that validates the data and makes its JSON schema."""
        return bounded_adapter(self._body)

    def _count_field(self, name: str, value: Any, limit: int) -> int:
        return count_messages({name: value}, self._body, limit)


class AnyInput(AnyObject):
    """Any JSON object or text, for a chain that says nothing about what it takes."""

    @property
    def is_known(self) -> bool:
        """Whether the chain says anything about what it takes."""
        return False

    def for_chain(self, message: Mapping[str, Any] | str, policy: InputPolicy = STRICT) -> Any:
        """Return the input of the chain: the object or the text itself."""
        return message if isinstance(message, str) else super().for_chain(message, policy)

    def convert(self, message: Mapping[str, Any] | str, policy: InputPolicy) -> Any:
        """Return the input of the chain: the object or the text itself."""
        return message if isinstance(message, str) else super().convert(message, policy)


class AnyValue(Fields):
    """Any JSON object, or any other value wrapped into one, for a function without types.

    A request body is always an object, and the function may want a text. So an object with no
    other field than `input` stands for the value of this field.
    """

    def __init__(self) -> None:
        super().__init__({WRAPPED: NotRequired[Any]}, is_open=True)

    @property
    def is_known(self) -> bool:
        """Whether the chain says anything about what it takes."""
        return False

    def _chain_input(self, values: Any) -> Any:
        return values[WRAPPED] if values.keys() == {WRAPPED} else values
