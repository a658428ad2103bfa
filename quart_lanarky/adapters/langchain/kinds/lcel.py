"""The kinds of composed chains in langchain-core (LangChain Expression Language).

Where the answer of each comes from, what it takes and what it returns. Models, prompts, parsers
and functions, which are made of no other runnables, are in `components.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, NotRequired

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

from ..inputs.fields import Each, Fields, Value
from ..inputs.open_inputs import AnyInput, AnyObject
from ..inputs.types import without_requiredness
from .base import ChainKind, ChainKinds, always, class_path, no_children
from .components import one_answer, tag_model
from .input_fields import (
    merge_alternatives,
    merge_fields,
    optional_fields,
    reserved_in,
    schema_fields,
)
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
    """Return what the first step takes, and what later ones do of what it passes on to them."""
    if not steps:
        return _OUTPUT
    first, rest = steps[0], steps[1:]
    bare = first if _has_own_inputs(first, kinds) else unwrap(first)
    if isinstance(bare, RunnableSequence):
        return _steps_inputs([*bare.steps, *rest], kinds)
    readers: dict[type, Callable[[Any, ChainKinds, Fields], Fields]] = {
        RunnablePassthrough: _passthrough_inputs,
        RunnableAssign: _assign_inputs,
        RunnableParallel: _parallel_inputs,
    }
    read = next((read for kind, read in readers.items() if isinstance(bare, kind)), None)
    return kinds.inputs(first) if read is None else read(bare, kinds, _steps_inputs(rest, kinds))


_OUTPUT: Final = AnyInput()
"""What is read of an input that is passed on to the output of a chain: all of it."""


def _has_own_inputs(chain: Any, kinds: ChainKinds) -> bool:
    """Tell whether a wrapper of a chain decides what it takes: by its kind, a type, its config."""
    while isinstance(chain, RunnableBindingBase):
        if kinds.kind_of(chain).inputs is not _binding_inputs:  # such as a stored history
            return True
        if chain.custom_input_type is not None or "configurable" in chain.config:
            return True
        chain = chain.bound
    return False


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


def _parallel_inputs(
    chain: RunnableParallel[Any], kinds: ChainKinds, later: Fields = _OUTPUT
) -> Fields:
    """Return what each of its steps takes; functions alone take any object as it is.

    Args:
        chain: A dict of runnables.
        kinds: The registry.
        later: What the next step takes. It has the type of the whole input where that is the
            value of a key.
    """
    parts = [kinds.inputs(step) for step in chain.steps__.values()]
    hints = later.hints if later.is_known and later.is_object else {}
    passed_on = [
        Value(without_requiredness(hints[key]))
        for key, step in chain.steps__.items()
        if type(unwrap(step)) is RunnablePassthrough and hints.get(key, Any) is not Any
    ]
    merged = merge_fields([*parts, *passed_on])
    return merged if merged.is_known else AnyInput().reserving(merged.reserved)


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


def _assign_inputs(chain: RunnableAssign, kinds: ChainKinds, later: Fields = _OUTPUT) -> Fields:
    """Return what is read of the object that it adds values to.

    Args:
        chain: What assigns the values.
        kinds: The registry.
        later: What the next step takes, which gets the object with the values.
    """
    mapper = kinds.inputs(chain.mapper)
    is_named = mapper.is_known and mapper.is_object
    needed = mapper if is_named else AnyObject().reserving(mapper.reserved)
    passed_on = later.without(chain.mapper.steps__) if later.is_object else _OUTPUT
    return merge_fields([needed, passed_on])


ASSIGN = ChainKind(
    class_path(RunnableAssign),
    tag=_tag_assign,
    inputs=_assign_inputs,
    children=lambda chain: [chain.mapper],
    reports_end=always,
)


def _pick_inputs(chain: RunnablePick, kinds: ChainKinds) -> Fields:
    """Return the keys that it picks, none of which has to be there."""
    keys = [chain.keys] if isinstance(chain.keys, str) else chain.keys
    return Fields(dict.fromkeys(keys, NotRequired[Any]))


PICK = ChainKind(
    class_path(RunnablePick), inputs=_pick_inputs, children=no_children, reports_end=always
)


def _passthrough_inputs(
    chain: RunnablePassthrough[Any], kinds: ChainKinds, later: Fields
) -> Fields:
    """Return what the next step takes, and the function that it shows the input to."""
    watching = [AnyInput()] if chain.func or chain.afunc else []
    return merge_fields([later, *watching])


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
    merged = merge_fields([own, inner.without({chain.history_messages_key})])
    return merged.reserving(filter(None, [chain.history_messages_key]))


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
    """Require what every branch does, and the first condition; others may not be asked."""
    first, *others = [kinds.inputs(condition) for condition, _ in chain.branches]
    common = merge_alternatives(list(map(kinds.inputs, _branches(chain))))
    return merge_fields([common, first, *map(optional_fields, others)])


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


def _fallbacks_inputs(chain: RunnableWithFallbacks[Any, Any], kinds: ChainKinds) -> Fields:
    """Require what the first chain does, and accept what only a fallback reads."""
    first, *others = map(kinds.inputs, chain.runnables)
    if not (first.is_known and first.is_object):
        return first.reserving(reserved_in(others))
    added = [chain.exception_key or ""]  # under which LangChain adds the exception
    return merge_fields([first, *(optional_fields(each).without(added) for each in others)])


FALLBACKS = ChainKind(
    class_path(RunnableWithFallbacks),
    tag=_tag_fallbacks,
    inputs=_fallbacks_inputs,
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
