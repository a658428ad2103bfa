"""What the client accepts: a stream of events, or one JSON response.

Werkzeug reads `Accept` in a time that grows with the square of its length, and a client decides
about that: 60 KB take seconds, in which no other client is served. What is here is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["prefers_json"]

EVENT_STREAM: Final = "text/event-stream"
JSON: Final = "application/json"

_KNOWN: Final = ("*/*", "text/*", EVENT_STREAM, "application/*", JSON)
"""The media ranges that cover one of both."""

_QUALITY: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class _MediaRange:
    """One part of `Accept`.

    Attributes:
        name: The range, such as `text/*`.
        parameters: How many parameters it has, the quality aside.
        quality: The quality value, from 0 to 1.
    """

    name: str
    parameters: int
    quality: float

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """How specific it is: what is said of the more specific range counts."""
        kind, _, subtype = self.name.partition("/")
        return (kind != "*", subtype != "*", self.parameters)

    def covers(self, offer: str) -> bool:
        """Tell whether `offer`, a media type without parameters, is in the range."""
        if self.name == offer:
            return not self.parameters
        return self.name in ("*/*", f"{offer.partition('/')[0]}/*")


def prefers_json(accept: str) -> bool:
    """Tell whether a client prefers a JSON response to an event stream.

    It is what RFC 9110 says: of the ranges that cover a media type the most specific one tells
    how much the client likes it; quality 0 refuses it. What is liked as much and named as
    specifically is a tie, and that is the stream's; so is a header that covers neither. What is
    malformed does not count.

    Args:
        accept: The value of the header `Accept`; empty where there is none.
    """
    ranges = list(_media_ranges(accept))
    json, stream = _preference(ranges, JSON), _preference(ranges, EVENT_STREAM)
    return json[0] > 0 and json > stream


def _preference(ranges: Iterable[_MediaRange], offer: str) -> tuple[float, tuple[bool, bool, int]]:
    """Return the quality of `offer`, and how specifically it is named."""
    covering = [(found.rank, found.quality) for found in ranges if found.covers(offer)]
    rank, quality = max(covering, default=((False, False, 0), 0.0))
    return quality, rank


def _media_ranges(accept: str) -> Iterator[_MediaRange]:
    for part in _split(accept, ","):
        name, _, parameters = part.partition(";")
        name = name.strip(" \t").lower()
        if name in _KNOWN and (found := _read(name, parameters)) is not None:
            yield found


def _read(name: str, parameters: str) -> _MediaRange | None:
    """Return a range with its parameters; None if its quality is none."""
    pairs = (parameter.strip(" \t").partition("=") for parameter in _split(parameters, ";"))
    values = {key.lower(): value for key, is_given, value in pairs if is_given}
    quality = values.pop("q", "1").strip(' \t"')
    if not _QUALITY.fullmatch(quality) or float(quality) > 1:
        return None
    return _MediaRange(name, len(values), float(quality))


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield what is between separators; those in quotes are text."""
    start, is_quoted, is_escaped = 0, False, False
    for place, char in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif char == "\\":
            is_escaped = is_quoted
        elif char == '"':
            is_quoted = not is_quoted
        elif char == separator and not is_quoted:
            yield text[start:place]
            start = place + 1
    yield text[start:]
