"""From events to the answer so far."""

from __future__ import annotations

from typing import Any, Final

from . import types
from .types import EVENT_KINDS, Event

__all__ = ["Answer"]

_JSON_RESPONSE_FIELDS: Final = {
    kind.name: tuple(kind.payload.model_fields)
    for kind in EVENT_KINDS.values()
    if kind.in_json_response
}


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
        """Take the next event.

        What is not about the answer does not matter, nor does what an app's own handler sends under
        a name of ours and with other data.
        """
        match event.name, event.data:
            case types.COMPLETION, str(token):
                self.tokens.append(token)
            case types.RETRACT, {"tokens": int(count)} if count > 0:
                del self.tokens[-count:]
            case name, dict(fields) if name in _JSON_RESPONSE_FIELDS:
                known = _JSON_RESPONSE_FIELDS[name]
                self.fields |= {key: fields[key] for key in known if key in fields}
