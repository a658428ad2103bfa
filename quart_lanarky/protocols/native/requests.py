"""What comes from the client: a JSON object, a bare text, or the wish to stop."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from ...errors import InputError

__all__ = ["PONG", "STOP", "WHITE_SPACE", "parse_message", "parse_object"]

STOP: Final = {"event": "stop"}
"""The message by which a WebSocket client ends the turn in progress."""

PONG: Final = {"event": "pong"}
"""The message by which it answers a `ping`, so as not to be taken for gone."""

WHITE_SPACE: Final = " \t\n\r"
"""What JSON may have around a value."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object that `text` is, or raise InputError."""
    wrong = None
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        wrong = str(error)
    if wrong is not None:  # not inside of `except`: Python's error keeps the whole text
        raise InputError(f"this is not valid JSON ({wrong})")
    if not isinstance(content, dict):
        raise InputError("the inputs must be a JSON object")
    return content


def parse_message(frame: str | bytes | None) -> dict[str, Any] | str:
    """Return the JSON object that a WebSocket frame holds, or its bare text when it is none.

    A text that starts with a brace is meant as JSON, so that a broken object is refused and
    not taken for the answer to a chain's only question.
    """
    if not isinstance(frame, str):  # Quart passes an empty binary frame as None
        raise InputError("send text frames, not binary ones")
    return parse_object(frame) if frame.lstrip(WHITE_SPACE).startswith("{") else frame


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")  # Python's parser would take NaN and Infinity
