"""The kinds of graphs in LangGraph, `create_agent`'s among them.

A graph's nodes are functions, and which of them call a model cannot be seen from outside. But
the order of the nodes can be seen: the answer comes from the nodes after which the graph can
end, with nothing after them but tools and middleware. The text of a model that runs in one of
them is the answer, unless the model calls a tool.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, NotRequired, Required, get_origin, get_type_hints

from langchain_core.runnables import RunnableConfig, RunnableLambda
from typing_extensions import is_typeddict

from ..handlers.extraction import MESSAGES
from ..handlers.interrupts import Pause, with_interrupts
from ..handlers.selection import GRAPH_TAG, AnswerSpec, InNodes, Nodes
from ..inputs.fields import Fields
from ..inputs.messages import with_messages
from ..inputs.state import State
from ..inputs.types import (
    converted_fields,
    hints_of,
    is_required,
    split_requiredness,
    takes_messages,
    takes_object,
    without_requiredness,
)
from .base import ChainKind, ChainKinds, always, is_a
from .input_fields import fields_of_type
from .tagging import TaggedChain

__all__ = ["KINDS", "pauses_of"]

_ANSWER_KEYS = ("structured_response", MESSAGES)
_START, _END = "__start__", "__end__"
_COMPILED = "langgraph.graph.state.CompiledStateGraph"
_TOOLS = "langgraph.prebuilt.tool_node.ToolNode"
_MIDDLEWARE = "langchain.agents.middleware.types.AgentMiddleware"
_OMITTED = "langchain.agents.middleware.types.OmitFromSchema"

# -- graphs whose nodes cannot be seen, such as that of an @entrypoint function ------------


def _tag_pregel(graph: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    return TaggedChain(graph, _spec({}, () if key is None else (key,)))


def _spec(nodes: Nodes, keys: tuple[str, ...]) -> AnswerSpec:
    return AnswerSpec(
        InNodes(GRAPH_TAG, nodes),
        (keys,) if keys else (),
        has_tools=True,
        is_agent=True,
        returns_documents=True,
    )


PREGEL = ChainKind(
    "langgraph.pregel.main.Pregel",
    tag=_tag_pregel,
    may_interrupt=lambda graph: bool(graph.checkpointer),
)
"""Its handlers are not called with an interrupt that it returns, so it does not report its end."""


def _tag_remote(graph: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    return TaggedChain(graph, _spec({}, _ANSWER_KEYS if key is None else (key,)))


REMOTE = ChainKind("langgraph.pregel.remote.RemoteGraph", tag=_tag_remote, may_interrupt=always)
"""A graph on another server. Its models run there, so its answer is sent whole."""

# -- graphs of nodes and edges: which nodes the answer comes from --------------------------


def _tag_graph(graph: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    keys = _answer_keys(graph) if key is None else (key,)
    nodes = _answer_nodes(graph) if keys else {}
    chain = _noting_pauses(graph, graph.with_config(tags=[GRAPH_TAG]))
    return TaggedChain(chain, _spec(nodes, keys))


def _answer_keys(graph: Any) -> tuple[str, ...]:
    """Return which keys of the graph's output may have the answer; none if that is not clear."""
    channels = graph.output_channels
    names = [channels] if isinstance(channels, str) else list(channels)
    others = tuple(name for name in names if name not in _ANSWER_KEYS)
    alone = others if len(others) == 1 else ()
    return (*_ANSWER_KEYS, *alone) if MESSAGES in names else alone


def _answer_nodes(graph: Any) -> Nodes:
    """Return the nodes after which the graph can end; of graphs inside it, theirs."""
    return {
        name: _answer_nodes(node.bound) if _is_graph(node.bound) else None
        for name, node in graph.nodes.items()
        if name != _START and not _is_side_node(graph, name) and _can_end(graph, name)
    }


def _can_end(graph: Any, name: str) -> bool:
    """Tell whether the graph can go from a node to its end past nothing but side nodes."""
    seen, ahead = {name}, [name]
    while ahead:
        for after in _successors(graph.builder, ahead.pop()):
            if after == _END:
                return True
            if after not in seen and _is_side_node(graph, after):
                seen.add(after)
                ahead.append(after)
    return False


def _successors(builder: Any, name: str) -> list[str]:
    """Return where a node leads: by edges, by conditions, by its own command."""
    edges = [end for start, end in builder.edges if start == name]
    edges += [end for starts, end in builder.waiting_edges if name in starts]
    for branch in builder.branches.get(name, {}).values():
        edges += [_END] if branch.ends is None else branch.ends.values()  # anywhere, or these
    commands = builder.nodes[name].ends or ()
    # A graph as a node names those to whom it may hand over, and ends the whole if to nobody.
    may_end = not edges and (not commands or _is_graph(builder.nodes[name].runnable))
    return [*edges, *commands, *([_END] if may_end else ())]


def _is_side_node(graph: Any, name: str) -> bool:
    """Tell whether a node runs tools or middleware, so that the answer never comes from it.

    Middleware that removes personal data from a model's text counts as a node that the answer
    comes from: the text may not be sent before it.
    """
    bound = graph.nodes[name].bound
    hook = getattr(bound, "func", None) or getattr(bound, "afunc", None)
    owner = getattr(hook, "__self__", None)
    redacts = getattr(owner, "apply_to_output", False)
    return is_a(bound, _TOOLS) or (is_a(owner, _MIDDLEWARE) and not redacts)


def _is_graph(bound: Any) -> bool:
    return is_a(bound, _COMPILED)


# -- graphs that wait before or after a step -----------------------------------------------


def _noting_pauses(graph: Any, chain: Any) -> Any:
    """Return a chain whose output says that the graph waits before or after a step.

    LangGraph returns the state then, as if the graph had ended. To ask for it costs a look into
    the checkpointer, so only those graphs are asked that may wait like this.
    """
    if not graph.checkpointer or not _may_pause(graph):
        return chain

    async def note(output: Any, config: RunnableConfig) -> Any:
        return with_interrupts(output, pauses_of(graph, await graph.aget_state(config)))

    return chain | RunnableLambda(note)


def pauses_of(graph: Any, state: Any) -> list[Pause]:
    """Return the steps before which a graph waits, according to a snapshot of its state."""
    if not _may_pause(graph):
        return []
    return [Pause(task.id, task.name) for task in state.tasks if not task.interrupts]


def _may_pause(graph: Any) -> bool:
    """Tell whether a graph, or one inside it, was compiled to wait before or after a step."""
    if graph.interrupt_before_nodes or graph.interrupt_after_nodes:
        return True
    inner = (getattr(node, "bound", None) for node in graph.nodes.values())
    return any(_may_pause(each) for each in inner if _is_graph(each))


# -- graphs of nodes and edges: what they take ---------------------------------------------


def _graph_inputs(graph: Any, kinds: ChainKinds) -> Fields:
    state = graph.builder.input_schema
    if not takes_object(state):
        return fields_of_type(state)
    annotated = get_type_hints(state, include_extras=True)
    omitted = {name for name, hint in annotated.items() if _is_omitted(hint)}
    own = omitted.union(graph.builder.managed)  # such as the number of steps that are left
    initial = {name: c.get() for name, c in graph.builder.channels.items() if c.is_available()}
    if is_typeddict(get_origin(state) or state):
        return State(_with_a_required_field(_typed_dict_state(annotated), own))
    remembers = bool(graph.checkpointer)
    hints = _model_state(state, set(annotated) if remembers else initial.keys())
    return State(
        _with_a_required_field(hints, own), model=state, initial=initial, remembers=remembers
    )


def _with_a_required_field(hints: dict[str, Any], own: Collection[str]) -> dict[str, Any]:
    """Return the fields that are the client's; one alone is required, for it has to send one."""
    sent = {name: hint for name, hint in hints.items() if name not in own}
    return {n: without_requiredness(hint) for n, hint in sent.items()} if len(sent) == 1 else sent


def _typed_dict_state(annotated: dict[str, Any]) -> dict[str, Any]:
    """Require what the state marks as `Required`; LangGraph needs no key of a TypedDict."""
    hints = {}
    for name, hint in annotated.items():
        requiredness, bare = split_requiredness(hint)
        kind = with_messages(bare)
        hints[name] = kind if requiredness is Required else NotRequired[kind]
    return hints


def _model_state(state: Any, present: Collection[str]) -> dict[str, Any]:
    """Return the fields of a state that is a class; its own validators see the values as sent.

    Args:
        state: The class.
        present: The fields that have a value even if a client sends none.
    """
    converted = converted_fields(state)
    hints = {}
    for name, hint in hints_of(state).items():
        bare = without_requiredness(hint)
        kind = Any if name in converted and not takes_messages(bare) else bare
        required = is_required(hint) and name not in present
        hints[name] = kind if required else NotRequired[kind]
    return hints


def _is_omitted(hint: Any) -> bool:
    """Tell whether agents keep a field of their state out of their input schema."""
    return any(
        is_a(annotation, _OMITTED) and annotation.input
        for annotation in getattr(without_requiredness(hint), "__metadata__", ())
    )


GRAPH = replace(PREGEL, path=_COMPILED, tag=_tag_graph, inputs=_graph_inputs)

KINDS = (PREGEL, REMOTE, GRAPH)
