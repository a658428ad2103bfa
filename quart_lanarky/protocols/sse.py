"""Encode and decode server-sent events. No I/O, no framework.

The rules are those of the section "Server-sent events" of the HTML standard; comments quote
them where they are not obvious. The server, its tests and its clients share this codec.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .base import EncodedEvent

__all__ = ["CONTENT_TYPE", "HEARTBEAT", "Decoder", "block", "encode", "join"]

CONTENT_TYPE = "text/event-stream; charset=utf-8"

HEARTBEAT = b":\n"
"""A comment between two events, without a blank line: some clients make an event of one."""

_LINE_END = re.compile(r"\r\n|\n|\r")
_LINE_END_BYTES = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


def encode(*batch: EncodedEvent) -> bytes:
    r"""Encode the events of `batch`, one block each.

    Lines end with LF, because some clients do not accept CRLF. Line breaks inside the data become
    further `data:` lines; the format does not distinguish CR, LF and CRLF, so in a bare text all
    three arrive as LF. There is always a `data:` line, since a browser ignores an event without.
    """
    return join(block(event.name, event.data, event.id) for event in batch)


def block(name: str, data: str, id_: str | None = None) -> str:
    """Return the block of one event, as text."""
    id_line = "" if id_ is None else f"id: {id_}\n"
    if "\n" in data or "\r" in data:  # never in our own JSON
        data = "\ndata: ".join(_LINE_END.split(data))
    return f"event: {name}\n{id_line}data: {data}\n\n"


def join(blocks: Iterable[str]) -> bytes:
    """Return the bytes of several blocks."""
    # A lone surrogate cannot be encoded as UTF-8; '?' in its place keeps the stream valid.
    return "".join(blocks).encode("utf-8", "replace")


class Decoder:
    """Decodes bytes into events as they arrive, in chunks of any size.

    Attributes:
        last_event_id: The `Last-Event-ID` that a browser would send when it reconnects.
        retry: The reconnection time in milliseconds that the server asked for, if any.
        comments: How many comment lines (heartbeats) were received.
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
        """Decode the next bytes and return the events that they complete, often none."""
        if not data:
            return []
        return [event for line in self._lines(data) if (event := self._line(line)) is not None]

    def _clear(self) -> None:
        self._name = ""
        self._data: list[str] = []
        self._id: str | None = None

    def _lines(self, data: bytes) -> list[str]:
        """Return the complete lines.

        A CR ends its line at once, since the next byte may arrive much later; an LF at the start
        of the next bytes then belongs to the same line ending.
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
        """End the block; "if the data buffer is an empty string", there is no event."""
        name, data, id_ = self._name, self._data, self._id
        self._clear()
        return EncodedEvent(name or "message", "\n".join(data), id_) if data else None
