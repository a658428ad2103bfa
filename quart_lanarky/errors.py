"""Every error that this package raises.

::

    LanarkyError
    ├── ConfigurationError     what the developer of the app did wrong (also a ValueError)
    │   └── ChainTypeError     no chain where one was expected (also a TypeError)
    ├── InputError             what the client sent wrong (also werkzeug's BadRequest: status 400)
    └── InputTooLargeError     it sent too much (also werkzeug's RequestEntityTooLarge: status 413)

The branches never mix: a ``ConfigurationError`` is for the log and reaches the client as status
500 without its text; the others are for the client and name what to send instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge

__all__ = [
    "ChainTypeError",
    "ConfigurationError",
    "FieldProblem",
    "InputError",
    "InputProblem",
    "InputTooLargeError",
    "LanarkyError",
]


class LanarkyError(Exception):
    """The root of the tree: catch it to catch everything that this package raises."""


class ConfigurationError(LanarkyError, ValueError):
    """The app is set up wrongly: a setting, a factory's signature, a handler's argument."""


class ChainTypeError(ConfigurationError, TypeError):
    """A factory returned, or ``add_chain`` was given, something that is not a chain."""


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="The name of the field; dots lead to what is inside it.")
    message: str = Field(description="What is wrong with it.")


class InputProblem(BaseModel):
    """What is wrong with the request; nothing was run."""

    model_config = ConfigDict(extra="forbid")

    status_code: int = Field(description="The status code of this response.")
    detail: str = Field(description="What is wrong, in one sentence for people.")
    errors: list[FieldProblem] = Field(description="The same for each wrong field, if any is.")


class _RefusalError(LanarkyError, HTTPException):
    """What the client did wrong, answered with a JSON body."""

    def __init__(self, detail: str, fields: Mapping[str, str] | None = None) -> None:
        self.fields = dict(fields or {})
        named = "; ".join(f"{name}: {message}" for name, message in self.fields.items())
        self.detail = f"{detail}: {named}" if named else detail
        super().__init__(self.detail)

    def get_body(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the JSON body of the answer: an `InputProblem`."""
        errors = [FieldProblem(field=name, message=text) for name, text in self.fields.items()]
        problem = InputProblem(status_code=self.code or 500, detail=self.detail, errors=errors)
        return json.dumps(problem.model_dump())

    def get_headers(self, *_args: Any, **_kwargs: Any) -> list[tuple[str, str]]:
        """Return the headers of the answer: JSON, where werkzeug would say HTML."""
        return [("Content-Type", "application/json")]


class InputError(_RefusalError, BadRequest):
    """The client's inputs do not fit the chain; answered with status 400 and a JSON body.

    It is an HTTP exception, so an app's own ``errorhandler(400)`` sees it as any other.

    Args:
        detail: What is wrong with the request as a whole.
        fields: For each wrong field its name and what is wrong with it.
    """


class InputTooLargeError(_RefusalError, RequestEntityTooLarge):
    """The client sent more than the app takes (Quart's `MAX_CONTENT_LENGTH`): status 413.

    Args:
        detail: How much it may be.
    """
