"""quart-schema's own objects, such as a contact, as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a copy of `value` with quart-schema's own objects, such as a contact, as JSON."""
    if is_dataclass(value) and hasattr(value, "schema"):
        return plain(value.schema(camelize=True))
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
