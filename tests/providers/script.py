"""What a provider says, in words that none of them owns; `wires/` has what it becomes on each wire.

A script has one item for each call of the model: a reply, or a failure before its first byte.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from tests.conformance.models import cut

__all__ = [
    "INPUT_TOKENS",
    "OUTPUT_TOKENS",
    "REASONING_TOKENS",
    "Call",
    "Cited",
    "Failure",
    "Image",
    "Refusal",
    "Reply",
    "Script",
    "Search",
    "Text",
    "Thinking",
    "cut",
    "of_type",
    "texts",
]

INPUT_TOKENS = 11
OUTPUT_TOKENS = 7
REASONING_TOKENS = 3
"""What each reply costs; the tokens of thinking are among those of the output."""


@dataclass(frozen=True)
class Text:
    """A part of the answer."""

    text: str


@dataclass(frozen=True)
class Thinking:
    """What the model thinks, and the signature that proves in later turns that it did."""

    text: str
    signature: str = "c2lnbmVk"


@dataclass(frozen=True)
class Call:
    """A tool that the model calls."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Search:
    """A search that the provider itself does while it answers."""

    query: str
    result: str


@dataclass(frozen=True)
class Cited(Text):
    """A part of the answer that a source says."""

    title: str
    url: str = "https://example.org/source"
    quote: str = "as the source has it"


@dataclass(frozen=True)
class Image:
    """A file that the model makes, as base64."""

    data: str


@dataclass(frozen=True)
class Refusal:
    """What the model says instead of an answer, where the wire tells that from an answer."""

    text: str


T = TypeVar("T")

Part = Text | Thinking | Call | Search | Refusal | Image

Why = Literal["rate limit", "overload", "too long", "our key", "broken"]


@dataclass(frozen=True)
class Failure:
    """An error of the provider: a status before the first byte, an event in mid-stream."""

    why: Why
    retry_after: int | None = None


Ending = Literal["finished", "blocked", "no finish reason", "cut", "hang", "endless"]


@dataclass(frozen=True)
class Reply:
    """One reply of a model.

    Args:
        parts: What it consists of, in this order.
        ending: How it ends: `blocked` by a filter, without a finish reason, with a connection that
            is cut, or not at all, in silence or with ever more text; or with the failure that the
            provider tells in mid-stream.
        other: The text of a second choice, which comes between the pieces of the first.
        number: Which reply of the conversation it is; all ids are made of it.
    """

    parts: tuple[Part, ...] = ()
    ending: Ending | Failure = "finished"
    other: str = ""
    number: int = 0

    @property
    def calls(self) -> list[Call]:
        """Return the tools that it calls."""
        return list(of_type(Call, self.parts))

    @property
    def thinks(self) -> bool:
        """Tell whether the model thought before it answered."""
        return any(isinstance(part, Thinking) for part in self.parts)


Script = tuple[Reply | Failure, ...]


def of_type(kind: type[T], parts: Iterable[Any]) -> Iterator[T]:
    """Yield the parts of a kind."""
    return (part for part in parts if isinstance(part, kind))


def texts(reply: Reply, kind: type[Text] | type[Thinking] | type[Refusal] = Text) -> str:
    """Return the text of all parts of a kind."""
    return "".join(part.text for part in of_type(kind, reply.parts))
