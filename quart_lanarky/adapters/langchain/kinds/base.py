"""What marking a chain gives: the same chain, in which the models that speak carry a tag.

A chain is marked from the outside in, along the one path that its answer takes: the last step
of a sequence, the branch that runs, the chain inside a chain. What lies beside that path (a
condensed question, a retriever's queries, an agent's tools) is left as it is, and so is what
cannot be seen into: its output is sent whole.

Containers on the path are copied and the user's objects never changed; models, memories and
tools are the same objects in the copy. Kinds are told by the classes that a chain derives
from. Their paths are compared and not the classes, so that nothing has to be imported: if
nobody imported `langchain-classic` or `langgraph`, no chain is of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain as chained
from itertools import zip_longest
from typing import Any, Self, TypeVar

from ..handlers.extraction import Places
from ..handlers.selection import MARK, AnyOf, Speaks, Speech, Tagged, nobody

__all__ = [
    "MARKED_MODELS",
    "Mark",
    "Marked",
    "Marker",
    "Markers",
    "agreed",
    "class_path",
    "is_a",
    "nearest",
    "with_step",
]

T = TypeVar("T")

MARKED_MODELS = Speech(Tagged(MARK))
"""The speech of most chains: that of their marked models, as it is."""


@dataclass(frozen=True)
class Marked:
    """A chain that is marked.

    Attributes:
        chain: The marked chain.
        speech: How its answer is told from the rest.
        has_own_chunks: Whether its answer is best taken from the chunks that it streams.
    """

    chain: Any
    speech: Speech = MARKED_MODELS
    has_own_chunks: bool = False

    def within(self, container: Any, *keys: str) -> Self:
        """Return what marking `container` gives, whose answer is this chain's.

        Args:
            container: A copy of the container with the marked chain in it.
            keys: Where in the container's output the chain's is, if not all of it.
        """
        places = (*((key,) for key in keys), *self.speech.places)
        speech = replace(self.speech, places=places)
        return replace(self, chain=container, speech=speech, has_own_chunks=False)


Mark = Callable[[Any, str | None], Marked]
"""Marks a chain whose answer is under a key of its output, or is all of it."""

Marker = Callable[[Any, str | None, Mark], Marked]
"""Marks chains of one kind; it gets `Mark` for the chains inside."""

Markers = Mapping[str, Marker]
"""The markers by the paths of the classes that they are for."""


def class_path(kind: type) -> str:
    """Return the full name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def nearest(thing: Any, table: Mapping[str, T]) -> T | None:
    """Return what the table has for the nearest class that `thing` derives from."""
    paths = map(class_path, type(thing).__mro__)
    return next((table[path] for path in paths if path in table), None)


def is_a(thing: Any, *paths: str) -> bool:
    """Tell whether `thing` derives from one of the classes of these paths."""
    return nearest(thing, dict.fromkeys(paths, True)) is not None


def with_step(sequence: Any, place: int, step: Any) -> Any:
    """Return a copy of a sequence that has `step` at a place."""
    steps = [*sequence.steps[:place], step, *sequence.steps[place + 1 :]]
    return sequence.model_copy(update={"first": steps[0], "middle": steps[1:-1], "last": steps[-1]})


def agreed(chain: Any, update: dict[str, Any], options: Sequence[Marked]) -> Marked:
    """Mark a chain that has one of several speak, if what they say is read in one manner."""
    speeches = [option.speech for option in options]
    rules: list[Speaks] = []
    for speech in speeches:
        rules += [] if speech.speaks in rules else [speech.speaks]
    common = replace(
        speeches[0],
        speaks=rules[0] if len(rules) == 1 else AnyOf(tuple(rules)),
        places=_union([speech.places for speech in speeches]),
        has_tools=any(speech.has_tools for speech in speeches),
        is_agent=any(speech.is_agent for speech in speeches),
        returns_documents=any(speech.returns_documents for speech in speeches),
    )
    if len({(speech.prefix, speech.cut, speech.strip) for speech in speeches}) > 1:
        return Marked(chain, replace(common, speaks=nobody, prefix=None, cut=None, strip=False))
    return Marked(chain.model_copy(update=update), common)


def _union(places: Sequence[Places]) -> tuple[tuple[str, ...], ...]:
    """Return where the answer of any of several chains is, level by level."""
    levels = zip_longest(*places, fillvalue=())
    return tuple(tuple(dict.fromkeys(chained.from_iterable(level))) for level in levels)
