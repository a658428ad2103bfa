"""What leaves the server besides the answer: the events that `show=` of a route names.

Nothing is filtered: what is not shown has no handler.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, get_args

from ....errors import ConfigurationError
from ....protocols.base import RequestOption
from ..handlers.citations import CitationHandler
from ..handlers.custom_events import CustomEventHandler
from ..handlers.media import MediaHandler
from ..handlers.reasoning import ReasoningHandler
from ..handlers.steps import StepHandler
from ..handlers.tools import ToolHandler
from .plan import HandlerFactory

__all__ = ["SHOW_HEADER", "Showable", "check_show", "show_option", "showing_handlers", "with_shown"]

Showable = Literal["tools", "reasoning", "steps", "custom", "citations", "media"]
"""What a route may show besides the answer."""

SHOW_HEADER: Final = "Lanarky-Show"
"""The header by which a request asks for less than its route shows."""

_HANDLERS: Final[Mapping[Showable, HandlerFactory]] = {
    "reasoning": ReasoningHandler,
    "citations": CitationHandler,
    "media": MediaHandler,
    "tools": ToolHandler,
    "steps": StepHandler,
    "custom": CustomEventHandler,
}
"""What sends each of them."""

_BEFORE_ANSWER: Final = ("reasoning",)
"""What comes before the answer, where one token has both."""


def check_show(show: Collection[str]) -> None:
    """Raise ConfigurationError, a ValueError, if a route cannot show one of them."""
    known = get_args(Showable)
    wrong = [show] if isinstance(show, str) else [name for name in show if name not in known]
    if wrong:
        names = ", ".join(map(repr, known))
        raise ConfigurationError(f"show= takes a tuple of {names}, not {wrong[0]!r}")


def showing_handlers(show: Collection[str]) -> list[HandlerFactory]:
    """Return what makes the handlers of what is shown."""
    return [handler for name, handler in _HANDLERS.items() if name in show]


def with_shown(handlers: Sequence[HandlerFactory], show: Collection[str]) -> list[HandlerFactory]:
    """Return the handlers of a route and those of what it shows, in the order of their events."""
    first = showing_handlers([name for name in show if name in _BEFORE_ANSWER])
    last = showing_handlers([name for name in show if name not in _BEFORE_ANSWER])
    return [*first, *handlers, *last]


def show_option(show: Collection[str]) -> RequestOption:
    """Describe how a request asks for less than its route shows."""
    names = ", ".join(f"`{name}`" for name in get_args(Showable) if name in show)
    return RequestOption(
        name="show",
        description="What is sent besides the answer: some of "
        f"{names}, with commas between them; empty for nothing. Without it, all of them.",
        schema={"type": "string"},
        header=SHOW_HEADER,
    )
