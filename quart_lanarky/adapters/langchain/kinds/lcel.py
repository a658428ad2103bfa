"""How the runnables of LangChain's core say their answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseLanguageModel, BaseLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    Runnable,
    RunnableAssign,
    RunnableBranch,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    RunnablePick,
    RunnableSequence,
    RunnableWithFallbacks,
)
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.config import run_in_executor
from langchain_core.runnables.configurable import (
    RunnableConfigurableAlternatives,
    RunnableConfigurableFields,
)
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.runnables.retry import RunnableRetry
from langchain_core.runnables.router import RouterRunnable
from langchain_core.runnables.utils import (
    accepts_config,
    is_async_callable,
    is_async_generator,
)

from ..handlers.base import merge_run_spec
from ..handlers.selection import ANSWER_TAG
from .base import (
    TAGGED_MODELS,
    TaggedChain,
    Taggers,
    TagModels,
    agreed,
    class_path,
    nearest,
    with_step,
)

__all__ = ["RUNNABLES", "reports_its_end", "unwrap"]


def unwrap(chain: Any) -> Any:
    """Return the chain inside its `.bind()` and `.with_config()` wrappers and alike."""
    while isinstance(chain, RunnableBindingBase):
        chain = chain.bound
    return chain


def reports_its_end(chain: Runnable[Any, Any]) -> bool:
    """Tell whether a chain's handlers get to know what it returns, once and at last."""
    while isinstance(chain, RunnableBindingBase) and not isinstance(chain, RunnableRetry):
        if type(chain).ainvoke is not RunnableBindingBase.ainvoke:
            return False
        chain = chain.bound
    kind = nearest(chain, _REPORTING)
    # What a subclass makes of the output comes after its handlers were told of it.
    return kind is not None and type(chain).ainvoke is kind.ainvoke


# -- what speaks ---------------------------------------------------------------------------


def _model(model: Any, key: str | None, tag: TagModels) -> TaggedChain:
    return TaggedChain(model.with_config(tags=[ANSWER_TAG]))


def _llm(model: Any, key: str | None, tag: TagModels) -> TaggedChain:
    """Mark a model that is no chat model: only `astream` makes it stream, if it can."""
    kind = type(model)
    streams = kind._astream is not BaseLLM._astream or kind._stream is not BaseLLM._stream  # noqa: SLF001
    own = streams and not _is_cached(model)
    return TaggedChain(model.with_config(tags=[ANSWER_TAG]), has_own_chunks=own)


def _generator(generator: Any, key: str | None, tag: TagModels) -> TaggedChain:
    if not hasattr(generator, "_atransform"):  # then LangChain can only invoke it
        generator = RunnableGenerator(_in_threads(generator._transform), name=generator.name)  # noqa: SLF001
    return TaggedChain(generator, has_own_chunks=True)


def _in_threads(transform: Callable[..., Iterator[Any]]) -> Callable[..., Any]:
    """Return an asynchronous generator function that does what a synchronous one does."""
    end = object()
    options = ["config"] if accepts_config(transform) else []

    async def atransform(chunks: AsyncIterator[Any], config: RunnableConfig) -> AsyncIterator[Any]:
        whole = iter([chunk async for chunk in chunks])
        results = transform(whole, **dict.fromkeys(options, config))
        while (result := await run_in_executor(None, next, results, end)) is not end:
            yield result

    return atransform


def _function(function: RunnableLambda[Any, Any], key: str | None, tag: TagModels) -> TaggedChain:
    """Mark what the function returns, if that is a chain, when it is called.

    It may be an agent. What else the function calls cannot be seen, and is not heard.
    """
    spec = replace(TAGGED_MODELS, output_path=() if key is None else ((key,),), is_agent=True)
    func, afunc = getattr(function, "func", None), getattr(function, "afunc", None)
    if isgeneratorfunction(func) or is_async_generator(afunc):
        return TaggedChain(function, spec, has_own_chunks=is_async_generator(afunc))

    def tag_returned(returned: Any) -> Any:
        if not isinstance(returned, Runnable):
            return returned
        tagged = tag(returned, key)
        output_path = tagged.spec.output_path[
            len(spec.output_path) :
        ]  # the run knows the key already
        merge_run_spec(replace(tagged.spec, output_path=output_path))
        return tagged.chain

    tagged_function = copy(function)
    for name in ("func", "afunc"):
        if hasattr(function, name):
            setattr(tagged_function, name, _returning(getattr(function, name), tag_returned))
    return TaggedChain(tagged_function, spec)


def _returning(function: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return `function` with `change` applied to its result."""
    if is_async_callable(function):

        @wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            return change(await function(*args, **kwargs))

        return acall

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return change(function(*args, **kwargs))

    return call


# -- what contains what speaks -------------------------------------------------------------


def _sequence(chain: RunnableSequence[Any, Any], key: str | None, tag: TagModels) -> TaggedChain:
    place, key, is_picked = _answer_step(chain.steps, key)
    tagged = tag(chain.steps[place], key)
    copied = with_step(chain, place, tagged.chain)
    found = tagged.within(copied)
    if is_picked:
        found = replace(found, spec=replace(found.spec, output_path=found.spec.output_path[1:]))
    own = tagged.has_own_chunks and not any(map(_needs_whole, chain.steps[:place]))
    return replace(found, has_own_chunks=own)


def _answer_step(steps: Sequence[Any], key: str | None) -> tuple[int, str | None, bool]:
    """Go back over the steps that pass the answer on as it is.

    Returns:
        The place of the step that says it; under which key; whether a later one takes it out.
    """
    place, is_picked = len(steps) - 1, False
    while place > 0:
        step = unwrap(steps[place])
        if isinstance(step, RunnablePick) and isinstance(step.keys, str):
            key, is_picked = step.keys, True
        elif isinstance(step, RunnableAssign):
            if key is None or key in step.mapper.steps__:
                break
        elif type(step) is not StrOutputParser:
            break
        place -= 1
    return place, key, is_picked


def _needs_whole(step: Any) -> bool:
    """Tell whether streaming through `step` would lose what calling it gives.

    LangChain does not retry, and looks into no cache, when it streams.
    """
    if isinstance(step, RunnableRetry | RunnableWithFallbacks):
        return True
    if isinstance(step, BaseLanguageModel):
        return _is_cached(step)
    return any(map(_needs_whole, _parts(step)))


def _parts(step: Any) -> Iterable[Any]:
    """Return the runnables inside one that LangChain streams through."""
    if isinstance(step, RunnableBindingBase):
        return [step.bound]
    if isinstance(step, RunnableSequence):
        return step.steps
    if isinstance(step, RunnableParallel):
        return step.steps__.values()
    if isinstance(step, RunnableAssign):
        return [step.mapper]
    if isinstance(step, RunnableBranch):
        return [step.default, *(branch for _, branch in step.branches)]
    return ()


def _is_cached(model: BaseLanguageModel[Any]) -> bool:
    if isinstance(model.cache, BaseCache):
        return True
    return model.cache is not False and get_llm_cache() is not None


def _parallel(chain: RunnableParallel[Any], key: str | None, tag: TagModels) -> TaggedChain:
    if key is None or key not in chain.steps__:
        return TaggedChain(chain)
    tagged = tag(chain.steps__[key], None)
    steps = {**chain.steps__, key: tagged.chain}
    return tagged.within(chain.model_copy(update={"steps__": steps}), key)


def _assign(chain: RunnableAssign, key: str | None, tag: TagModels) -> TaggedChain:
    """Mark the value that is assigned, if there is one or it is named: it is the answer."""
    if key is None and len(chain.mapper.steps__) == 1:
        key = next(iter(chain.mapper.steps__))
    tagged = tag(chain.mapper, key)
    return tagged.within(chain.model_copy(update={"mapper": tagged.chain}))


def _binding(chain: RunnableBindingBase[Any, Any], key: str | None, tag: TagModels) -> TaggedChain:
    tagged = tag(chain.bound, key)
    found = tagged.within(chain.model_copy(update={"bound": tagged.chain}))
    return replace(found, has_own_chunks=tagged.has_own_chunks)


def _retry(chain: RunnableRetry[Any, Any], key: str | None, tag: TagModels) -> TaggedChain:
    return replace(_binding(chain, key, tag), has_own_chunks=False)


def _history(chain: RunnableWithMessageHistory, key: str | None, tag: TagModels) -> TaggedChain:
    return _binding(chain, key or chain.output_messages_key, tag)


def _fields(
    chain: RunnableConfigurableFields[Any, Any], key: str | None, tag: TagModels
) -> TaggedChain:
    """Mark a configurable model; which it is to be, its configuration says later."""
    return _model(chain, key, tag) if _is_model(chain.default) else TaggedChain(chain)


def _configurable(
    chain: RunnableConfigurableAlternatives[Any, Any], key: str | None, tag: TagModels
) -> TaggedChain:
    are_models = all(map(_is_model, [chain.default, *chain.alternatives.values()]))
    return _model(chain, key, tag) if are_models else TaggedChain(chain)


def _is_model(chain: Any) -> bool:
    return isinstance(unwrap(chain), BaseLanguageModel)


# -- what has one of several speak ---------------------------------------------------------


def _branch(chain: RunnableBranch[Any, Any], key: str | None, tag: TagModels) -> TaggedChain:
    branches = [tag(branch, key) for _, branch in chain.branches]
    default = tag(chain.default, key)
    conditions = [condition for condition, _ in chain.branches]
    update = {
        "branches": [(c, b.chain) for c, b in zip(conditions, branches, strict=True)],
        "default": default.chain,
    }
    return agreed(chain, update, [*branches, default])


def _fallbacks(
    chain: RunnableWithFallbacks[Any, Any], key: str | None, tag: TagModels
) -> TaggedChain:
    first, *others = [tag(each, key) for each in chain.runnables]
    update = {"runnable": first.chain, "fallbacks": [other.chain for other in others]}
    return agreed(chain, update, [first, *others])


def _router(chain: RouterRunnable[Any], key: str | None, tag: TagModels) -> TaggedChain:
    tagged = {name: tag(each, key) for name, each in chain.runnables.items()}
    update = {"runnables": {name: each.chain for name, each in tagged.items()}}
    return agreed(chain, update, list(tagged.values()))


RUNNABLES: Taggers = {
    class_path(kind): tagger
    for kind, tagger in (
        (BaseLanguageModel, _model),
        (BaseLLM, _llm),
        (RunnableLambda, _function),
        (RunnableGenerator, _generator),
        (RunnableSequence, _sequence),
        (RunnableParallel, _parallel),
        (RunnableAssign, _assign),
        (RunnableBindingBase, _binding),
        (RunnableRetry, _retry),
        (RunnableWithMessageHistory, _history),
        (RunnableConfigurableFields, _fields),
        (RunnableConfigurableAlternatives, _configurable),
        (RunnableBranch, _branch),
        (RunnableWithFallbacks, _fallbacks),
        (RouterRunnable, _router),
    )
} | {"langchain.chat_models.base._ConfigurableModel": _model}

_KINDS: tuple[type, ...] = (
    RunnableSequence,
    RunnableParallel,
    RunnableAssign,
    RunnablePick,
    RunnablePassthrough,
    RunnableLambda,
    RunnableGenerator,
    RunnableBranch,
    RunnableWithFallbacks,
    RunnableRetry,
)
_REPORTING: Mapping[str, Any] = {class_path(kind): kind for kind in _KINDS}
"""The kinds that tell their handlers what they return.

A graph tells all but what it asks its user when it interrupts, and is none of them.
"""
