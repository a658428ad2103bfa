"""Tell which parameters of a chain factory are the client's: those that a query string can give.

The others are the developer's own, such as `database=Database("postgresql://…")`: they are no
parameters of the route, and their defaults are in no API spec.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import partial
from typing import Any, get_args, get_origin

from langchain_core.load.serializable import Serializable
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Secret, SecretBytes, SecretStr, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from pydantic.fields import FieldInfo
from quart.wrappers.base import BaseRequestWebsocket
from typing_extensions import TypedDict

from ....errors import ConfigurationError
from .types import unaliased

__all__ = ["check_return_annotation", "client_parameters"]

_SECRETS = (Secret, SecretStr, SecretBytes)
_CONTAINERS = (list, tuple, set, frozenset)
_ANSWERS = (str, bytes, int, float, dict, list, tuple, set)
"""Types of answers: a factory that is annotated with one does not return a chain."""


def client_parameters(
    factory: Callable[..., Any], hints: Mapping[str, Any], source: str
) -> dict[str, inspect.Parameter]:
    """Return the parameters of a chain factory that are the client's.

    Args:
        factory: The chain factory.
        hints: The resolved annotations of its parameters.
        source: The factory's name, for error messages.

    Raises:
        ConfigurationError: A parameter has to be given, and no query string can give it.
    """
    bound = factory.keywords if isinstance(factory, partial) else {}
    found = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if name in bound:
            continue
        if isinstance(parameter.default, FieldInfo):
            raise ConfigurationError(
                f"{source}: write the parameter {name} as Annotated[..., Field(...)], and its "
                "default after the `=`, as in `k: Annotated[int, Field(le=9)] = 3`"
            )
        is_method = name in ("self", "cls") and hints[name] is Any
        is_required = parameter.default is parameter.empty
        if (
            not is_method
            and _is_client_type(hints[name], with_models=not is_required)
            and (is_required or _is_client_value(parameter.default))
        ):
            found[name] = parameter
        elif is_required:
            raise ConfigurationError(f"{source}: {_advice(parameter, hints[name])}")
    return found


def check_return_annotation(kind: Any, source: str) -> None:
    """Refuse the resolved return annotation of a factory that can be that of no chain.

    Args:
        kind: The type, without the iterator or the awaitable around it.
        source: The factory's name, for the error's text.

    Raises:
        ConfigurationError: It is the type of an answer, such as `str`.
    """
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    if kind in _ANSWERS or (is_model and not issubclass(kind, Runnable)):
        raise ConfigurationError(
            f"{source}: it is annotated with `-> {kind.__name__}`, but a chain factory returns a "
            "chain, not its answer; write `-> Runnable[Question, str]`, where Question is a model "
            "of the inputs, or leave the annotation out"
        )


def _is_client_type(hint: Any, *, with_models: bool) -> bool:
    """Tell whether a query string can give a value of a type: a text, a number, JSON."""
    if hint is Any or hint in (str, int, float, bool):
        return True
    classes = _classes_in(hint)
    if any(map(_is_internal, classes)) or (not with_models and any(map(_is_model, classes))):
        return False
    shape: Any = TypedDict("shape", {"value": hint})
    try:
        schema = TypeAdapter(shape).json_schema()
    except (PydanticUserError, PydanticInvalidForJsonSchema):
        return False
    return "'writeOnly': True" not in repr(schema)  # a secret in a model


def _is_client_value(value: Any) -> bool:
    """Tell whether a query string can give a default value."""
    if value is None:
        return True
    if isinstance(value, _CONTAINERS):
        return all(map(_is_client_value, value))
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_client_value(v) for k, v in value.items())
    return _is_client_type(type(value), with_models=False)


def _classes_in(hint: Any) -> list[type]:
    """Return a type and all types in it, as far as they are classes."""
    hint = unaliased(hint)
    inner = [each for part in get_args(hint) for each in _classes_in(part)]
    kind = get_origin(hint) or hint
    return [kind, *inner] if isinstance(kind, type) else inner


def _is_internal(kind: type) -> bool:
    """Tell whether a class is of secrets, of settings, or of what chains are made of."""
    is_settings = any(base.__name__ == "BaseSettings" for base in kind.__mro__)
    return is_settings or issubclass(kind, (Serializable, Runnable, *_SECRETS))


def _is_model(kind: type) -> bool:
    return issubclass(kind, BaseModel) or is_dataclass(kind)


def _advice(parameter: inspect.Parameter, hint: Any) -> str:
    """Say of a parameter that no query string can give what to write instead."""
    if parameter.name in ("self", "cls"):
        return (
            "a method cannot make chains, for nothing gives it its object: leave out `self`, and "
            "put @staticmethod above @stream_chain"
        )
    said = f"the parameter `{parameter}` cannot come from a query string"
    classes = _classes_in(hint)
    if any(issubclass(each, BaseRequestWebsocket) for each in classes):
        return f"{said}; leave it out, and use `from quart import request`, `websocket` in there"
    if any(issubclass(each, _SECRETS) for each in classes):
        return f"{said}, where a secret is in every log; read it from a header or the app's config"
    models = [each.__name__ for each in classes if _is_model(each) and not _is_internal(each)]
    if models:
        return (
            f"{said}; the inputs of the chain are not given to its factory. Leave it out, and "
            f"declare them with input_model={models[0]} or `-> Runnable[{models[0]}, str]`"
        )
    return f"{said}; give it a default, which clients then cannot change"
