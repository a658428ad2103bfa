"""What the callbacks of a graph's runs say: which are its steps, where they are, how they ended.

Errors are known by the names of their classes, so that nothing of LangGraph has to be imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["is_hidden", "is_interrupt", "is_pause", "is_step", "namespace_of", "parent_command"]

_STEP = "graph:step:"
_HIDDEN = "langsmith:hidden"
_NAMESPACE = "langgraph_checkpoint_ns"
_PUSH = "__pregel_push"
_PATH_OF_A_CALL = 4
"""How long the path of a task is that another task has called: (PUSH, its caller's, index, True)"""


def is_step(tags: Sequence[str] | None) -> bool:
    """Tell whether a run with these tags is a step of a graph: one of its nodes, or a task."""
    return any(tag.startswith(_STEP) for tag in tags or ())


def is_hidden(tags: Sequence[str] | None) -> bool:
    """Tell whether LangChain hides a run with these tags: it is of the graph's inside."""
    return _HIDDEN in (tags or ())


def namespace_of(metadata: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return where the graph is whose step has this metadata: the steps that lead to it.

    Each is the name of a node and the id of its task, as LangGraph has it; it is empty for the
    graph itself.
    """
    known = metadata or {}
    steps = str(known.get(_NAMESPACE) or "").split("|")
    path = known.get("langgraph_path", ())
    inner = 1  # the step itself, and those that called it as a task
    while len(path) == _PATH_OF_A_CALL and path[0] == _PUSH and path[-1] is True:
        inner, path = inner + 1, path[1]
    return tuple(steps[:-inner])


def is_pause(error: BaseException) -> bool:
    """Tell whether a run ended in no error: an interrupt, a drain, a command to a graph outside."""
    return _is_a(error, "GraphBubbleUp")


def is_interrupt(error: BaseException) -> bool:
    """Tell whether a run ended in an interrupt, which somebody has to answer."""
    return _is_a(error, "GraphInterrupt")


def parent_command(error: BaseException) -> Any:
    """Return the command that a step gave to the graph outside of its own; None if it is none."""
    return error.args[0] if _is_a(error, "ParentCommand") and error.args else None


def _is_a(error: BaseException, name: str) -> bool:
    return any(
        kind.__name__ == name and kind.__module__ == "langgraph.errors"
        for kind in type(error).__mro__
    )
