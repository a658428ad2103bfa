"""Tagged chains: copies of chains whose models that produce the answer carry a tag.

A chain is tagged from the outside in, along the one path that its answer takes: the last step
of a sequence, the branch that runs, the chain inside a chain. What lies beside that path (a
condensed question, a retriever's queries, an agent's tools) is left as it is, and so is a chain
whose inside cannot be seen: its output is sent as a whole.

Containers on the path are copied and the user's objects never changed; models, memories and
tools are the same objects in the copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain as chained
from itertools import zip_longest
from typing import Any, Self

from ..handlers.extraction import OutputPath
from ..handlers.selection import ANSWER_TAG, AnswerSpec, AnyOf, RunFilter, Tagged, no_run

__all__ = ["TAGGED_MODELS", "TaggedChain", "tag_alternatives", "with_step"]

TAGGED_MODELS = AnswerSpec(Tagged(ANSWER_TAG))
"""The answer of most chains: the text of their tagged models, as it is."""


@dataclass(frozen=True)
class TaggedChain:
    """A chain whose models that produce its answer are tagged.

    Attributes:
        chain: The chain with the tagged models in it.
        spec: Which model runs produce its answer, and where its output has it.
        has_own_chunks: Whether its answer is best taken from the chunks that it streams.
    """

    chain: Any
    spec: AnswerSpec = TAGGED_MODELS
    has_own_chunks: bool = False

    def within(self, container: Any, *keys: str) -> Self:
        """Return the tagged chain of a container whose answer is this chain's.

        Args:
            container: A copy of the container with this chain in it.
            keys: Where the container's output has this chain's, if it is only a part of it.
        """
        output_path = (*((key,) for key in keys), *self.spec.output_path)
        spec = replace(self.spec, output_path=output_path)
        return replace(self, chain=container, spec=spec, has_own_chunks=False)


def with_step(sequence: Any, index: int, step: Any) -> Any:
    """Return a copy of a sequence that has `step` at an index."""
    steps = [*sequence.steps[:index], step, *sequence.steps[index + 1 :]]
    return sequence.model_copy(update={"first": steps[0], "middle": steps[1:-1], "last": steps[-1]})


def tag_alternatives(
    chain: Any, update: dict[str, Any], options: Sequence[TaggedChain]
) -> TaggedChain:
    """Tag a chain that runs one of several, if the texts of all their models are read alike.

    Args:
        chain: The chain.
        update: Its fields with the tagged chains in them.
        options: The tagged chains of which one runs.
    """
    common = _common_spec([option.spec for option in options])
    if len({(each.spec.prefix, each.spec.stop_pattern, each.spec.strip) for each in options}) > 1:
        spec = replace(common, answer_runs=no_run, prefix=None, stop_pattern=None, strip=False)
        return TaggedChain(chain, spec)
    return TaggedChain(chain.model_copy(update=update), common)


def _common_spec(specs: Sequence[AnswerSpec]) -> AnswerSpec:
    """Return a spec that holds whichever of several chains runs."""
    filters: list[RunFilter] = []
    for spec in specs:
        filters += [] if spec.answer_runs in filters else [spec.answer_runs]
    return replace(
        specs[0],
        answer_runs=filters[0] if len(filters) == 1 else AnyOf(tuple(filters)),
        output_path=_merge_paths([spec.output_path for spec in specs]),
        has_tools=any(spec.has_tools for spec in specs),
        is_agent=any(spec.is_agent for spec in specs),
        returns_documents=any(spec.returns_documents for spec in specs),
    )


def _merge_paths(paths: Sequence[OutputPath]) -> tuple[tuple[str, ...], ...]:
    """Return where the answer of any of several chains is, level by level."""
    levels = zip_longest(*paths, fillvalue=())
    return tuple(tuple(dict.fromkeys(chained.from_iterable(level))) for level in levels)
