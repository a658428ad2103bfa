"""How the graphs of LangGraph say their answers, `create_agent` among them.

A graph's nodes are functions, and nobody can see from outside which of them call a model. But
the order of the nodes can be seen: those speak after which the graph can end, with nothing
after them but tools and middleware. What a model says in them is the answer, unless it calls
a tool.
"""

from __future__ import annotations

from typing import Any

from ..handlers.extraction import INTERRUPT
from ..handlers.selection import GRAPH_TAG, AnswerSpec, InNodes, Nodes
from .base import TaggedChain, Taggers, TagModels, is_a

__all__ = ["GRAPHS"]

_MESSAGES = ("structured_response", "messages")
_START, _END = "__start__", "__end__"
_COMPILED = "langgraph.graph.state.CompiledStateGraph"
_TOOLS = "langgraph.prebuilt.tool_node.ToolNode"
_MIDDLEWARE = "langchain.agents.middleware.types.AgentMiddleware"


def _opaque(graph: Any, key: str | None, tag: TagModels) -> TaggedChain:
    """Leave a graph as it is whose nodes cannot be seen, such as a function's."""
    keys = (INTERRUPT,) if key is None else (INTERRUPT, key)
    return TaggedChain(graph, _spec({}, keys))


def _graph(graph: Any, key: str | None, tag: TagModels) -> TaggedChain:
    keys = _answer_keys(graph) if key is None else (key,)
    nodes = _answer_nodes(graph) if keys else {}
    return TaggedChain(graph.with_config(tags=[GRAPH_TAG]), _spec(nodes, (INTERRUPT, *keys)))


def _spec(nodes: Nodes, keys: tuple[str, ...]) -> AnswerSpec:
    return AnswerSpec(
        InNodes(GRAPH_TAG, nodes),
        (keys,),
        has_tools=True,
        is_agent=True,
        returns_documents=True,
    )


def _answer_keys(graph: Any) -> tuple[str, ...]:
    """Return where the graph's output has the answer; nowhere in particular if it is empty."""
    channels = graph.output_channels
    names = [channels] if isinstance(channels, str) else list(channels)
    others = tuple(name for name in names if name not in _MESSAGES)
    alone = others if len(others) == 1 else ()
    return (*_MESSAGES, *alone) if "messages" in names else alone


def _answer_nodes(graph: Any) -> Nodes:
    """Return the nodes after which the graph can end; of graphs inside it, theirs."""
    return {
        name: _answer_nodes(node.bound) if _is_graph(node.bound) else None
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


def _after(builder: Any, name: str) -> list[str]:
    """Return where a node leads: by edges, by conditions, by its own command."""
    edges = [end for start, end in builder.edges if start == name]
    edges += [end for starts, end in builder.waiting_edges if name in starts]
    for branch in builder.branches.get(name, {}).values():
        edges += [_END] if branch.ends is None else branch.ends.values()  # anywhere, or these
    commands = builder.nodes[name].ends or ()
    # A graph as a node names those to whom it may hand over, and ends the whole if to nobody.
    may_end = not edges and (not commands or _is_graph(builder.nodes[name].runnable))
    return [*edges, *commands, *([_END] if may_end else ())]


def _is_quiet(graph: Any, name: str) -> bool:
    """Tell whether a node runs tools or is middleware: it says nothing to the user.

    Middleware that removes personal data from what a model says is not: the model may not
    speak before it.
    """
    bound = graph.nodes[name].bound
    hook = getattr(bound, "func", None) or getattr(bound, "afunc", None)
    owner = getattr(hook, "__self__", None)
    redacts = getattr(owner, "apply_to_output", False)
    return is_a(bound, _TOOLS) or (is_a(owner, _MIDDLEWARE) and not redacts)


def _is_graph(bound: Any) -> bool:
    return is_a(bound, _COMPILED)


GRAPHS: Taggers = {_COMPILED: _graph, "langgraph.pregel.main.Pregel": _opaque}
