"""The named schemas of an API spec, made by Pydantic and put together without a clash."""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import is_dataclass
from itertools import count
from typing import Any, Final, Literal

from pydantic import PydanticUserError, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

__all__ = ["Components", "Schema", "numbered", "plain"]

Schema = dict[str, Any]

Mode = Literal["validation", "serialization"]

logger = logging.getLogger(__name__)

_REF: Final = "#/components/schemas/"


class _Generator(GenerateJsonSchema):
    """Pydantic's own generator, but it never fails, and repeats no name as a title."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default", "skipped-discriminator"}  # noqa: RUF012  # Pydantic's own declaration

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """Describe as anything what JSON schema has no words for, such as a callable."""
        return {}

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Set no title that only repeats a field's name."""
        return False


class Components:
    """Collects the schemas that an API spec names.

    Args:
        taken: The schemas that are in the spec already; they are not changed, and none of
            their names is given to anything else.

    Attributes:
        added: The schemas that were added, by their names.
    """

    def __init__(self, taken: Mapping[str, Any] | None = None) -> None:
        self.added: dict[str, Schema] = {}
        self._taken = dict(taken or {})
        self._made: dict[Any, tuple[Any, Schema]] = {}  # the kinds as well, so that ids stay theirs

    def of(self, kind: Any, mode: Mode) -> Schema:
        """Return the schema of a type, or of what a TypeAdapter is for; what it names is added.

        It is made once, so it must not be changed.

        Args:
            kind: The type.
            mode: Whether for what is received, or for what is sent.
        """
        key = (id(kind), mode)
        if key not in self._made:
            self._made[key] = (kind, self._make(kind, mode))
        return self._made[key][1]

    def named(self, kind: Any, mode: Mode) -> Schema:
        """Return the same, but a reference for what is an object and has a name."""
        schema = self.of(kind, mode)
        is_nameless = "$ref" in schema or schema.get("type") != "object"
        return schema if is_nameless else self.add(getattr(kind, "__name__", "Object"), schema)

    def add(self, name: str, schema: Schema) -> Schema:
        """Add a schema under a name, or one like it if that is taken, and return its reference."""
        name = _allowed(name)
        while not self._is_free(name, schema):
            name = _next_name(name)
        self.added[name] = schema
        return {"$ref": _REF + name}

    def resolve(self, schema: Schema) -> Schema:
        """Return the schema itself where `schema` is a reference to a component."""
        name = str(schema.get("$ref", "")).removeprefix(_REF)
        return self.added.get(name, schema)

    def _make(self, kind: Any, mode: Mode) -> Schema:
        schema = _schema_of(kind, mode)
        if not schema.get("title", True):
            del schema["title"]
        _drop_discriminators(schema)
        definitions: dict[str, Schema] = schema.pop("$defs", {})
        names = self._names_for(definitions)
        self.added |= {names[n]: _renamed(d, names) for n, d in definitions.items()}
        renamed: Schema = _renamed(schema, names)
        return renamed

    def _names_for(self, definitions: Mapping[str, Schema]) -> dict[str, str]:
        """Give new names to definitions whose names are taken, and to all that refer to them."""
        names = {name: _allowed(name) for name in definitions}
        new = {n for n, d in definitions.items() if not self._is_free(names[n], _renamed(d, names))}
        while more := {n for n, d in definitions.items() if n not in new and _refers(d, new)}:
            new |= more
        for number in count(2) if new else ():
            numbered = names | {name: f"{names[name]}{number}" for name in new}
            is_distinct = len(set(numbered.values())) == len(numbered)
            if is_distinct and all(
                self._is_free(numbered[n], _renamed(definitions[n], numbered)) for n in new
            ):
                return numbered
        return names

    def _is_free(self, name: str, schema: Schema) -> bool:
        """Tell whether a name is free, or stands for the same schema already."""
        if name in self._taken:
            return False
        return name not in self.added or self.added[name] == schema


def numbered(name: str) -> Iterator[str]:
    """Yield a name, and then the same with numbers, until one is free."""
    yield name
    for number in count(2):
        yield f"{name}_{number}"


def plain(value: Any) -> Any:
    """Return a copy of `value` with quart-schema's own objects, such as a contact, as JSON."""
    if is_dataclass(value) and hasattr(value, "schema"):
        return plain(value.schema(camelize=True))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _schema_of(kind: Any, mode: Mode) -> Schema:
    """Ask Pydantic; a type that it cannot describe is anything, so that the rest can be built."""
    try:
        adapter = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        return adapter.json_schema(
            mode=mode, ref_template=_REF + "{model}", schema_generator=_Generator
        )
    except (PydanticUserError, PydanticInvalidForJsonSchema):
        logger.warning("the API docs cannot describe %r", kind, exc_info=True)
        return {}


def _allowed(name: str) -> str:
    """Return a name as OpenAPI allows it for a component."""
    return re.sub(r"[^a-zA-Z0-9._-]+", "_", name)


def _refers(schema: Any, names: Container[str]) -> bool:
    """Tell whether there is a reference to one of these names anywhere in a schema."""
    if isinstance(schema, dict):
        if str(schema.get("$ref", "")).removeprefix(_REF) in names:
            return True
        return any(_refers(value, names) for value in schema.values())
    return isinstance(schema, list) and any(_refers(item, names) for item in schema)


def _next_name(name: str) -> str:
    base = name.rstrip("0123456789")
    number = int(name[len(base) :] or 1) + 1
    return f"{base}{number}"


def _renamed(schema: Any, names: Mapping[str, str]) -> Any:
    """Return a copy of a schema whose references go by new names."""
    if isinstance(schema, dict):
        copy = {key: _renamed(value, names) for key, value in schema.items()}
        name = str(copy.get("$ref", "")).removeprefix(_REF)
        return copy | {"$ref": _REF + names[name]} if name in names else copy
    if isinstance(schema, list):
        return [_renamed(item, names) for item in schema]
    return schema


def _drop_discriminators(schema: Any) -> None:
    """Leave out what OpenAPI has and JSON schema has not: AsyncAPI refuses it.

    Nothing is lost, for each alternative says itself which constant it requires.
    """
    if isinstance(schema, dict):
        if (
            isinstance(schema.get("discriminator"), dict)
            and "propertyName" in schema["discriminator"]
        ):
            del schema["discriminator"]
        for value in schema.values():
            _drop_discriminators(value)
    elif isinstance(schema, list):
        for item in schema:
            _drop_discriminators(item)
