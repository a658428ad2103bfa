"""Pydantic's checks of client data, bounded: what is wrong may cost no more than it did to send.

Each wrong item of a list is an error to Pydantic, with its place and a text: a megabyte of them
was an answer of 160 megabytes, made in seconds in which nobody else was served.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema

__all__ = ["bounded_adapter", "problems_of"]

MAX_ERRORS: Final = 100
"""So many are looked at to name ten of them; Pydantic hands out all or none."""

PIECE: Final = 10
"""So many entries of an object are checked before it is seen whether one was wrong."""

_LISTS: Final = ("list", "tuple", "set", "frozenset")


def bounded_adapter(kind: Any) -> TypeAdapter[Any]:
    """Return an adapter that stops early in lists and in objects of any keys, also inside models.

    `FailFast` in an annotation would do so for a list, but the models are the users' own.

    Args:
        kind: The type.
    """
    adapter = TypeAdapter(kind)
    if isinstance(adapter.validator, SchemaValidator):  # and no plugin's, nor one to be built yet
        adapter.validator = _validator(_failing_fast(adapter.core_schema))
    return adapter


def _validator(schema: Any) -> SchemaValidator:
    try:
        return SchemaValidator(schema, _use_prebuilt=False)  # else models have those that they had
    except TypeError:  # Pydantic 2.11 has no choice
        return SchemaValidator(schema)


def _failing_fast(schema: Any) -> Any:
    """Return a copy of Pydantic's own schema in which lists and dicts fail fast."""
    if isinstance(schema, list):
        return [_failing_fast(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    kept = "default" if kind == "default" else None  # a user's value, and no schema
    copy = {key: part if key == kept else _failing_fast(part) for key, part in schema.items()}
    if kind in _LISTS:
        return copy | {"fail_fast": True}
    return _dict_in_pieces(copy) if kind == "dict" else copy


def _dict_in_pieces(schema: Any) -> Any:
    """Return the schema of a dict that fails fast, for which Pydantic has no option."""
    if schema.keys() & {"min_length", "max_length"}:  # of which a piece knows nothing
        return schema
    ref = schema.pop("ref", None)
    return core_schema.no_info_wrap_validator_function(_check_in_pieces, schema, ref=ref)


def _check_in_pieces(value: Any, check: Callable[[Any], Any]) -> Any:
    if not isinstance(value, dict) or len(value) <= PIECE:
        return check(value)
    entries = iter(value.items())
    checked: dict[Any, Any] = {}
    while piece := dict(islice(entries, PIECE)):
        checked |= check(piece)
    return checked


def problems_of(error: ValidationError) -> dict[str, str]:
    """Return for each wrong field what is wrong with it; for all of them together under ""."""
    count = error.error_count()
    if count > MAX_ERRORS:
        return {"": f"{count:,} values are wrong"}
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return {".".join(map(str, e["loc"])): e["msg"].removeprefix("Value error, ") for e in found}
