"""What protocols have in common: encoders, encoded events, and descriptions of routes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from pydantic import TypeAdapter

from ..events import Event

__all__ = ["ClientSignal", "EncodedEvent", "Encoder", "RouteDescription", "RouteProtocol"]


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event as it is sent: its data is text.

    Args:
        name: The event's name.
        data: A bare text, or JSON.
        id: The event's id in the sense of server-sent events, if it has one.
        is_json: Whether `data` is JSON. It only matters for WebSocket frames, which embed JSON as
            it is and a text as a JSON string. Decoders cannot know it, so events are compared
            without it.
    """

    name: str
    data: str
    id: str | None = None
    is_json: bool = field(default=False, compare=False)

    def json(self) -> Any:
        """Return the data parsed as JSON.

        Raises:
            ValueError: The data is bare text.
        """
        return json.loads(self.data)


class Encoder(Protocol):
    """Turns the events of one stream into bytes. It may have state, which is that stream's."""

    @property
    def content_type(self) -> str:
        """The content type of the response."""

    @property
    def heartbeat(self) -> bytes:
        """The bytes to send after a silence; clients ignore them."""

    def encode(self, batch: Sequence[Event]) -> bytes:
        """Return the bytes of the next events of a response."""

    def frames(self, batch: Sequence[Event]) -> list[str]:
        """Return the texts of the frames of a WebSocket for the next events."""


class ClientSignal(Enum):
    """What a client of a WebSocket may send besides inputs."""

    STOP = "stop"
    """End the turn in progress."""

    ALIVE = "alive"
    """The answer to a sign of life."""


class RouteProtocol(Protocol):
    """How a route and its clients understand each other. The folder of a protocol has one."""

    def new_encoder(self) -> Encoder:
        """Return the encoder of one stream."""

    def parse_body(self, body: str | bytes) -> dict[str, Any]:
        """Return the inputs in the body of a request.

        Raises:
            InputError: It is none of this protocol.
        """

    def parse_message(self, frame: str | bytes | None) -> dict[str, Any] | str | ClientSignal:
        """Return what a frame of a WebSocket has: inputs, a bare text, or a signal.

        Raises:
            InputError: It is none of this protocol.
        """


@dataclass(frozen=True)
class RouteDescription:
    """The description of a chain route on one transport.

    Attributes:
        mode: How tokens are encoded in the native protocol.
        parameters: The parameters in its path and query string, as the fields of an object.
        body: The inputs, as a JSON object.
        output: The type of the answer in the JSON response.
        events: The payload type of each event that its handlers send, by name; `str` is bare
            text.
        defaults: The default values of parameters, by name.
        text_input: The input that a bare text is assigned to; None if there is none.
        takes_other_inputs: Whether inputs other than those of `body` are accepted.
        sends_other_events: Whether it has handlers that do not declare their events.
        handlers: The names of its handler classes.
        notes: Further sentences for the API docs.
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
