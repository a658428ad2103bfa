"""The native protocol: the events as they are, as server-sent events or as WebSocket frames.

Tokens travel as bare text or as a JSON object. This is the only place that knows the difference:
everywhere else a mode is only passed on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Final, Literal, get_args

from ...errors import ConfigurationError
from ...events import END, EVENT_KINDS, Event
from .. import sse
from ..base import EncodedEvent

__all__ = ["Mode", "NativeEncoder", "check_mode", "decode", "encode", "frame"]

Mode = Literal["text", "json"]
"""How tokens travel: as bare text, or as a JSON object."""

_TEXT_START: Final = {
    kind.name: f'{{"{kind.text_field}": ' for kind in EVENT_KINDS.values() if kind.text_field
}
"""The JSON before the token, for the kinds of events that carry one and nothing else."""


def check_mode(mode: str) -> Mode:
    """Return `mode`, or raise ConfigurationError (a ValueError) if there is no such mode."""
    for known in get_args(Mode):
        if mode == known:
            return known  # type: ignore[no-any-return]  # get_args is untyped
    raise ConfigurationError(f"mode must be 'text' or 'json', not {mode!r}")


def encode(event: Event, mode: Mode) -> EncodedEvent:
    """Return `event` as it travels in a mode: in text mode tokens are bare, and `end` is empty."""
    data, is_json = _data_of(event, mode)
    return EncodedEvent(event.name, data, event.id, is_json)


def _data_of(event: Event, mode: Mode) -> tuple[str, bool]:
    """Return the data of `event`, and whether it is JSON.

    The JSON of a token is written without a model of it: this is done for every token. That it is
    what `CompletionData` says is for a test to hold.
    """
    if mode == "text" and event.name == END:
        return "", False
    if event.json is not None:
        return event.json, True
    start = None if mode == "text" else _TEXT_START.get(event.name)
    if start is None:
        return event.data, False
    return f"{start}{encode_basestring_ascii(event.data)}}}", True


def decode(encoded: EncodedEvent, mode: Mode) -> Event:
    """Return the event that was encoded in a mode; the data of an app's own events stays text.

    Raises:
        ValueError: The data is not what this kind of event has.
    """
    kind = EVENT_KINDS.get(encoded.name)
    is_text = mode == "text" and (encoded.name in _TEXT_START or encoded.name == END)
    if kind is None or is_text:
        return Event(encoded.name, encoded.data, encoded.id)
    data = json.loads(encoded.data)
    if kind.text_field is None:
        data = kind.payload.model_validate(data).model_dump(mode="json")
        return Event(encoded.name, data, encoded.id)
    # Not by the model: it takes no half of a surrogate pair, which a token may be.
    text = data.get(kind.text_field) if isinstance(data, dict) else None
    if not isinstance(text, str):
        raise ValueError(  # noqa: TRY004  # what is wrong is the data
            f"the data of {encoded.name!r} has no text {kind.text_field!r}"
        )
    return Event(encoded.name, text, encoded.id)


class NativeEncoder:
    """Encodes the events of one stream.

    Args:
        mode: How tokens travel.
    """

    content_type: Final = sse.CONTENT_TYPE
    heartbeat: Final = sse.HEARTBEAT

    def __init__(self, mode: Mode) -> None:
        self._mode: Mode = mode

    def encode(self, batch: Sequence[Event]) -> bytes:
        """Return the bytes of server-sent events."""
        mode = self._mode
        return sse.join([sse.block(e.name, _data_of(e, mode)[0], e.id) for e in batch])

    def frames(self, batch: Sequence[Event]) -> list[str]:
        """Return the texts of WebSocket frames: JSON objects of the event's name and data."""
        return [_frame(event.name, *_data_of(event, self._mode)) for event in batch]


def frame(event: EncodedEvent) -> str:
    """Return the text of the frame for one event: a JSON object of its name and data."""
    return _frame(event.name, event.data, event.is_json)


def _frame(name: str, data: str, is_json: bool) -> str:  # noqa: FBT001  # of `_data_of`
    value = data if is_json else encode_basestring_ascii(data)
    return f'{{"event": {encode_basestring_ascii(name)}, "data": {value}}}'
