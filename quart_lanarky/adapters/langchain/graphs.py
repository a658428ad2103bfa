"""How the graphs of LangGraph say their answers, `create_agent` among them.

A graph's nodes are functions, and nobody can see from outside which of them call a model. But
the order of the nodes can be seen: those speak after which the graph can end, with nothing
after them but tools and middleware. What a model says in them is the answer, unless it calls
a tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .answers import INTERRUPT
from .marks import Mark, Marked, Markers, nearest
from .speakers import MARK, InNodes, Nodes, Speech

__all__ = ["GRAPHS"]

_START, _END = "__start__", "__end__"
_QUIET = {
    "langgraph.prebuilt.tool_node.ToolNode": True,
    "langchain.agents.middleware.types.AgentMiddleware": True,
}


def _opaque(graph: Any, key: str | None, mark: Mark) -> Marked:
    """Leave a graph as it is whose nodes cannot be seen, such as a function's."""
    keys = (INTERRUPT,) if key is None else (INTERRUPT, key)
    return Marked(graph, Speech(InNodes(MARK, {}), keys), is_agent=True, returns_documents=True)


def _graph(graph: Any, key: str | None, mark: Mark) -> Marked:
    keys = _answer_keys(graph) if key is None else (key,)
    nodes = _speaking(graph) if keys else {}
    speech = Speech(InNodes(MARK, nodes), (INTERRUPT, *keys), has_tools=True)
    return replace(_opaque(graph.with_config(tags=[MARK]), key, mark), speech=speech)


def _answer_keys(graph: Any) -> tuple[str, ...]:
    """Return where the graph's output has the answer; nowhere in particular if it is empty."""
    channels = graph.output_channels
    names = [channels] if isinstance(channels, str) else list(channels)
    if "messages" in names:
        return ("structured_response", "messages")
    return tuple(names) if len(names) == 1 else ()


def _speaking(graph: Any) -> Nodes:
    """Return the nodes after which the graph can end; of graphs inside it, theirs."""
    return {
        name: _speaking(node.bound) if _is_graph(node.bound) else None
        for name, node in graph.nodes.items()
        if name != _START and not _is_quiet(graph, name) and _can_end(graph, name)
    }


def _can_end(graph: Any, name: str) -> bool:
    """Tell whether the graph can go from a node to its end past nothing but quiet nodes."""
    seen, ahead = {name}, [name]
    while ahead:
        for after in _after(graph.builder, ahead.pop()):
            if after == _END:
                return True
            if after not in seen and _is_quiet(graph, after):
                seen.add(after)
                ahead.append(after)
    return False


def _after(builder: Any, name: str) -> Iterator[str]:
    """Yield where a node leads: by edges, by conditions, by its own command."""
    edges = [end for start, end in builder.edges if start == name]
    edges += [end for starts, end in builder.waiting_edges if name in starts]
    branches = builder.branches.get(name, {}).values()
    for branch in branches:
        edges += [_END] if branch.ends is None else branch.ends.values()  # anywhere, or these
    edges += builder.nodes[name].ends or ()
    yield from edges or [_END]


def _is_quiet(graph: Any, name: str) -> bool:
    """Tell whether a node runs tools or is middleware: it says nothing to the user."""
    bound = graph.nodes[name].bound
    hook = getattr(bound, "func", None) or getattr(bound, "afunc", None)
    return bool(nearest(bound, _QUIET) or nearest(getattr(hook, "__self__", None), _QUIET))


def _is_graph(bound: Any) -> bool:
    return nearest(bound, {_COMPILED: True}) is not None


_COMPILED = "langgraph.graph.state.CompiledStateGraph"

GRAPHS: Markers = {_COMPILED: _graph, "langgraph.pregel.main.Pregel": _opaque}
