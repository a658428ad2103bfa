"""Select the model runs that produce the answer, and the part of their text that is it.

The records in `kinds/` derive the selection from the chain object; the token handlers apply it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ....errors import ConfigurationError

__all__ = [
    "ANSWER_TAG",
    "DEFAULT_HOLD_TOKENS",
    "GRAPH_TAG",
    "INTERNAL_CALL",
    "AnswerSpec",
    "AnyOf",
    "InNodes",
    "ModelCall",
    "Nodes",
    "RunFilter",
    "StopPattern",
    "Tagged",
    "any_run",
    "check_hold",
    "no_run",
]

ANSWER_TAG = "quart_lanarky:answer"
"""The tag on models that produce the answer of their chain."""

GRAPH_TAG = "quart_lanarky:graph"
"""The tag on graphs, in some of whose nodes models produce the answer; all models inherit it."""

DEFAULT_HOLD_TOKENS = 32
"""How many tokens are buffered while a model that has tools may still call one."""

NOSTREAM = frozenset({"nostream", "langsmith:nostream"})
"""The tags by which LangChain's users exclude a model from streaming."""

INTERNAL_CALL = "lc_internal_call"
"""The key in the metadata of a model run by which middleware marks it as its own."""


class ModelCall(NamedTuple):
    """What is known of a model run when it starts.

    Attributes:
        tags: Its tags, its own and those of what it is part of.
        metadata: Its metadata, with its place in a graph.
        parameters: What the model is called with, tools among it.
        options: What else is known of the call, such as the format of a structured output.
    """

    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] = {}
    parameters: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}

    @property
    def has_tools(self) -> bool:
        """Whether the model may call tools."""
        return bool(self.parameters.get("tools") or self.parameters.get("functions"))


RunFilter = Callable[[ModelCall], bool]
"""Tells whether a model run produces the answer."""

Nodes = Mapping[str, "Nodes | None"]
"""The nodes of a graph that its answer comes from.

Each with such nodes of the graph inside it; None for all that runs in the node.
"""


def check_hold(tokens: int | None) -> None:
    """Raise ConfigurationError, a ValueError, if so many tokens cannot be buffered."""
    if tokens is not None and tokens < 0:
        raise ConfigurationError(f"hold_tokens is a number of tokens or None, not {tokens!r}")


def any_run(call: ModelCall) -> bool:
    """Select every model run but those that are excluded from streaming."""
    return NOSTREAM.isdisjoint(call.tags) and INTERNAL_CALL not in call.metadata


def no_run(call: ModelCall) -> bool:
    """Select no model run: the answer is the output or the chunks of the chain itself."""
    return False


@dataclass(frozen=True)
class Tagged:
    """Selects the runs that carry a tag.

    Attributes:
        tag: The tag, the run's own or inherited from what it is part of.
    """

    tag: str

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run is selected."""
        return self.tag in call.tags and any_run(call)


@dataclass(frozen=True)
class InNodes(Tagged):
    """Selects the runs of a tagged graph that are in certain nodes.

    A model with a structured output makes a decision, and its text is not the answer.

    Attributes:
        nodes: The nodes.
    """

    nodes: Nodes

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run is selected."""
        decides = "ls_structured_output_format" in call.options
        return super().__call__(call) and not decides and self._is_inside(call.metadata)

    def _is_inside(self, metadata: Mapping[str, Any]) -> bool:
        """Follow the run's path, such as ``writer:…|model:…``, through the graph."""
        nodes: Nodes | None = self.nodes
        for step in str(metadata.get("langgraph_checkpoint_ns", "")).split("|"):
            if nodes is None:
                return True
            name = step.partition(":")[0]
            if name not in nodes:
                return False
            nodes = nodes[name]
        return nodes is None


@dataclass(frozen=True)
class AnyOf:
    """Selects the runs that any of several filters selects.

    Attributes:
        filters: The filters.
    """

    filters: tuple[RunFilter, ...]

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run is selected."""
        return any(takes(call) for takes in self.filters)


@dataclass(frozen=True)
class StopPattern:
    """What follows the answer in a model's text.

    Attributes:
        pattern: A regular expression for what follows, in any case.
        longest: How many characters a match may have.
    """

    pattern: str
    longest: int


@dataclass(frozen=True)
class AnswerSpec:
    """Which text of a chain's model runs is its answer, and where its output has it.

    Attributes:
        answer_runs: Selects the model runs whose text is the answer.
        output_path: The keys that lead to the answer in the chain's output, level by level, of
            each level the first that there is. Without any it is the whole output.
        prefix: The tokens in a model's text after which the answer begins; None if it is all.
        stop_pattern: Where the answer ends, if the model's text goes on.
        strip: Whether the chain strips white space around the answer.
        has_tools: Whether the models may call tools instead of answering.
        is_agent: Whether the models may produce other text before the answer.
        returns_documents: Whether the source documents are those in the output, and no others
            that were retrieved.
    """

    answer_runs: RunFilter = any_run
    output_path: tuple[tuple[str, ...], ...] = ()
    prefix: tuple[str, ...] | None = None
    stop_pattern: StopPattern | None = None
    strip: bool = False
    has_tools: bool = False
    is_agent: bool = False
    returns_documents: bool = False
