"""The state of a graph as its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from ....errors import InputError
from .checks import bounded_adapter, problems_of
from .fields import Fields, input_error
from .policy import InputPolicy
from .types import is_required, takes_messages

__all__ = ["State"]


class State(Fields):
    """The state of a graph, of which a client sends at least one field.

    Args:
        hints: The type of each field by name.
        model: A Pydantic model or dataclass that the nodes get, and that validates the state.
        initial: The values with which fields begin that a client does not send.
        remembers: Whether a thread may have values already, so that the model cannot be asked
            about fields that are missing, nor about the whole.
    """

    least = 1

    def __init__(
        self,
        hints: Mapping[str, Any],
        *,
        model: Any = None,
        initial: Mapping[str, Any] | None = None,
        remembers: bool = False,
    ) -> None:
        super().__init__(hints)
        self._model = model
        self._initial = dict(initial or {})
        self._remembers = remembers

    @property
    def text_field(self) -> str | None:
        """The field that a bare text is assigned to: the only one, or else the messages."""
        messages = "messages" if takes_messages(self.hints.get("messages")) else None
        return super().text_field or messages

    def convert(self, message: Mapping[str, Any] | str, policy: InputPolicy) -> Any:
        """Return the input of the graph, or refuse an empty object with `InputError`."""
        if not message and not any(map(is_required, self.hints.values())):
            inputs = ", ".join(self.hints)
            raise InputError(f"send at least one of the inputs of this chain: {inputs}")
        return super().convert(message, policy)

    @cached_property
    def _model_adapter(self) -> TypeAdapter[Any] | None:
        try:
            return None if self._model is None else bounded_adapter(self._model)
        except PydanticUserError:  # a dataclass of types that Pydantic does not know
            return None

    def _validate(self, data: Mapping[str, Any], policy: InputPolicy) -> Any:
        checked = super()._validate(data, policy)
        if wrong := self._model_problems(checked, policy):
            raise input_error(wrong)
        return checked

    def _model_problems(self, values: Mapping[str, Any], policy: InputPolicy) -> dict[str, str]:
        if self._model_adapter is None:
            return {}
        try:
            self._model_adapter.validate_python({**self._initial, **values}, context=policy)
        except ValidationError as error:
            wrong = problems_of(error)
        else:
            return {}
        if self._remembers:
            return {name: why for name, why in wrong.items() if name.partition(".")[0] in values}
        return wrong
