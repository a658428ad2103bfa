"""Parse what clients send: a JSON object, a bare text, or a control message."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from ...errors import InputError

__all__ = ["PONG", "STOP", "WHITE_SPACE", "parse_message", "parse_object"]

STOP: Final = {"event": "stop"}
"""The message by which a WebSocket client ends the turn in progress."""

PONG: Final = {"event": "pong"}
"""The message by which a WebSocket client answers a `ping`, so as not to be idle."""

WHITE_SPACE: Final = " \t\n\r"
"""The characters that JSON allows around a value."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        InputError: The text is not valid JSON, or not an object.
    """
    wrong = None
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong is not None:  # not inside `except`: Python's error references the whole text
        raise InputError(f"this is not valid JSON ({wrong})")
    if not isinstance(content, dict):
        raise InputError("the inputs must be a JSON object")
    return content


def parse_message(frame: str | bytes | None) -> dict[str, Any] | str:
    """Return the JSON object in a WebSocket frame, or its text if it is not one.

    A text that starts with a brace is parsed as JSON, so that a malformed object is refused and
    not taken for a bare text.

    Raises:
        InputError: The frame is binary, or a malformed object.
    """
    if not isinstance(frame, str):  # Quart passes an empty binary frame as None
        raise InputError("send text frames, not binary ones")
    return parse_object(frame) if frame.lstrip(WHITE_SPACE).startswith("{") else frame


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")  # Python's parser would accept NaN and Infinity
