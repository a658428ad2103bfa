"""What protocols have in common: how a route is described to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import TypeAdapter

from ..events import Event

__all__ = ["EncodedEvent", "Encoder", "RouteDescription"]


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event as it is on the wire: its data is text.

    Args:
        name: The event's name.
        data: A bare text, or JSON.
        id: The event's id in the sense of server-sent events, if it has one.
        is_json: Whether `data` is known to be JSON. It only matters for a WebSocket's frame, where
            JSON stands as it is and a text as a JSON string. No decoder can know it, so it does
            not count when events are compared.
    """

    name: str
    data: str
    id: str | None = None
    is_json: bool = field(default=False, compare=False)

    def json(self) -> Any:
        """Return the data parsed as JSON.

        Raises:
            ValueError: It is bare text.
        """
        return json.loads(self.data)


class Encoder(Protocol):
    """Turns the events of one stream into bytes; what it has to remember is that stream's."""

    @property
    def content_type(self) -> str:
        """The content type of the response."""

    @property
    def heartbeat(self) -> bytes:
        """What is sent when nothing else was for a while, and no client makes anything of."""

    def encode(self, batch: Sequence[Event]) -> bytes:
        """Return the bytes of the next events."""


@dataclass(frozen=True)
class RouteDescription:
    """What there is to say of a route on one transport.

    Attributes:
        mode: How its tokens travel in the native protocol.
        parameters: The parameters of its path and query string, as the fields of an object.
        body: The inputs, as a JSON object.
        output: The type of the answer in the JSON response.
        events: The events that its handlers send, by their names, each with the type of its
            payload; `str` is bare text.
        defaults: The defaults of the parameters that have one.
        text_input: The input that a bare text stands for, if there is one.
        takes_other_inputs: Whether inputs may be sent that are not among those of `body`.
        sends_other_events: Whether it has handlers that do not say what they send.
        handlers: The names of its handlers' classes.
        notes: What else a reader has to know, each a sentence.
    """

    mode: str
    parameters: TypeAdapter[Any]
    body: TypeAdapter[Any]
    output: Any
    events: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    text_input: str | None = None
    takes_other_inputs: bool = False
    sends_other_events: bool = False
    handlers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
