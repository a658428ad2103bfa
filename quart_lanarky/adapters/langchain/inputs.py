"""What a route takes: the inputs of its chain and the parameters of its factory.

Both are a TypedDict under a Pydantic TypeAdapter and not a model: the fields come from users,
and a model cannot have a field named `schema` or `copy`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, NotRequired, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.runnables import Runnable
from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter, ValidationError, with_config
from pydantic.fields import FieldInfo
from typing_extensions import TypedDict
from werkzeug.datastructures import MultiDict

from ...errors import ConfigurationError, InputError
from .chains import is_agent_executor, is_retrieval_qa, unwrap

__all__ = ["Fields", "chain_inputs", "factory_name", "factory_parameters"]

WRAPPED = "input"
"""The field that holds the input of a chain which takes something else than an object."""


class Fields:
    """A set of named, typed fields that client data is checked against.

    Args:
        hints: For each field its type; `NotRequired[...]` marks one that may be missing.
        wrapped: Whether the chain takes the value of the only field instead of an object.
    """

    def __init__(self, hints: Mapping[str, Any], *, wrapped: bool = False) -> None:
        self.hints = dict(hints)
        self.wrapped = wrapped
        strict = with_config(ConfigDict(extra="forbid", arbitrary_types_allowed=True))
        shape: type[Any] = TypedDict("Fields", self.hints)  # type: ignore[misc]  # made at run time
        self._adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(
            strict(shape)  # type: ignore[arg-type]
        )

    def check(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return `data` converted to the types of the fields.

        Raises:
            InputError: A field is missing, unknown or of a wrong type; it names each.
        """
        try:
            return self._adapter.validate_python(dict(data))
        except ValidationError as error:
            raise InputError("the inputs do not fit", _messages(error)) from None

    def for_chain(self, message: Mapping[str, Any] | str) -> Any:
        """Return what the chain is called with, for a JSON object or a bare text.

        Raises:
            InputError: The inputs do not fit, or a bare text cannot tell which input it is.
        """
        if isinstance(message, str):
            if len(self.hints) != 1:
                named = ", ".join(self.hints)
                raise InputError(f"send a JSON object with the inputs of this chain: {named}")
            message = dict.fromkeys(self.hints, message)
        values = self.check(message)
        return values[WRAPPED] if self.wrapped else values

    def pick(self, query: MultiDict[str, str]) -> dict[str, Any]:
        """Return the fields that a query string has, those that take a list as lists."""
        return {name: self._value(name, query.getlist(name)) for name in query}

    def _value(self, name: str, values: list[str]) -> list[str] | str:
        """Return the last of several values for a field that takes one, as forms do."""
        return values if _takes_list(self.hints.get(name)) else values[-1]


def chain_inputs(chain: Runnable[Any, Any]) -> Fields:
    """Return the fields of the inputs that `chain` takes."""
    bare = unwrap(chain)
    if is_retrieval_qa(bare):
        return Fields({bare.input_key: str})
    if is_agent_executor(bare) and not bare.input_keys:
        # The executor of a Runnable agent does not know its inputs; the agent inside does.
        return _from_schema(bare.agent.runnable, without={"agent_scratchpad", "intermediate_steps"})
    if hasattr(bare, "input_keys"):  # any other classic chain names its inputs, untyped
        return Fields(dict.fromkeys(bare.input_keys, Any))
    return _from_schema(chain)


def _from_schema(chain: Runnable[Any, Any], without: Collection[str] = ()) -> Fields:
    schema = cast(type[BaseModel], chain.get_input_schema())  # typed for Pydantic 1 as well
    if issubclass(schema, RootModel):
        return Fields({WRAPPED: schema.model_fields["root"].annotation}, wrapped=True)
    # By the names that the chain knows: LangChain aliases some fields.
    hints = {field.alias or name: _hint(field) for name, field in schema.model_fields.items()}
    return Fields({name: hint for name, hint in hints.items() if name not in without})


def _hint(field: FieldInfo) -> Any:
    return field.annotation if field.is_required() else NotRequired[field.annotation]


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
        if parameter.default is not parameter.empty:
            hints[name] = NotRequired[hints[name]]
    return Fields(hints)


def factory_name(factory: Callable[..., Any]) -> str:
    """Return how an error's text is to call a chain factory."""
    return f"the chain factory {getattr(_bare(factory), '__qualname__', repr(factory))}()"


def _parameter_hints(
    factory: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """Resolve the annotations of the parameters, and only those.

    A return annotation often names what is imported for type checkers alone.
    """
    given = {n: Any if p.annotation is p.empty else p.annotation for n, p in parameters.items()}
    try:
        return get_type_hints(
            SimpleNamespace(__annotations__=given),
            globalns=getattr(_bare(factory), "__globals__", {}),
            include_extras=True,
        )
    except NameError as error:
        raise ConfigurationError(
            f"{factory_name(factory)}: {error}; the annotations of its parameters must be "
            "importable at run time"
        ) from error


def _bare(factory: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function inside a decorated one, a partial or a callable object."""
    while isinstance(factory, partial):
        factory = factory.func
    function = inspect.unwrap(factory)
    return function if inspect.isroutine(function) else type(function).__call__


_WRAPPERS = (Annotated, NotRequired, Union, UnionType)


def _takes_list(hint: Any) -> bool:
    """Tell whether `hint` is a list, tuple or set, also inside Optional, Annotated and alike."""
    origin = get_origin(hint) or hint
    if origin in (list, tuple, set, frozenset):
        return True
    return origin in _WRAPPERS and any(_takes_list(inner) for inner in get_args(hint))


def _messages(error: ValidationError) -> dict[str, str]:
    return {".".join(map(str, e["loc"])): e["msg"] for e in error.errors(include_url=False)}
