"""What protocols have in common: how a route is described to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from ..events import Mode

__all__ = ["RouteDescription"]


@dataclass(frozen=True)
class RouteDescription:
    """What there is to say of a route on one transport.

    Attributes:
        mode: How its tokens travel.
        parameters: The parameters of its path and query string, as the fields of an object.
        body: The inputs, as a JSON object.
        output: The type of the answer in a JSON document.
        events: The events that its handlers send, by their names, each with the type of its
            payload; `str` is bare text.
        defaults: The defaults of the parameters that have one.
        text_input: The input that a bare text stands for, if there is one.
        takes_other_inputs: Whether inputs may be sent that are not among those of `body`.
        sends_other_events: Whether it has handlers that do not say what they send.
        handlers: The names of its handlers' classes.
        notes: What else a reader has to know, each a sentence.
    """

    mode: Mode
    parameters: TypeAdapter[Any]
    body: TypeAdapter[Any]
    output: Any
    events: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    text_input: str | None = None
    takes_other_inputs: bool = False
    sends_other_events: bool = False
    handlers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
