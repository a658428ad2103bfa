"""Validate client data with Pydantic, at a bounded cost for invalid data.

Pydantic reports each invalid item of a list, with its location and a message. For a megabyte of
them that was a response of 160 megabytes, and other clients were blocked for seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from langchain_core.messages import BaseMessage
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from .client_data import check_declared_message
from .policy import InputPolicy, NotAcceptedError

__all__ = ["bounded_adapter", "problems_of"]

MAX_ERRORS: Final = 100
"""How many errors are formatted at most to report ten of them: Pydantic formats all or none."""

BATCH_SIZE: Final = 10
"""How many entries of an object are validated at a time; an invalid one ends the validation."""

_CLASSES: Final = {"model": "model-fields", "dataclass": "dataclass-args"}
_LISTS: Final = ("list", "tuple", "set", "frozenset")


def bounded_adapter(kind: Any) -> TypeAdapter[Any]:
    """Return a type adapter that stops at the first errors in lists and dicts, also inside models.

    Pydantic's `FailFast` annotation does so for a list, but the models are the users' own.

    Args:
        kind: The type to validate.
    """
    adapter = TypeAdapter(kind)
    if isinstance(adapter.validator, SchemaValidator):  # not a plugin's, nor one still to be built
        adapter.validator = _new_validator(_fail_fast_schema(adapter.core_schema))
    return adapter


def _new_validator(schema: Any) -> SchemaValidator:
    return SchemaValidator(schema, _use_prebuilt=False)  # prebuilt ones would not fail fast


def _fail_fast_schema(schema: Any) -> Any:
    """Return a copy of a Pydantic core schema in which lists and dicts fail fast.

    Its numbers are finite unless the user says otherwise: Pydantic reads one from the text "nan".
    """
    if isinstance(schema, list):
        return [_fail_fast_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    kept = "default" if kind == "default" else None  # the user's default value is not a schema
    copy = {key: part if key == kept else _fail_fast_schema(part) for key, part in schema.items()}
    return _bounded(kind, copy) if isinstance(kind, str) else copy  # else it maps names to schemas


def _bounded(kind: str, schema: Any) -> Any:
    """Return the core schema of one type with its bounds, if types of this kind have any."""
    if kind == "float":
        return {"allow_inf_nan": False} | schema
    if kind in _LISTS:
        return schema | {"fail_fast": True}
    if kind == "tagged-union" and callable(schema["discriminator"]):
        return _UNKNOWN_TAG | schema | {"discriminator": _without_errors(schema["discriminator"])}
    if kind == "model" and issubclass(schema["cls"], BaseMessage):
        return _checked_message(schema)
    if kind in _CLASSES and _forbids_extras(schema):
        return _limit_extras(schema)
    return _fail_fast_dict(schema) if kind == "dict" else schema


_UNKNOWN_TAG: Final = {
    "custom_error_type": "unknown_tag",
    "custom_error_message": "Input should be an object of a known type",
}


def _without_errors(discriminator: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a discriminator of a union that finds no tag where LangChain's raises a TypeError."""

    def tag_of(value: Any) -> Any:
        try:
            return discriminator(value)
        except (TypeError, ValueError, LookupError, AttributeError):
            return None

    return tag_of


def _fail_fast_dict(schema: Any) -> Any:
    """Make the core schema of a dict fail fast, for which Pydantic has no option."""
    if schema.keys() & {"min_length", "max_length"}:  # limits apply to the whole dict
        return schema
    ref = schema.pop("ref", None)
    return core_schema.no_info_wrap_validator_function(_validate_in_batches, schema, ref=ref)


def _validate_in_batches(value: Any, check: Callable[[Any], Any]) -> Any:
    if not isinstance(value, dict) or len(value) <= BATCH_SIZE:
        return check(value)
    entries = iter(value.items())
    checked: dict[Any, Any] = {}
    while batch := dict(islice(entries, BATCH_SIZE)):
        checked |= check(batch)
    return checked


def _checked_message(schema: Any) -> Any:
    """Check an object by the policy in the context before one of LangChain's messages is made.

    LangChain's own validators fail on what is no object, and where a tool's message has no call id.
    """
    kind = str(schema["cls"].model_fields["type"].default)

    def _make_message(
        value: Any, make: Callable[[Any], Any], info: core_schema.ValidationInfo[Any]
    ) -> Any:
        try:
            if isinstance(value, dict):
                check_declared_message(value, kind, info.context or InputPolicy())
            return make(value)
        except NotAcceptedError as error:
            why = str(error)
        except (TypeError, LookupError, AttributeError):
            why = "Input should be a message"
        raise PydanticCustomError("message", "{why}", {"why": why})

    ref = schema.pop("ref", None)
    return core_schema.with_info_wrap_validator_function(_make_message, schema, ref=ref)


def _forbids_extras(schema: Any) -> bool:
    """Return whether a class has no unknown fields, and no validator that may know them."""
    config = schema.get("config") or {}
    is_plain = schema["schema"].get("type") == _CLASSES[schema["type"]]
    return is_plain and config.get("extra_fields_behavior") == "forbid"


def _limit_extras(schema: Any) -> Any:
    """Make a class report only the first of its unknown fields."""
    fields = schema["schema"]["fields"]
    items = fields.items() if isinstance(fields, dict) else ((f["name"], f) for f in fields)
    known = {key for name, field in items for key in (name, *_first_keys(field))}

    def _validate_few_extras(value: Any, check: Callable[[Any], Any]) -> Any:
        if not isinstance(value, dict) or len(value) <= len(known) + BATCH_SIZE:
            return check(value)
        extras = islice((key for key in value if key not in known), BATCH_SIZE)
        return check({key: value[key] for key in (*known.intersection(value), *extras)})

    ref = schema.pop("ref", None)
    return core_schema.no_info_wrap_validator_function(_validate_few_extras, schema, ref=ref)


def _first_keys(field: Any) -> list[Any]:
    """Return the keys at which the aliases of a field begin."""
    alias = field.get("validation_alias") or []
    if isinstance(alias, str):
        return [alias]
    paths = alias if alias and isinstance(alias[0], list) else [alias]
    return [path[0] for path in paths if path]


def problems_of(error: ValidationError) -> dict[str, str]:
    """Return an error message for each invalid field, or one under "" if there are too many."""
    count = error.error_count()
    if count > MAX_ERRORS:
        return {"": f"{count:,} values are wrong"}
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return {_field_of(e["loc"]): e["msg"].removeprefix("Value error, ") for e in found}


def _field_of(location: tuple[int | str, ...]) -> str:
    """Return the name of a field, without what the checks of this module add to it."""
    steps = map(str, location)
    return ".".join(step for step in steps if not step.startswith(_OWN_STEPS))


_OWN_STEPS: Final = (
    "function-wrap[_validate_in_batches()]",
    "function-wrap[_validate_few_extras()]",
    "function-wrap[_make_message()]",
)
"""How Pydantic's names begin of the functions of this module, where a type is one of several."""
