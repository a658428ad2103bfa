"""Encode and decode events in the native protocol: server-sent events or WebSocket frames.

Tokens are encoded as bare text or as a JSON object. Only this module implements the modes; other
modules pass them on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from json.encoder import encode_basestring_ascii
from typing import Final, Literal, Protocol, get_args

from ...errors import ConfigurationError
from ...events import END, EVENT_KINDS, PING, Event
from .. import sse
from ..base import EncodedEvent

__all__ = [
    "HasMode",
    "LateModeEncoder",
    "Mode",
    "NativeEncoder",
    "check_mode",
    "decode",
    "decode_frame",
    "encode",
    "encode_frame",
]

logger = logging.getLogger(__name__)

Mode = Literal["text", "json"]
"""How tokens are encoded: as bare text, or as a JSON object."""

_TOKEN_PREFIX: Final = {
    kind.name: f'{{"{kind.text_field}": ' for kind in EVENT_KINDS.values() if kind.text_field
}
"""The JSON before the token, for kinds of events whose only field is a text."""


def check_mode(mode: str) -> Mode:
    """Return `mode`, or raise ConfigurationError (a ValueError) if there is no such mode."""
    for known in get_args(Mode):
        if mode == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise ConfigurationError(f"mode must be 'text' or 'json', not {mode!r}")


def encode(event: Event, mode: Mode) -> EncodedEvent:
    """Encode an event in a mode: in text mode tokens are bare text, and `end` has no data."""
    data, is_json = _encode_data(event, mode)
    return EncodedEvent(event.name, data, event.id, is_json)


def _encode_data(event: Event, mode: Mode) -> tuple[str, bool]:
    """Return the data of `event`, and whether it is JSON.

    For speed, the JSON of a token is written without its model; a test holds that it equals that of
    `CompletionData`.
    """
    if mode == "text" and event.name == END:
        return "", False
    if event.json is not None:
        return event.json, True
    start = None if mode == "text" else _TOKEN_PREFIX.get(event.name)
    if start is None:
        return event.data, False
    return f"{start}{encode_basestring_ascii(event.data)}}}", True


def decode(encoded: EncodedEvent, mode: Mode) -> Event:
    """Decode an event that was encoded in a mode; the data of custom events stays text.

    Raises:
        ValueError: The data does not fit this kind of event.
    """
    kind = EVENT_KINDS.get(encoded.name)
    is_text = mode == "text" and (encoded.name in _TOKEN_PREFIX or encoded.name == END)
    if kind is None or is_text:
        return Event(encoded.name, encoded.data, encoded.id)
    data = json.loads(encoded.data)
    if kind.text_field is None:
        if isinstance(data, dict):  # a newer server may send fields that are not known here
            data = {key: data[key] for key in kind.payload.model_fields if key in data}
        data = kind.payload.model_validate(data).model_dump(mode="json", exclude_unset=True)
        return Event(encoded.name, data, encoded.id)
    # Not by the model, which refuses a lone surrogate; a token may be one.
    text = data.get(kind.text_field) if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise ValueError(  # noqa: TRY004  # the data is invalid
            f"the data of {encoded.name!r} has no text {kind.text_field!r}"
        )
    return Event(encoded.name, text, encoded.id)


class NativeEncoder:
    """Encodes the events of one run.

    Args:
        mode: How tokens are encoded.
    """

    content_type: Final = sse.CONTENT_TYPE
    headers: Final[Mapping[str, str]] = {}
    heartbeat: Final = sse.HEARTBEAT

    def __init__(self, mode: Mode) -> None:
        self._mode: Mode = mode

    def encode(self, batch: Sequence[Event]) -> bytes:
        """Encode events as server-sent events."""
        mode = self._mode
        return sse.join([sse.block(e.name, _encode_data(e, mode)[0], e.id) for e in batch])

    def frames(self, batch: Sequence[Event]) -> list[str]:
        """Encode events as the texts of WebSocket frames: JSON objects with name and data."""
        return [_encode_frame(event.name, *_encode_data(event, self._mode)) for event in batch]


class HasMode(Protocol):
    """Something with a mode, such as a run."""

    @property
    def mode(self) -> str | None:
        """The mode; None if none is set yet."""


class LateModeEncoder:
    """Encodes the events of a run whose mode may be set after it has started.

    A handler that is made during the run sets it; the mode counts that the run has at its first
    event of its own, which is json if none was set.

    Args:
        run: The run.

    Raises:
        ConfigurationError: It has a mode already, and there is no such mode.
    """

    content_type: Final = NativeEncoder.content_type
    headers: Final = NativeEncoder.headers
    heartbeat: Final = NativeEncoder.heartbeat

    def __init__(self, run: HasMode) -> None:
        self._run = run
        check_mode(run.mode or "json")

    def encode(self, batch: Sequence[Event]) -> bytes:
        """Encode events as server-sent events."""
        return self._encoder.encode(batch)

    def frames(self, batch: Sequence[Event]) -> list[str]:
        """Encode events as the texts of WebSocket frames; a ping does not need the mode."""
        if all(event.name == PING for event in batch):
            return NativeEncoder("json").frames(batch)
        return self._encoder.frames(batch)

    @cached_property
    def _encoder(self) -> NativeEncoder:
        try:
            return NativeEncoder(check_mode(self._run.mode or "json"))
        except ConfigurationError:  # too late to refuse it: the client reads
            logger.exception("the run has no valid mode: its events are sent in json mode")
            return NativeEncoder("json")


def encode_frame(event: EncodedEvent) -> str:
    """Return the text of a WebSocket frame: a JSON object with the event's name and data."""
    return _encode_frame(event.name, event.data, event.is_json)


def decode_frame(text: str) -> EncodedEvent:
    """Return the event of a frame; its data as JSON, if it is not a text.

    Raises:
        ValueError, KeyError: It is not a frame of this protocol.
    """
    content = json.loads(text)
    name, data = content["event"], content["data"]
    return EncodedEvent(name, data if isinstance(data, str) else json.dumps(data))


def _encode_frame(name: str, data: str, is_json: bool) -> str:  # noqa: FBT001  # of `_encode_data`
    value = data if is_json else encode_basestring_ascii(data)
    return f'{{"event": {encode_basestring_ascii(name)}, "data": {value}}}'
