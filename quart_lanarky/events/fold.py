"""From events to the answer so far."""

from __future__ import annotations

from typing import Any

from .types import COMPLETION, EVENT_KINDS, RETRACT, Event

__all__ = ["Answer"]


class Answer:
    """The answer of a run, as far as its events say it.

    Attributes:
        tokens: The tokens that stand, those that were taken back left out.
        fields: What the JSON response has besides the output, such as `source_documents`.
    """

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.fields: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The text that a client shows."""
        return "".join(self.tokens)

    def add(self, event: Event) -> None:
        """Take the next event; what is not about the answer does not matter."""
        if event.name == COMPLETION:
            self.tokens.append(event.data)
        elif event.name == RETRACT:
            del self.tokens[-event.data["tokens"] :]
        elif (kind := EVENT_KINDS.get(event.name)) is not None and kind.in_json_response:
            self.fields |= event.data
