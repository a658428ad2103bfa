"""What the API docs say of a route in the native protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

from .. import sse
from ..base import EncodedEvent, Example, MessageDocs, RouteDescription, StreamDocs
from ..json_schema import Components, Schema
from ..negotiation import EVENT_STREAM
from .encode import Mode, encode_frame
from .examples import (
    NO_EXAMPLE,
    example_events,
    example_input,
    example_turn,
    failed_turn,
)
from .requests import PONG, STOP, WHITE_SPACE
from .schemas import (
    RouteEvent,
    event_kinds,
    event_table,
    frame_kinds,
    frame_schema,
    server_sent_event,
)

__all__ = ["NativeDocs"]

_RESPONSE_FORMATS: Final = (
    "Answers with a stream of server-sent events, or with a JSON response if the request has "
    "the header `Accept: application/json`."
)
_TURNS: Final = (
    "Each message is a turn. Turns are answered one after the other, each ending in `end`. A "
    "message that does not fit is answered by `error` and `end`, and the connection lives on."
)
_FRAMES: Final = "One text frame for each event, a JSON object."
_NOT_AN_OBJECT: Final = f"^[{WHITE_SPACE}]*([^{WHITE_SPACE}{{]|$)"
RESUME_SCHEMA: Final[Schema] = {
    "type": "object",
    "description": "The answer to what the graph of this thread waits for.",
    "properties": {
        "resume": {
            "description": "The answer to the only interrupt, or an object with the answer to each "
            "by its id."
        }
    },
    "required": ["resume"],
    "additionalProperties": False,
}
_CONTROL_MESSAGES: Final = (
    ("Stop", STOP, "Stop the turn in progress", "Ends the turn in progress; its `end` follows."),
    ("Pong", PONG, "Answer a ping", "Says that the client is still there. It is not answered."),
)


class NativeDocs:
    """What an API spec says of one route.

    Args:
        route: The route.
        mode: How tokens are encoded.
        name: What the names of its schemas begin with.
        components: The named schemas of the spec; those of the route are added.
    """

    def __init__(
        self, route: RouteDescription, mode: Mode, name: str, components: Components
    ) -> None:
        self._route = route
        self._mode: Mode = mode
        self._name = name
        self._components = components
        self._inputs = route.input_schema(components)
        self._event_examples = example_events(route, mode)

    # -- HTTP ------------------------------------------------------------------------------

    @property
    def http_description(self) -> str:
        """The response formats and a table of the events."""
        data = {name: event.data for name, event in self._event_examples.items()}
        return f"{_RESPONSE_FORMATS}\n\n{event_table(self._kinds, data)}"

    def request_body(self) -> MessageDocs:
        """Describe the JSON object of the inputs."""
        schema = self._components.add(f"{self._name}Input", self._inputs)
        if self._route.resumes:
            schema = self._components.add(f"{self._name}Request", self._or_answer(schema))
        has_example = self._input_example is not NO_EXAMPLE
        examples = [_example_turn(self._input_example)] if has_example else []
        return MessageDocs(f"{self._name}Input", "The inputs of a turn", schema, examples)

    def _or_answer(self, inputs: Schema) -> Schema:
        """Return the schema of the inputs, or of the answer to an interrupt instead."""
        return {
            "description": "The inputs of a turn, or the answer to an interrupt.",
            "anyOf": [inputs, self._components.add("Resume", RESUME_SCHEMA)],
        }

    def stream(self) -> StreamDocs:
        """Describe the server-sent events."""
        schema: Schema = {
            "description": "One event of the stream.",
            "oneOf": [server_sent_event(kind, self._components) for kind in self._kinds],
        }
        sent = {kind.name for kind in self._kinds}
        return StreamDocs(
            EVENT_STREAM,
            self._components.add(f"{self._name}Event", schema),
            [Example(n, n, _parsed(e)) for n, e in self._event_examples.items() if n in sent],
            [
                Example("answer", "An answer", _text(example_turn(self._route, self._mode))),
                Example("failure", "A chain that fails", _text(failed_turn(self._mode))),
            ],
        )

    # -- WebSockets ------------------------------------------------------------------------

    @property
    def receive_description(self) -> str:
        """How messages are answered."""
        return _TURNS

    @property
    def send_description(self) -> str:
        """What a frame has, and a list of the events."""
        frames = {name: f"`{encode_frame(event)}`" for name, event in self._event_examples.items()}
        events = [f"- {frames.get(k.name, k.name or 'others')} {k.when}" for k in self._frame_kinds]
        return "\n".join([f"{_FRAMES}\n", *events])

    def client_messages(self) -> list[MessageDocs]:
        """Describe the inputs, the bare text if there is an input for it, a stop and a pong."""
        inputs = self.request_body()
        text_input = self._route.text_input
        texts = [] if text_input is None else [self._text_message(text_input)]
        return [inputs, *texts, *(self._control_message(*each) for each in _CONTROL_MESSAGES)]

    def server_messages(self) -> list[MessageDocs]:
        """Describe a frame of each kind of event."""
        return [self._frame_message(kind) for kind in self._frame_kinds]

    def _control_message(
        self, name: str, value: Mapping[str, str], summary: str, meaning: str
    ) -> MessageDocs:
        """Describe a message that begins no turn: a stop or a pong."""
        schema: Schema = {
            "type": "object",
            "description": meaning,
            "properties": {"event": {"type": "string", "const": value["event"]}},
            "required": ["event"],
            "additionalProperties": False,
        }
        examples = [Example(name, name, value)]
        return MessageDocs(name, summary, self._components.add(name, schema), examples)

    def _text_message(self, field: str) -> MessageDocs:
        """Describe a bare text for one input: it has to fit the input, and not be a JSON object."""
        summary = f"A text that does not start with a brace: the input `{field}`"
        schema: Schema = {"type": "string", "description": f"{summary}.", "pattern": _NOT_AN_OBJECT}
        if own := self._inputs.get("properties", {}).get(field, {}):
            schema["allOf"] = [own]
        text = self._input_example.get(field) if isinstance(self._input_example, dict) else None
        name = f"{self._name}Text"
        examples = [_example_turn(text)] if isinstance(text, str) else []
        return MessageDocs(
            name, summary, self._components.add(name, schema), examples, content_type="text/plain"
        )

    def _frame_message(self, kind: RouteEvent) -> MessageDocs:
        schema = frame_schema(kind, self._components)
        name = schema["$ref"].rpartition("/")[2].removesuffix("Frame")
        examples = []
        if event := self._event_examples.get(kind.name):
            frame = json.loads(encode_frame(event))
            examples = [Example(kind.name, f"A frame of `{kind.name}`", frame)]
        return MessageDocs(name, kind.description, schema, examples)

    # -- of both ---------------------------------------------------------------------------

    @cached_property
    def _kinds(self) -> list[RouteEvent]:
        return event_kinds(self._route, self._mode)

    @cached_property
    def _frame_kinds(self) -> list[RouteEvent]:
        return frame_kinds(self._route, self._mode)

    @cached_property
    def _input_example(self) -> Any:
        return example_input(self._route.body, self._components)


def _example_turn(value: Any) -> Example:
    return Example("turn", "A turn", value)


def _parsed(event: EncodedEvent) -> Schema:
    value = {"event": event.name, "data": event.data}
    return value if event.id is None else {**value, "id": event.id}


def _text(turn: Iterable[EncodedEvent]) -> str:
    return sse.encode(*turn).decode()
