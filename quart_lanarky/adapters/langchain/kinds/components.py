"""The kinds of single components in langchain-core: models, prompts, parsers, functions.

A model is tagged where it produces the answer. Which models a function calls cannot be seen,
only what it returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import replace
from functools import partial, wraps
from inspect import isgeneratorfunction
from typing import Annotated, Any, Final, NotRequired

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel, BaseLanguageModel, BaseLLM
from langchain_core.output_parsers import BaseLLMOutputParser
from langchain_core.prompts import BasePromptTemplate, PromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda
from langchain_core.runnables.config import run_in_executor
from langchain_core.runnables.utils import (
    accepts_config,
    is_async_callable,
    is_async_generator,
)
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from ..handlers.base import merge_run_spec
from ..handlers.selection import ANSWER_TAG
from ..inputs.fields import Fields, Value
from ..inputs.messages import TextOrMessages
from ..inputs.parameters import runnable_hint
from ..inputs.types import is_required
from .base import ChainKind, ChainKinds, always, class_path, no_children
from .input_fields import fields_of_type, schema_fields
from .library_functions import library_function_fields
from .output_types import json_type
from .tagging import TAGGED_MODELS, TaggedChain

__all__ = ["KINDS", "one_answer", "tag_model"]

# -- models --------------------------------------------------------------------------------


def tag_model(model: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag a model: its text is the answer."""
    return TaggedChain(one_answer(model, vars(model)).with_config(tags=[ANSWER_TAG]))


def one_answer(model: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a model that does not stream if it is asked for several answers at once.

    The pieces of all of them would come mixed. `ainvoke` gives the first, and so does its result.

    Args:
        model: The model; it is not changed.
        parameters: What it is called with.
    """
    if _asks_for_several(parameters) and isinstance(model, BaseChatModel):
        return model.model_copy(update={"disable_streaming": True})
    return model


def _asks_for_several(parameters: Mapping[str, Any]) -> bool:
    return any(isinstance(n := parameters.get(name), int) and n > 1 for name in ("n", "best_of"))


def _tag_llm(model: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag a model that is no chat model: only `astream` makes it stream, if it can."""
    kind = type(model)
    streams = kind._astream is not BaseLLM._astream or kind._stream is not BaseLLM._stream  # noqa: SLF001
    tagged = tag_model(model, key, kinds)
    is_whole = _is_cached(model) or _asks_for_several(vars(model))
    return replace(tagged, has_own_chunks=streams and not is_whole)


def _is_cached(model: Any) -> bool:
    if isinstance(model.cache, BaseCache):
        return True
    return model.cache is not False and get_llm_cache() is not None


MODEL = ChainKind(
    class_path(BaseLanguageModel),
    tag=tag_model,
    inputs=lambda *_: Value(TextOrMessages),
    output=lambda *_: str,
    children=no_children,
    needs_invoke=_is_cached,  # LangChain looks into no cache when it streams
)
LLM = replace(MODEL, path=class_path(BaseLLM), tag=_tag_llm)
CONFIGURABLE_MODEL = ChainKind("langchain.chat_models.base._ConfigurableModel", tag=tag_model)

# -- prompts and output parsers ------------------------------------------------------------


def _check_plain(value: Any) -> Any:
    if isinstance(value, str | int | float):
        return value
    raise PydanticCustomError("plain_value", "Input should be a text, a number or a boolean")


PlainValue = Annotated[
    Any,
    PlainValidator(_check_plain),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}),
]
"""What a client sends for a variable of an f-string.

Anything can be formatted, but null, lists and objects would reach the model as Python writes them.
"""


def _prompt_inputs(prompt: BasePromptTemplate[Any], kinds: ChainKinds) -> Fields:
    """Return the variables of a prompt, of any type unless it is declared or an f-string's."""
    parts = _prompt_parts(prompt)
    hints, formatted = {}, _formatted_variables(parts)
    for name, hint in schema_fields(prompt).hints.items():
        if name in prompt.input_types:
            hints[name] = hint
        else:
            kind: Any = PlainValue if name in formatted else Any
            hints[name] = kind if is_required(hint) else NotRequired[kind]
    is_open = any(vars(each).get("example_selector") for each in parts)
    partials = {name for each in parts for name in vars(each).get("partial_variables", ())}
    return Fields(hints, is_open=is_open, reserved=partials - hints.keys())


def _prompt_parts(prompt: Any) -> list[Any]:
    """Return a prompt and all the prompts that it is made of."""
    fields = vars(prompt)  # for a model of Pydantic, `getattr` with a default is slow
    inner = fields.get("messages") or fields.get("prompt") or []
    parts = inner if isinstance(inner, list) else [inner]
    return [prompt, *(each for part in parts for each in _prompt_parts(part))]


def _formatted_variables(parts: Iterable[Any]) -> set[str]:
    """Return the variables that f-strings alone use, of the prompts in `parts`."""
    used: dict[bool, set[str]] = {True: set(), False: set()}
    for part in parts:
        if vars(part).keys().isdisjoint(_INNER_PROMPTS):
            is_formatted = type(part) is PromptTemplate and part.template_format == "f-string"
            used[is_formatted].update(getattr(part, "input_variables", ()))
    return used[True] - used[False]


_INNER_PROMPTS: Final = {"messages", "prompt"}
"""The fields of a prompt that is made of others."""

PROMPT = ChainKind(class_path(BasePromptTemplate), inputs=_prompt_inputs, children=no_children)
OUTPUT_PARSER = ChainKind(
    class_path(BaseLLMOutputParser),
    output=lambda parser, _: json_type(parser.OutputType),
    children=no_children,
)

# -- functions -----------------------------------------------------------------------------


def _tag_function(function: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
    """Tag what the function returns, if that is a chain, when it is called.

    It may be an agent. What else the function runs cannot be seen, and is not the answer.
    """
    path = () if key is None else ((key,),)
    spec = replace(TAGGED_MODELS, output_path=path, is_agent=True)
    func, afunc = getattr(function, "func", None), getattr(function, "afunc", None)
    if isgeneratorfunction(func) or is_async_generator(afunc):
        return TaggedChain(function, spec, has_own_chunks=is_async_generator(afunc))
    tagged_function = copy(function)
    for name in ("func", "afunc"):
        if hasattr(function, name):
            change = partial(_tag_returned, key=key, kinds=kinds)
            setattr(tagged_function, name, _with_result(getattr(function, name), change))
    return TaggedChain(tagged_function, spec)


def _tag_returned(returned: Any, *, key: str | None, kinds: ChainKinds) -> Any:
    """Tag a chain that a function has returned, and tell its run where the answer is."""
    if not isinstance(returned, Runnable):
        return returned
    tagged = kinds.tag(returned, key)
    path = tagged.spec.output_path if key is None else tagged.spec.output_path[1:]
    merge_run_spec(replace(tagged.spec, output_path=path))  # the run knows the key already
    return tagged.chain


def _with_result(function: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
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


def _function_inputs(function: Any, kinds: ChainKinds) -> Fields:
    """Return what a function says that it takes; how its source reads keys decides nothing."""
    known = library_function_fields(getattr(function, "func", None) or function.afunc)
    return fields_of_type(runnable_hint(function, function.InputType)) if known is None else known


FUNCTION = ChainKind(
    class_path(RunnableLambda),
    tag=_tag_function,
    inputs=_function_inputs,
    output=lambda function, _: json_type(runnable_hint(function, function.OutputType)),
    reports_end=always,
)


def _tag_generator(generator: Any, key: str | None, kinds: ChainKinds) -> TaggedChain:
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


GENERATOR = ChainKind(class_path(RunnableGenerator), tag=_tag_generator, reports_end=always)

KINDS = (MODEL, LLM, CONFIGURABLE_MODEL, PROMPT, OUTPUT_PARSER, FUNCTION, GENERATOR)
