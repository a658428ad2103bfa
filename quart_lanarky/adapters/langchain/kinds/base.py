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

from ..handlers.extraction import OutputPath
from ..handlers.selection import ANSWER_TAG, AnswerSpec, AnyOf, RunFilter, Tagged, no_run

__all__ = [
    "TAGGED_MODELS",
    "TagModels",
    "TaggedChain",
    "Tagger",
    "Taggers",
    "agreed",
    "class_path",
    "is_a",
    "nearest",
    "with_step",
]

T = TypeVar("T")

TAGGED_MODELS = AnswerSpec(Tagged(ANSWER_TAG))
"""The speech of most chains: that of their marked models, as it is."""


@dataclass(frozen=True)
class TaggedChain:
    """A chain that is marked.

    Attributes:
        chain: The marked chain.
        spec: How its answer is told from the rest.
        has_own_chunks: Whether its answer is best taken from the chunks that it streams.
    """

    chain: Any
    spec: AnswerSpec = TAGGED_MODELS
    has_own_chunks: bool = False

    def within(self, container: Any, *keys: str) -> Self:
        """Return what marking `container` gives, whose answer is this chain's.

        Args:
            container: A copy of the container with the marked chain in it.
            keys: Where in the container's output the chain's is, if not all of it.
        """
        output_path = (*((key,) for key in keys), *self.spec.output_path)
        spec = replace(self.spec, output_path=output_path)
        return replace(self, chain=container, spec=spec, has_own_chunks=False)


TagModels = Callable[[Any, str | None], TaggedChain]
"""Marks a chain whose answer is under a key of its output, or is all of it."""

Tagger = Callable[[Any, str | None, TagModels], TaggedChain]
"""Marks chains of one kind; it gets `TagModels` for the chains inside."""

Taggers = Mapping[str, Tagger]
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


def agreed(chain: Any, update: dict[str, Any], options: Sequence[TaggedChain]) -> TaggedChain:
    """Mark a chain that has one of several speak, if what they say is read in one manner."""
    specs = [option.spec for option in options]
    rules: list[RunFilter] = []
    for spec in specs:
        rules += [] if spec.answer_runs in rules else [spec.answer_runs]
    common = replace(
        specs[0],
        answer_runs=rules[0] if len(rules) == 1 else AnyOf(tuple(rules)),
        output_path=_union([spec.output_path for spec in specs]),
        has_tools=any(spec.has_tools for spec in specs),
        is_agent=any(spec.is_agent for spec in specs),
        returns_documents=any(spec.returns_documents for spec in specs),
    )
    if len({(spec.prefix, spec.stop_pattern, spec.strip) for spec in specs}) > 1:
        return TaggedChain(
            chain, replace(common, answer_runs=no_run, prefix=None, stop_pattern=None, strip=False)
        )
    return TaggedChain(chain.model_copy(update=update), common)


def _union(output_path: Sequence[OutputPath]) -> tuple[tuple[str, ...], ...]:
    """Return where the answer of any of several chains is, level by level."""
    levels = zip_longest(*output_path, fillvalue=())
    return tuple(tuple(dict.fromkeys(chained.from_iterable(level))) for level in levels)
