"""Server-sent events: bytes from events and events from bytes. No I/O, no framework.

The rules are those of the section "Server-sent events" of the HTML standard; comments name
them where they are not obvious. One codec serves the server, its tests and its clients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .base import EncodedEvent

__all__ = ["CONTENT_TYPE", "HEARTBEAT", "Decoder", "block", "encode", "join"]

CONTENT_TYPE = "text/event-stream; charset=utf-8"

HEARTBEAT = b":\n"
"""A comment, between two events. No blank line follows: some clients make an event of one."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_END_BYTES = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


def encode(*batch: EncodedEvent) -> bytes:
    r"""Return the events of `batch` as the bytes of one event block each.

    Line ends are LF, because some clients do not take CRLF. Line breaks inside the data become
    further `data:` lines; the format cannot tell CR, LF and CRLF apart, so in a bare text all
    three arrive as LF. There is always a `data:` line, since a browser drops an event without.
    """
    return join(block(event.name, event.data, event.id) for event in batch)


def block(name: str, data: str, id_: str | None = None) -> str:
    """Return the block of one event, as text."""
    id_line = "" if id_ is None else f"id: {id_}\n"
    if "\n" in data or "\r" in data:  # which JSON of ours never has
        data = "\ndata: ".join(_LINE_END.split(data))
    return f"event: {name}\n{id_line}data: {data}\n\n"


def join(blocks: Iterable[str]) -> bytes:
    """Return the bytes of several blocks."""
    # Half a surrogate pair has no UTF-8 form; '?' in its place keeps the stream valid.
    return "".join(blocks).encode("utf-8", "replace")


class Decoder:
    """Turns bytes into events as they arrive, however they were split on the way.

    Attributes:
        last_event_id: What a browser would send as `Last-Event-ID` when it reconnects.
        retry: The reconnection time in milliseconds that the server asked for, if any.
        comments: How many comment lines (heartbeats) were seen.
    """

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self.comments = 0
        self._tail: list[bytes] = []
        self._after_cr = False
        self._at_start = True
        self._clear()

    def feed(self, data: bytes) -> list[EncodedEvent]:
        """Take the next bytes and return the events that they complete, often none."""
        if not data:
            return []
        return [event for line in self._lines(data) if (event := self._line(line)) is not None]

    def _clear(self) -> None:
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def _lines(self, data: bytes) -> list[str]:
        """Cut off the complete lines.

        A CR ends its line at once, for the next byte may be long in coming: so an LF that
        starts the following bytes belongs to that same line end.
        """
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        *lines, rest = _LINE_END_BYTES.split(data)
        if lines:
            lines[0] = b"".join([*self._tail, lines[0]])
            self._tail = []
        self._tail.append(rest)
        if lines and self._at_start:  # "one leading U+FEFF character must be ignored"
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        return [line.decode("utf-8", "replace") for line in lines]

    def _line(self, line: str) -> EncodedEvent | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments += 1
            return None
        name, _, value = line.partition(":")
        self._field(name, value.removeprefix(" "))  # one leading space belongs to the format
        return None

    def _field(self, name: str, value: str) -> None:
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = self.last_event_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def _dispatch(self) -> EncodedEvent | None:
        """End the block: "if the data buffer is an empty string", there is no event."""
        name, data, id_ = self._name, self._data, self._id
        self._clear()
        return EncodedEvent(name or "message", "\n".join(data), id_) if data else None
