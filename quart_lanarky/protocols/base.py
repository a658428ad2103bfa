"""What a route asks of its protocol: to parse what clients send, to encode events, API docs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from pydantic import TypeAdapter

from ..events import Event
from .json_schema import Components, Schema
from .negotiation import JSON

__all__ = [
    "ClientSignal",
    "EncodedEvent",
    "Encoder",
    "Example",
    "MessageDocs",
    "RequestOption",
    "RouteDescription",
    "RouteDocs",
    "RouteProtocol",
    "StreamDocs",
]


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
    """Turns the events of one run into bytes. It may have state, which is that run's."""

    @property
    def content_type(self) -> str:
        """The content type of the response."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers; `Cache-Control` and `X-Accel-Buffering` are the same for all."""

    @property
    def heartbeat(self) -> bytes:
        """The bytes to send after a silence; clients ignore them."""

    def encode(self, batch: Sequence[Event]) -> bytes:
        """Return the bytes of the next events of a response."""

    def frames(self, batch: Sequence[Event]) -> list[str]:
        """Return the texts of the frames of a WebSocket for the next events; there may be none."""


class ClientSignal(Enum):
    """What a client of a WebSocket may send besides inputs."""

    STOP = "stop"
    """End the turn in progress."""

    ALIVE = "alive"
    """The answer to a sign of life."""


class RouteProtocol(Protocol):
    """How a route and its clients understand each other. The folder of a protocol has one."""

    @property
    def options(self) -> Mapping[str, str]:
        """What a client has to know to read the answers: the fields of `x-chain` in the specs."""

    def new_encoder(self) -> Encoder:
        """Return the encoder of one run."""

    def parse_body(self, body: str | bytes) -> dict[str, Any] | str:
        """Return what the body of a request has: inputs, or a bare text.

        Raises:
            InputError: It is not valid in this protocol.
        """

    def parse_message(self, frame: str | bytes | None) -> dict[str, Any] | str | ClientSignal:
        """Return what a frame of a WebSocket has: inputs, a bare text, or a signal.

        Raises:
            InputError: It is not valid in this protocol.
        """

    def docs(self, route: RouteDescription, name: str, components: Components) -> RouteDocs:
        """Describe a route in this protocol for an API spec.

        Args:
            route: The route.
            name: What the names of its schemas begin with, in PascalCase.
            components: The named schemas of the spec; the description adds those of the route.
        """


@dataclass(frozen=True)
class RequestOption:
    """What a request may ask of its run besides the inputs.

    Attributes:
        name: Its name in the query string.
        description: What it means.
        schema: The schema of its value, a text.
        header: The header that has it where the query string does not; None if none does.
        is_required: Whether each request has to have it.
    """

    name: str
    description: str
    schema: Schema
    header: str | None = None
    is_required: bool = False


@dataclass(frozen=True)
class RouteDescription:
    """The description of a chain route on one transport, whatever its protocol.

    Attributes:
        parameters: The parameters in its path and query string, as the fields of an object.
        body: The inputs, as a JSON object.
        output: The type of the answer in the JSON response.
        events: The payload type of each event that its handlers send, by name; `str` is bare
            text.
        defaults: The default values of parameters, by name.
        text_input: The input that a bare text is assigned to; None if there is none.
        takes_other_inputs: Whether inputs other than those of `body` are accepted.
        sends_other_events: Whether it has handlers that do not declare their events.
        keeps_history: Whether it is known that the app keeps the messages of a conversation, so
            that a client does not send the earlier ones again.
        handlers: The names of its handler classes.
        notes: Further sentences for the API docs.
        resumes: Whether the inputs may be the answer to an interrupt, `{"resume": ...}`, instead.
        request_options: What a request may ask of its run besides the inputs.
        shows: What leaves the server besides the answer, as `show=` of the route names it.
        unknown_inputs: Why not all inputs are known, for the app's developer; empty if they are.
    """

    parameters: TypeAdapter[Any]
    body: TypeAdapter[Any]
    output: Any
    events: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    text_input: str | None = None
    takes_other_inputs: bool = False
    sends_other_events: bool = False
    keeps_history: bool = False
    handlers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    resumes: bool = False
    request_options: tuple[RequestOption, ...] = ()
    shows: tuple[str, ...] = ()
    unknown_inputs: str = ""

    def input_schema(self, components: Components) -> Schema:
        """Return the schema of the inputs, without additional ones unless they are accepted."""
        schema = components.resolve(components.of(self.body, "validation"))
        if "properties" in schema and not self.takes_other_inputs:
            return {"additionalProperties": False, **schema}
        return schema


@dataclass(frozen=True)
class Example:
    """An example in an API spec.

    Attributes:
        name: Its name.
        summary: What it is an example of.
        value: The example.
    """

    name: str
    summary: str
    value: Any


@dataclass(frozen=True)
class MessageDocs:
    """What an API spec says of a request body, which is JSON, or of a message on a WebSocket.

    Attributes:
        name: Its name in the spec.
        summary: What it is, in a few words.
        schema: Its schema.
        examples: Examples of it; a request body is shown with the first.
        content_type: The content type of a message on a WebSocket.
    """

    name: str
    summary: str
    schema: Schema
    examples: Sequence[Example] = ()
    content_type: str = JSON


@dataclass(frozen=True)
class StreamDocs:
    """What an API spec says of the stream in an HTTP response.

    Attributes:
        content_type: Its content type.
        event: The schema of one event, as the parsers of this content type return it.
        event_examples: Examples of single events.
        examples: Examples of whole streams, as text; the first is also shown in the description.
    """

    content_type: str
    event: Schema
    event_examples: Sequence[Example] = ()
    examples: Sequence[Example] = ()


class RouteDocs(Protocol):
    """What an API spec says of a route in one protocol.

    The JSON response is not a part of it: that is the same in each protocol.
    """

    @property
    def http_description(self) -> str:
        """How HTTP requests are answered, in Markdown."""

    @property
    def receive_description(self) -> str:
        """How the messages on a WebSocket are answered, in Markdown."""

    @property
    def send_description(self) -> str:
        """What the frames of the server are, in Markdown."""

    def request_body(self) -> MessageDocs:
        """Describe the body of a request. It is JSON: only that makes browsers ask before it."""

    def stream(self) -> StreamDocs:
        """Describe the stream of a response."""

    def client_messages(self) -> list[MessageDocs]:
        """Describe what a client may send on a WebSocket."""

    def server_messages(self) -> list[MessageDocs]:
        """Describe the frames of the server."""
