"""The kinds of composed chains in langchain-core (LangChain Expression Language).

Where the answer of each comes from, what it takes and what it returns. Models, prompts, parsers
and functions, which are made of no other runnables, are in `components.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    RunnableAssign,
    RunnableBranch,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase, RunnableEachBase
from langchain_core.runnables.config import ensure_config, merge_configs, set_config_context
from langchain_core.runnables.configurable import (
    DynamicRunnable,
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.runnables.router import RouterRunnable

from ..inputs.fields import AnyObject, Each, Fields
from .base import ChainKind, ChainKinds, always, class_path, no_children
from .components import one_answer, tag_model
from .input_fields import merge_fields, optional_fields, schema_fields
from .output_types import common_type
from .tagging import TaggedChain, tag_alternatives, with_step

__all__ = ["KINDS", "unwrap"]


def unwrap(chain: Any) -> Any:
    """Return the chain inside its `.bind()` and `.with_config()` wrappers and alike."""
    while isinstance(chain, RunnableBindingBase):
        chain = chain.bound
    return chain


# -- sequences -----------------------------------------------------------------------------


def _tag_sequence(
    chain: RunnableSequence[Any, Any], key: str | None, kinds: ChainKinds
) -> TaggedChain:
    index, key, is_picked = _answer_step(chain.steps, key)
    step = kinds.tag(chain.steps[index], key)
    tagged = step.within(with_step(chain, index, step.chain))
    if is_picked:
        tagged = replace(tagged, spec=replace(tagged.spec, output_path=tagged.spec.output_path[1:]))
    own = step.has_own_chunks and not any(map(kinds.needs_invoke, chain.steps[:index]))
    return replace(tagged, has_own_chunks=own)


def _answer_step(steps: Sequence[Any], key: str | None) -> tuple[int, str | None, bool]:
    """Find the step that produces the answer, past those that pass it on as it is.

    Returns:
        The index of the step; the key of its output that has the answer; whether a later step
        picks that key, so that the answer is the whole output in the end.
    """
    index, is_picked = len(steps) - 1, False
    while index > 0:
        step = unwrap(steps[index])
        if isinstance(step, RunnablePick) and isinstance(step.keys, str):
            key, is_picked = step.keys, True
        elif isinstance(step, RunnableAssign):
            if key is None or key in step.mapper.steps__:
                break
        elif type(step) is not StrOutputParser:
            break
        index -= 1
    return index, key, is_picked


def _sequence_inputs(chain: RunnableSequence[Any, Any], kinds: ChainKinds) -> Fields:
    return _steps_inputs(chain.steps, kinds)


def _steps_inputs(steps: Sequence[Any], kinds: ChainKinds) -> Fields:
    """Return what the first step takes, and what it passes on to the later ones."""
    first, rest = steps[0], steps[1:]
    bare = unwrap(first)
    if rest and isinstance(bare, RunnablePassthrough):
        return _steps_inputs(rest, kinds)
    if not (rest and isinstance(bare, RunnableAssign)):
        return kinds.inputs(first)
    later = _steps_inputs(rest, kinds)
    needed = later.without(bare.mapper.steps__) if later.is_object else later
    return merge_fields([kinds.inputs(first), needed])


SEQUENCE = ChainKind(
    class_path(RunnableSequence),
    tag=_tag_sequence,
    inputs=_sequence_inputs,
    output=lambda chain, kinds: kinds.output(chain.last),
    children=lambda chain: chain.steps,
    reports_end=always,
)

# -- dicts of runnables, and what is done to dicts -----------------------------------------


def _tag_parallel(chain: RunnableParallel[Any], key: str | None, kinds: ChainKinds) -> TaggedChain:
    if key is None or key not in chain.steps__:
        return TaggedChain(chain)
    tagged = kinds.tag(chain.steps__[key])
    steps = {**chain.steps__, key: tagged.chain}
    return tagged.within(chain.model_copy(update={"steps__": steps}), key)


def _parallel_inputs(chain: RunnableParallel[Any], kinds: ChainKinds) -> Fields:
    return merge_fields([kinds.inputs(step) for step in chain.steps__.values()])


PARALLEL = ChainKind(
    class_path(RunnableParallel),
    tag=_tag_parallel,
    inputs=_parallel_inputs,
    children=lambda chain: chain.steps__.values(),
    reports_end=always,
)


def _tag_assign(chain: RunnableAssign, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag the value that is assigned, if there is one or it is named: it is the answer."""
    if key is None and len(chain.mapper.steps__) == 1:
        key = next(iter(chain.mapper.steps__))
    tagged = kinds.tag(chain.mapper, key)
    return tagged.within(chain.model_copy(update={"mapper": tagged.chain}))


def _assign_inputs(chain: RunnableAssign, kinds: ChainKinds) -> Fields:
    needed = kinds.inputs(chain.mapper)
    return needed if needed.is_known else AnyObject()


ASSIGN = ChainKind(
    class_path(RunnableAssign),
    tag=_tag_assign,
    inputs=_assign_inputs,
    children=lambda chain: [chain.mapper],
    reports_end=always,
)


def _pick_inputs(chain: RunnablePick, kinds: ChainKinds) -> Fields:
    keys = [chain.keys] if isinstance(chain.keys, str) else chain.keys
    return Fields(dict.fromkeys(keys, Any))


PICK = ChainKind(
    class_path(RunnablePick), inputs=_pick_inputs, children=no_children, reports_end=always
)
PASSTHROUGH = ChainKind(
    class_path(RunnablePassthrough),
    children=lambda chain: filter(None, [chain.func, chain.afunc]),
    streamed_children=no_children,
    reports_end=always,
)
EACH = ChainKind(
    class_path(RunnableEachBase),
    inputs=lambda chain, kinds: Each(kinds.inputs(chain.bound)),
    children=lambda chain: [chain.bound],
    streamed_children=no_children,
)

# -- wrappers of one chain -----------------------------------------------------------------


def _tag_binding(
    chain: RunnableBindingBase[Any, Any], key: str | None, kinds: ChainKinds
) -> TaggedChain:
    bound = kinds.tag(one_answer(chain.bound, chain.kwargs), key)
    tagged = bound.within(chain.model_copy(update={"bound": bound.chain}))
    return replace(tagged, has_own_chunks=bound.has_own_chunks)


def _binding_inputs(chain: RunnableBindingBase[Any, Any], kinds: ChainKinds) -> Fields:
    if "configurable" not in chain.config:
        return kinds.inputs(chain.bound)
    with set_config_context(merge_configs(chain.config, ensure_config())) as context:
        return context.run(kinds.inputs, chain.bound)  # which may choose among alternatives


BINDING = ChainKind(
    class_path(RunnableBindingBase),
    tag=_tag_binding,
    inputs=_binding_inputs,
    output=lambda chain, kinds: kinds.output(chain.bound),
    children=lambda chain: [chain.bound],
    reports_end=lambda chain, kinds: kinds.reports_end(chain.bound),
)


def _tag_retry(chain: RunnableRetry[Any, Any], key: str | None, kinds: ChainKinds) -> TaggedChain:
    return replace(_tag_binding(chain, key, kinds), has_own_chunks=False)


RETRY = replace(
    BINDING,
    path=class_path(RunnableRetry),
    tag=_tag_retry,
    needs_invoke=always,  # LangChain does not try again when it streams
    reports_end=always,
)


def _tag_history(
    chain: RunnableWithMessageHistory, key: str | None, kinds: ChainKinds
) -> TaggedChain:
    return _tag_binding(chain, key or chain.output_messages_key, kinds)


def _history_inputs(chain: Any, kinds: ChainKinds) -> Fields:
    """Add what the chain inside takes besides the history and the new messages."""
    own = schema_fields(chain)
    inner = next(map(kinds.inputs, unwrap(unwrap(chain).steps[-1]).deps), own)
    if not (own.is_object and inner.is_object):
        return own
    return merge_fields([inner.without({chain.history_messages_key}), own])


HISTORY = replace(
    BINDING,
    path=class_path(RunnableWithMessageHistory),
    tag=_tag_history,
    inputs=_history_inputs,
    keeps_history=always,
)

# -- chains that run one of several --------------------------------------------------------


def _tag_branch(chain: RunnableBranch[Any, Any], key: str | None, kinds: ChainKinds) -> TaggedChain:
    branches = [kinds.tag(branch, key) for _, branch in chain.branches]
    default = kinds.tag(chain.default, key)
    conditions = [condition for condition, _ in chain.branches]
    update = {
        "branches": [(c, b.chain) for c, b in zip(conditions, branches, strict=True)],
        "default": default.chain,
    }
    return tag_alternatives(chain, update, [*branches, default])


def _branch_inputs(chain: RunnableBranch[Any, Any], kinds: ChainKinds) -> Fields:
    """Require what every branch does; what a condition looks at may be missing."""
    conditions = [kinds.inputs(condition) for condition, _ in chain.branches]
    common = merge_fields(list(map(kinds.inputs, _branches(chain))), all)
    return merge_fields([common, *map(optional_fields, conditions)])


def _branches(chain: RunnableBranch[Any, Any]) -> list[Any]:
    return [chain.default, *(branch for _, branch in chain.branches)]


def _branches_and_conditions(chain: RunnableBranch[Any, Any]) -> Iterable[Any]:
    return [*_branches(chain), *(condition for condition, _ in chain.branches)]


BRANCH = ChainKind(
    class_path(RunnableBranch),
    tag=_tag_branch,
    inputs=_branch_inputs,
    output=lambda chain, kinds: common_type(list(map(kinds.output, _branches(chain)))),
    children=_branches_and_conditions,
    streamed_children=_branches,
    reports_end=always,
)


def _tag_fallbacks(
    chain: RunnableWithFallbacks[Any, Any], key: str | None, kinds: ChainKinds
) -> TaggedChain:
    first, *others = [kinds.tag(each, key) for each in chain.runnables]
    update = {"runnable": first.chain, "fallbacks": [other.chain for other in others]}
    return tag_alternatives(chain, update, [first, *others])


FALLBACKS = ChainKind(
    class_path(RunnableWithFallbacks),
    tag=_tag_fallbacks,
    inputs=lambda chain, kinds: kinds.inputs(chain.runnable),
    output=lambda chain, kinds: common_type(list(map(kinds.output, chain.runnables))),
    children=lambda chain: chain.runnables,
    needs_invoke=always,  # LangChain does not fall back once a stream has begun
    reports_end=always,
)


def _tag_router(chain: RouterRunnable[Any], key: str | None, kinds: ChainKinds) -> TaggedChain:
    tagged = {name: kinds.tag(each, key) for name, each in chain.runnables.items()}
    update = {"runnables": {name: each.chain for name, each in tagged.items()}}
    return tag_alternatives(chain, update, list(tagged.values()))


ROUTER = ChainKind(class_path(RouterRunnable), tag=_tag_router)

# -- chains that their configuration chooses -----------------------------------------------

CONFIGURABLE = ChainKind(
    class_path(DynamicRunnable), inputs=lambda chain, kinds: kinds.inputs(chain.prepare()[0])
)


def _tag_configurable_fields(
    chain: RunnableConfigurableFields[Any, Any], key: str | None, kinds: ChainKinds
) -> TaggedChain:
    """Tag a configurable model; its configuration chooses the model when it runs."""
    return tag_model(chain, key, kinds) if _is_model(chain.default) else TaggedChain(chain)


CONFIGURABLE_FIELDS = replace(
    CONFIGURABLE, path=class_path(RunnableConfigurableFields), tag=_tag_configurable_fields
)


def _tag_configurable_alternatives(
    chain: RunnableConfigurableAlternatives[Any, Any], key: str | None, kinds: ChainKinds
) -> TaggedChain:
    are_models = all(map(_is_model, [chain.default, *chain.alternatives.values()]))
    return tag_model(chain, key, kinds) if are_models else TaggedChain(chain)


CONFIGURABLE_ALTERNATIVES = replace(
    CONFIGURABLE,
    path=class_path(RunnableConfigurableAlternatives),
    tag=_tag_configurable_alternatives,
)


def _is_model(chain: Any) -> bool:
    return isinstance(unwrap(chain), BaseLanguageModel)


KINDS = (
    SEQUENCE,
    PARALLEL,
    ASSIGN,
    PICK,
    PASSTHROUGH,
    EACH,
    BINDING,
    RETRY,
    HISTORY,
    BRANCH,
    FALLBACKS,
    ROUTER,
    CONFIGURABLE,
    CONFIGURABLE_FIELDS,
    CONFIGURABLE_ALTERNATIVES,
)
