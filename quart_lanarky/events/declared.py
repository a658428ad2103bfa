"""The events that a class of handlers declares, with the types of their payloads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, JsonValue, PydanticUserError, TypeAdapter

from ..errors import ConfigurationError
from .types import EVENT_KINDS, Event, json_event

__all__ = ["DeclaredEvents", "declared_events"]

_BUILT_IN: Final = {
    kind.name: kind.payload for kind in EVENT_KINDS.values() if not kind.is_of_the_connection
}
"""The payloads of the events that are about a run, by name."""

_PACKAGE: Final = __name__.partition(".")[0]


class DeclaredEvents:
    """The events that a class of handlers declares in `events`, its bases' among them.

    Args:
        handler: The class.

    Attributes:
        types: The types of the payloads by the names of the events.
        are_all: Whether it sends no others. A user's class that declares nothing may send
            anything.
    """

    def __init__(self, handler: type) -> None:
        declared = [events_of for kind in handler.__mro__ if (events_of := _declared_by(kind))]
        users = _users_classes(handler)
        self._handler = handler.__name__
        self._is_binding = any(_declared_by(kind) is not None for kind in users)
        self.are_all = self._is_binding or not users
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        self.types: dict[str, Any] = {}
        for events in reversed(declared):
            self.types |= events

    def check(self) -> None:
        """Find out whether all types can be described.

        Raises:
            ConfigurationError: Pydantic cannot describe one of them.
        """
        for name in self.types:
            if name in EVENT_KINDS and EVENT_KINDS[name].is_of_the_connection:
                raise ConfigurationError(
                    f"{self._handler}: the event {name!r} is the WebSockets' own"
                )
            try:
                self._adapter(name)
            except PydanticUserError as error:
                raise ConfigurationError(
                    f"{self._handler}: the type of the event {name!r} cannot be described: {error}"
                ) from error

    def make(self, name: str, data: str | BaseModel | JsonValue) -> Event:
        """Make an event: of a str bare text, of all else JSON, and of the declared type.

        Raises:
            TypeError, ValueError: JSON cannot express `data`, or it is not of the type.
            ConfigurationError: A user's class declares its events, and this one is not there.
        """
        if self._is_built_in(name) or not self._is_binding:
            return _undeclared(name, data)
        if name not in self.types:
            raise ConfigurationError(
                f"{self._handler} sends {name!r}, which its `events` do not name; the API docs "
                "are built from them"
            )
        adapter = self._adapter(name)
        payload = adapter.validate_python(data)
        if self.types[name] is str:
            return Event(name, payload)
        return json_event(name, adapter.dump_python(payload, mode="json", by_alias=True))

    def _is_built_in(self, name: str) -> bool:
        """Tell whether an event is one of ours; a class may declare another type under its name."""
        return name in _BUILT_IN and self.types.get(name, _BUILT_IN[name]) is _BUILT_IN[name]

    def _adapter(self, name: str) -> TypeAdapter[Any]:
        if name not in self._adapters:
            self._adapters[name] = TypeAdapter(self.types[name])
        return self._adapters[name]


def _undeclared(name: str, data: str | BaseModel | JsonValue) -> Event:
    """Make an event of ours, or of a class that declares none."""
    if isinstance(data, str):
        return Event(name, data)
    event = json_event(name, data)
    match event.data:
        case {**fields} if len(fields) == 1 and name in EVENT_KINDS:
            text = fields.get(EVENT_KINDS[name].text_field or "")
            return Event(name, text) if isinstance(text, str) else event
        case _:
            return event


@cache
def declared_events(handler: Any) -> DeclaredEvents:
    """Return what a class of handlers declares."""
    return DeclaredEvents(handler)


def _declared_by(kind: type) -> Mapping[str, Any] | None:
    """Return what a class itself declares; None if that is nothing."""
    events = vars(kind).get("events")
    return events if isinstance(events, Mapping) else None


def _users_classes(handler: type) -> list[type]:
    """Return the classes of a handler that are neither this package's nor bases of those."""
    ours = [kind for kind in handler.__mro__ if kind.__module__.partition(".")[0] == _PACKAGE]
    # Not by `issubclass`, which a user's protocol or abstract class may answer as it likes.
    bases = {base for kind in ours for base in kind.__mro__}
    return [kind for kind in handler.__mro__ if kind not in bases]
