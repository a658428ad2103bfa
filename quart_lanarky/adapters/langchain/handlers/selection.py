"""Who speaks: which of a chain's model runs say its answer, and what of their text it is.

`chains.py` works this out from the chain object; the token handlers go by it.
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
"""The tag that `chains.py` puts on the models that speak for their chain."""

GRAPH_TAG = "quart_lanarky:graph"
"""The tag that it puts on graphs, some of whose models speak; all of them inherit it."""

DEFAULT_HOLD_TOKENS = 32
"""How many tokens wait while a model that has tools may still turn to calling one."""

NOSTREAM = frozenset({"nostream", "langsmith:nostream"})
"""The tags by which LangChain's users keep a model's tokens to themselves."""


class ModelCall(NamedTuple):
    """What LangChain tells of a model's run when it starts.

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
"""Tells whether a model's run speaks for the answer."""

Nodes = Mapping[str, "Nodes | None"]
"""The nodes of a graph that speak; each with those of the graph inside it, None for any."""


def check_hold(tokens: int | None) -> None:
    """Raise ConfigurationError, a ValueError, if so many tokens cannot be held."""
    if tokens is not None and tokens < 0:
        raise ConfigurationError(f"hold_tokens is a number of tokens or None, not {tokens!r}")


def any_run(call: ModelCall) -> bool:
    """Let every model's run speak that its owner has not told to be quiet."""
    return NOSTREAM.isdisjoint(call.tags)


def no_run(call: ModelCall) -> bool:
    """Let no model's run speak: the chain itself does."""
    return False


@dataclass(frozen=True)
class Tagged:
    """Lets those runs speak that carry a tag.

    Attributes:
        tag: The tag, the run's own or inherited from what it is part of.
    """

    tag: str

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run speaks."""
        return self.tag in call.tags and any_run(call)


@dataclass(frozen=True)
class InNodes(Tagged):
    """Lets those runs of a tagged graph speak that are in certain nodes.

    A model that is asked for data of a certain structure decides something, and says nothing.

    Attributes:
        nodes: The nodes.
    """

    nodes: Nodes

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run speaks."""
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
    """Lets those runs speak that any of several rules does.

    Attributes:
        rules: The rules.
    """

    rules: tuple[RunFilter, ...]

    def __call__(self, call: ModelCall) -> bool:
        """Tell whether the run speaks."""
        return any(answer_runs(call) for answer_runs in self.rules)


@dataclass(frozen=True)
class StopPattern:
    """Where an answer ends that is followed by something else.

    Attributes:
        pattern: A regular expression for what follows, in any case.
        longest: How many characters it may take to see it.
    """

    pattern: str
    longest: int


@dataclass(frozen=True)
class AnswerSpec:
    """How the answer of a chain is told from all that is said while it runs.

    Attributes:
        answer_runs: Which model runs say it.
        output_path: Where in the chain's output it is: the keys that lead there, level by level,
            of each level the first that there is. Without any it is the whole output.
        prefix: What announces it in a model's text, if the model also thinks aloud.
        stop_pattern: What ends it, if the model's text goes on.
        strip: Whether the chain returns it without the white space around it.
        has_tools: Whether the models may call tools instead of answering.
        is_agent: Whether the models may think before they answer.
        returns_documents: Whether the output, and nothing else, says which documents count.
    """

    answer_runs: RunFilter = any_run
    output_path: tuple[tuple[str, ...], ...] = ()
    prefix: tuple[str, ...] | None = None
    stop_pattern: StopPattern | None = None
    strip: bool = False
    has_tools: bool = False
    is_agent: bool = False
    returns_documents: bool = False
