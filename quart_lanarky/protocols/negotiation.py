"""Content negotiation: whether a client prefers an event stream or a JSON response.

Werkzeug parses `Accept` in quadratic time, and the client chooses its length: 60 KB take seconds,
in which no other client is served. The parser of this module is linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["EVENT_STREAM", "JSON", "prefers_json"]

EVENT_STREAM: Final = "text/event-stream"
JSON: Final = "application/json"

_RELEVANT_RANGES: Final = ("*/*", "text/*", EVENT_STREAM, "application/*", JSON)
"""The media ranges that cover at least one of the two media types."""

_QUALITY: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class _MediaRange:
    """One media range of `Accept`.

    Attributes:
        name: The range, such as `text/*`.
        parameters: How many parameters it has, without the quality.
        quality: The quality value, from 0 to 1.
    """

    name: str
    parameters: int
    quality: float

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """How specific the range is; the most specific one that covers a media type applies."""
        kind, _, subtype = self.name.partition("/")
        return (kind != "*", subtype != "*", self.parameters)

    def covers(self, offer: str) -> bool:
        """Return whether the range covers `offer`, a media type without parameters."""
        if self.name == offer:
            return not self.parameters
        return self.name in ("*/*", f"{offer.partition('/')[0]}/*")


def prefers_json(accept: str) -> bool:
    """Return whether a client prefers a JSON response to an event stream.

    As in RFC 9110, the most specific range that covers a media type sets its quality; quality 0
    refuses it. In a tie of quality and specificity, and if the header covers neither, the client
    gets a stream. Malformed ranges are ignored.

    Args:
        accept: The value of the header `Accept`; empty if there is none.
    """
    ranges = list(_media_ranges(accept))
    json, stream = _preference(ranges, JSON), _preference(ranges, EVENT_STREAM)
    return json[0] > 0 and json > stream


def _preference(ranges: Iterable[_MediaRange], offer: str) -> tuple[float, tuple[bool, bool, int]]:
    """Return the quality of `offer`, and the rank of the range that sets it."""
    covering = [(found.rank, found.quality) for found in ranges if found.covers(offer)]
    rank, quality = max(covering, default=((False, False, 0), 0.0))
    return quality, rank


def _media_ranges(accept: str) -> Iterator[_MediaRange]:
    for part in _split_unquoted(accept, ","):
        name, _, parameters = part.partition(";")
        name = name.strip(" \t").lower()
        if name in _RELEVANT_RANGES and (found := _parse_range(name, parameters)) is not None:
            yield found


def _parse_range(name: str, parameters: str) -> _MediaRange | None:
    """Parse the parameters of a range; return None if its quality is malformed."""
    pairs = (
        parameter.strip(" \t").partition("=") for parameter in _split_unquoted(parameters, ";")
    )
    values = {key.lower(): value for key, is_given, value in pairs if is_given}
    quality = values.pop("q", "1").strip(' \t"')
    if not _QUALITY.fullmatch(quality) or float(quality) > 1:
        return None
    return _MediaRange(name, len(values), float(quality))


def _split_unquoted(text: str, separator: str) -> Iterator[str]:
    """Yield the parts between separators; separators in quotes are text."""
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
