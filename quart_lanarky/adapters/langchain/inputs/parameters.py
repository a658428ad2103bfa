"""The parameters of a chain factory, which come from a path and a query string."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping
from enum import Enum
from functools import partial
from types import SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from langchain_core.runnables import Runnable
from pydantic import BeforeValidator

from ....errors import ConfigurationError
from .fields import Fields

__all__ = [
    "declared_chain",
    "factory_name",
    "factory_parameters",
    "parameter_defaults",
    "runnable_hint",
]


_AROUND = (AsyncIterable, Awaitable, Iterable)
"""What an annotation has around the chain, where a factory awaits or yields."""

_IN_AND_OUT = 2


def factory_parameters(factory: Callable[..., Any]) -> Fields:
    """Return the parameters of a chain factory as fields; those with a default may be missing.

    Raises:
        ConfigurationError: A parameter cannot be filled by name, or its annotation cannot be
            resolved.
    """
    parameters = inspect.signature(factory).parameters
    hints = _parameter_hints(factory, parameters)
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(
                f"{factory_name(factory)}: the parameter {parameter} cannot come from a query "
                "string; give each parameter a name of its own"
            )
        hints[name] = _from_text(hints[name])
        if parameter.default is not parameter.empty:
            hints[name] = NotRequired[hints[name]]
    return Fields(hints)


def parameter_defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of those parameters of a chain factory that have one."""
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def declared_chain(factory: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the types of input and output that a chain factory is annotated with.

    They are those of `Runnable[Input, Output]`, also as what an ``async def`` returns or a
    generator yields. Each is Any if the annotation does not say it.
    """
    try:
        annotation = inspect.signature(factory).return_annotation
        kind = _resolved(factory, {"return": annotation})["return"]
    except Exception:  # noqa: BLE001  # often it names what is imported for type checkers alone
        return Any, Any
    while isinstance(get_origin(kind), type) and issubclass(get_origin(kind), _AROUND):
        kind = get_args(kind)[-1 if issubclass(get_origin(kind), Coroutine) else 0]
    made = getattr(kind, "__pydantic_generic_metadata__", {})  # some runnables are Pydantic models
    origin, args = made.get("origin") or get_origin(kind), made.get("args") or get_args(kind)
    if not (isinstance(origin, type) and issubclass(origin, Runnable) and len(args) == _IN_AND_OUT):
        return Any, Any
    return args


def factory_name(factory: Callable[..., Any]) -> str:
    """Return how an error's text is to call a chain factory."""
    return f"the chain factory {getattr(_function(factory), '__qualname__', repr(factory))}()"


def _parameter_hints(
    factory: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """Resolve the annotations of the parameters, and only those.

    A return annotation often names what is imported for type checkers alone.
    """
    given = {n: Any if p.annotation is p.empty else p.annotation for n, p in parameters.items()}
    try:
        return _resolved(factory, given)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ConfigurationError(
            f"{factory_name(factory)}: {error}; the annotations of its parameters must be "
            "importable at run time"
        ) from error


def runnable_hint(chain: Any, hint: Any) -> Any:
    """Return an annotation of the function in a `RunnableLambda`, resolved if it is a string.

    Raises:
        NameError: It names what is not there at run time.
    """
    if not isinstance(hint, str):
        return hint
    function = getattr(chain, "func", None) or chain.afunc
    return _resolved(function, {"hint": hint})["hint"]


def _resolved(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve the annotations that are strings, where the function was written."""
    return get_type_hints(
        SimpleNamespace(__annotations__=dict(given)),
        globalns=getattr(_function(function), "__globals__", {}),
        include_extras=True,
    )


def _function(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside a decorated one, a partial or a callable object."""
    while isinstance(factory, partial):
        factory = factory.func
    function = inspect.unwrap(factory)
    return function if inspect.isroutine(function) else type(function).__call__


def _from_text(hint: Any) -> Any:
    """Let a text choose among values that are no texts: Pydantic compares `"1"` with 1."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _chosen(hint, {str(value): value for value in args})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _chosen(hint, {str(member.value): member for member in hint})
    if origin is Annotated:
        return Annotated[_from_text(args[0]), *args[1:]]
    if origin in (Union, UnionType):
        return Union[tuple(map(_from_text, args))]  # noqa: UP007  # made at run time
    if origin in (list, tuple, set, frozenset):
        return cast(Any, origin)[tuple(map(_from_text, args))]
    return hint


def _chosen(hint: Any, values: dict[str, Any]) -> Any:
    return Annotated[
        hint,
        BeforeValidator(lambda text: values.get(text, text) if isinstance(text, str) else text),
    ]
