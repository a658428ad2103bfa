"""Select the model runs that produce the answer, and the part of their text that is it.

The kinds of chains (`kinds/`) work an `AnswerSpec` out from the chain object; the handlers of
tokens follow it.
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
"""The tag of the models whose text is the answer; the kinds of chains put it on them."""

GRAPH_TAG = "quart_lanarky:graph"
"""The tag of graphs that have answer runs inside; all runs of the graph inherit it."""

DEFAULT_HOLD_TOKENS = 32
"""How many tokens are buffered while a model that has tools may still call one."""

NOSTREAM = frozenset({"nostream", "langsmith:nostream"})
"""The tags by which LangChain's users say that a model's tokens are not to be streamed."""


class ModelCall(NamedTuple):
    """What LangChain reports of a model's run when it starts.

    Attributes:
        tags: Its tags, its own and those of what it is part of.
        metadata: Its metadata, with its place in a graph.
        parameters: What the model is called with, tools among it.
        options: What else it was asked for, such as an answer of a certain structure.
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
"""Tells whether a model's run is an answer run: its text is the answer, or part of it."""

Nodes = Mapping[str, "Nodes | None"]
"""The nodes of a graph that have answer runs; each with those of the graph inside it, or None."""


def check_hold(tokens: int | None) -> None:
    """Raise ConfigurationError, a ValueError, if so many tokens cannot be buffered."""
    if tokens is not None and tokens < 0:
        raise ConfigurationError(f"hold_tokens is a number of tokens or None, not {tokens!r}")


def any_run(call: ModelCall) -> bool:
    """Take every model's run but those with a `nostream` tag."""
    return NOSTREAM.isdisjoint(call.tags)


def no_run(call: ModelCall) -> bool:
    """Take no model's run: the chunks of the chain itself are the answer."""
    return False


@dataclass(frozen=True)
class Tagged:
    """Takes the runs that carry a tag.

    Attributes:
        tag: The tag, the run's own or inherited from what it is part of.
    """

    tag: str

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run is taken."""
        return self.tag in call.tags and any_run(call)


@dataclass(frozen=True)
class InNodes(Tagged):
    """Takes the runs of a tagged graph that are in certain nodes.

    A model that is asked for structured output decides something: its text is not the answer.

    Attributes:
        nodes: The nodes.
    """

    nodes: Nodes

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run is taken."""
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
    """Takes the runs that any of several filters takes.

    Attributes:
        filters: The filters.
    """

    filters: tuple[RunFilter, ...]

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run is taken."""
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
    """Which of the model runs of a chain produce its answer, and where the answer is.

    Attributes:
        answer_runs: Which model runs are answer runs.
        output_path: Where in the chain's output the answer is: the keys that lead there, level by
            level, of each level the first that there is. Without any it is the whole output.
        prefix: The text before the answer, if the model also writes its thoughts.
        stop_pattern: The text after the answer, if the model writes on.
        strip: Whether the chain returns the answer without the white space around it.
        has_tools: Whether the models may call tools instead of answering.
        is_agent: Whether the models may think before they answer.
        returns_documents: Whether only the output says which source documents there are.
    """

    answer_runs: RunFilter = any_run
    output_path: tuple[tuple[str, ...], ...] = ()
    prefix: tuple[str, ...] | None = None
    stop_pattern: StopPattern | None = None
    strip: bool = False
    has_tools: bool = False
    is_agent: bool = False
    returns_documents: bool = False
