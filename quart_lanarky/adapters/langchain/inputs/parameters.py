"""Read the parameters of a chain factory, which come from the path and the query string."""

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
from .parameter_types import client_parameters

__all__ = [
    "declared_chain",
    "factory_name",
    "factory_parameters",
    "parameter_defaults",
    "returned_type",
    "runnable_hint",
]


_WRAPPERS = (AsyncIterable, Awaitable, Iterable)
"""The types around the chain in the annotation of an async or generator factory."""

_TYPE_ARGUMENTS = 2


def factory_parameters(factory: Callable[..., Any]) -> Fields:
    """Return the parameters of a chain factory that are the client's; with a default, optional.

    Raises:
        ConfigurationError: A parameter cannot be passed by name, its annotation cannot be
            resolved, or it has no default and no query string can give it.
    """
    hints, parameters = _client_parameters(factory)
    fields = {}
    for name, parameter in parameters.items():
        hint = _parse_choices(hints[name])
        fields[name] = hint if parameter.default is parameter.empty else NotRequired[hint]
    return Fields(fields)


def parameter_defaults(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of the client's parameters of a chain factory, by name."""
    parameters = _client_parameters(factory)[1].values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _client_parameters(
    factory: Callable[..., Any],
) -> tuple[dict[str, Any], dict[str, inspect.Parameter]]:
    """Return the resolved annotations of all parameters, and those that are the client's."""
    parameters = inspect.signature(factory).parameters
    for parameter in parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(
                f"{factory_name(factory)}: the parameter {parameter} cannot come from a query "
                "string; give each parameter a name of its own"
            )
    hints = _parameter_hints(factory, parameters)
    return hints, client_parameters(factory, hints, factory_name(factory))


def declared_chain(factory: Callable[..., Any]) -> tuple[Any, Any]:
    """Return the input and the output type in the annotation of a chain factory.

    They are those of `Runnable[Input, Output]`, also for an ``async def`` or a generator. Both are
    Any if the annotation does not have them.
    """
    kind = returned_type(factory)
    generic = getattr(kind, "__pydantic_generic_metadata__", {})  # runnables may be Pydantic models
    origin, args = generic.get("origin") or get_origin(kind), generic.get("args") or get_args(kind)
    if not (
        isinstance(origin, type) and issubclass(origin, Runnable) and len(args) == _TYPE_ARGUMENTS
    ):
        return Any, Any
    return args


def returned_type(factory: Callable[..., Any]) -> Any:
    """Return what a chain factory returns or yields by its annotation; Any if it does not say."""
    try:
        annotation = inspect.signature(factory).return_annotation
        kind = _resolve(factory, {"return": annotation})["return"]
    except Exception:  # noqa: BLE001  # often its names are imported under TYPE_CHECKING only
        return Any
    while isinstance(get_origin(kind), type) and issubclass(get_origin(kind), _WRAPPERS):
        kind = get_args(kind)[-1 if issubclass(get_origin(kind), Coroutine) else 0]
    return kind


def factory_name(factory: Callable[..., Any]) -> str:
    """Return the name of a chain factory for error messages."""
    return f"the chain factory {getattr(_unwrap(factory), '__qualname__', repr(factory))}()"


def _parameter_hints(
    factory: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """Resolve the annotations of the parameters, and only those.

    The names in a return annotation are often imported under TYPE_CHECKING only.
    """
    given = {n: Any if p.annotation is p.empty else p.annotation for n, p in parameters.items()}
    try:
        return _resolve(factory, given)
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        raise ConfigurationError(
            f"{factory_name(factory)}: {error}; the annotations of its parameters must be "
            "importable at run time"
        ) from error


def runnable_hint(chain: Any, hint: Any) -> Any:
    """Return an annotation of the function in a `RunnableLambda`, resolved if it is a string.

    Raises:
        NameError: A name in it is not defined at run time.
    """
    if not isinstance(hint, str):
        return hint
    function = getattr(chain, "func", None) or chain.afunc
    return _resolve(function, {"hint": hint})["hint"]


def _resolve(function: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve annotations that are strings, in the module of the function."""
    return get_type_hints(
        SimpleNamespace(__annotations__=dict(given)),
        globalns=getattr(_unwrap(function), "__globals__", {}),
        include_extras=True,
    )


def _unwrap(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside a decorated function, a partial or a callable object."""
    while isinstance(factory, partial):
        factory = factory.func
    function = inspect.unwrap(factory)
    return function if inspect.isroutine(function) else type(function).__call__


def _parse_choices(hint: Any) -> Any:
    """Parse texts into Literal and Enum values; Pydantic alone does not accept `"1"` for 1."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _choice(hint, {str(value): value for value in args})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(hint, {str(member.value): member for member in hint})
    if origin is Annotated:
        return Annotated[_parse_choices(args[0]), *args[1:]]
    if origin in (Union, UnionType):
        return Union[tuple(map(_parse_choices, args))]  # noqa: UP007  # made at run time
    if origin in (list, tuple, set, frozenset):
        return cast(Any, origin)[tuple(map(_parse_choices, args))]
    return hint


def _choice(hint: Any, values: dict[str, Any]) -> Any:
    return Annotated[
        hint,
        BeforeValidator(lambda text: values.get(text, text) if isinstance(text, str) else text),
    ]
