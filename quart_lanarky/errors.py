"""Every error that this package raises.

::

    LanarkyError
    ├── ConfigurationError     what the developer of the app did wrong (also a ValueError)
    │   └── ChainTypeError     no chain where one was expected (also a TypeError)
    ├── InputError             what the client sent wrong (also werkzeug's BadRequest: status 400)
    ├── InputTooLargeError     it sent too much (also werkzeug's RequestEntityTooLarge: status 413)
    ├── ForeignOriginError     another site's page sent it (also werkzeug's Forbidden: status 403)
    ├── ServerBusyError        too many run now (also werkzeug's ServiceUnavailable: status 503)
    └── TooSlowError           it took too long (also werkzeug's GatewayTimeout: status 504)

The branches never mix: a ``ConfigurationError`` is for the log and reaches the client as status
500 without its text; the others are for the client and name what to send instead. `testing.py` has
two more, which only the tests of an app get: `RefusedError` and `ClosedError`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import (
    BadRequest,
    Forbidden,
    GatewayTimeout,
    HTTPException,
    RequestEntityTooLarge,
    ServiceUnavailable,
)

__all__ = [
    "ChainTypeError",
    "ConfigurationError",
    "FieldProblem",
    "ForeignOriginError",
    "InputError",
    "InputProblem",
    "InputTooLargeError",
    "LanarkyError",
    "ServerBusyError",
    "TooSlowError",
]

MAX_FIELDS: Final = 10
"""How many wrong fields an answer names: it may not be a multiple of what was sent."""

MAX_NAME: Final = 100
"""How many characters of a field's name it has; the client chooses them."""

MAX_MESSAGE: Final = 300
"""How many it has of what is wrong with a field, in which words of the client may be."""

RETRY_AFTER: Final = 5
"""Seconds after which a client that was refused should try again."""


def shortened(text: str, limit: int) -> str:
    """Return `text`, of which no more than `limit` characters are left."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


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
    """What is not run, answered with a JSON body: the payload of an `error` event."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

    def get_body(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the JSON body of the answer."""
        return json.dumps({"status_code": self.code, "detail": self.detail})

    def get_headers(self, *_args: Any, **_kwargs: Any) -> list[tuple[str, str]]:
        """Return the headers of the answer: JSON, where werkzeug would say HTML."""
        return [("Content-Type", "application/json")]


class _InputRefusalError(_RefusalError):
    """What the client did wrong, answered with an `InputProblem`."""

    def __init__(self, detail: str, fields: Mapping[str, str] | None = None) -> None:
        given = fields or {}
        self.fields = {
            shortened(name, MAX_NAME): shortened(message, MAX_MESSAGE)
            for name, message in islice(given.items(), MAX_FIELDS)
        }
        named = [f"{name}: {message}" for name, message in self.fields.items()]
        if len(given) > MAX_FIELDS:
            named.append(f"and {len(given) - MAX_FIELDS:,} more")
        super().__init__(f"{detail}: {'; '.join(named)}" if named else detail)

    def get_body(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the JSON body of the answer: an `InputProblem`."""
        errors = [FieldProblem(field=name, message=text) for name, text in self.fields.items()]
        problem = InputProblem(status_code=self.code or 500, detail=self.detail, errors=errors)
        return json.dumps(problem.model_dump())


class InputError(_InputRefusalError, BadRequest):
    """The client's inputs do not fit the chain; answered with status 400 and a JSON body.

    It is an HTTP exception, so an app's own ``errorhandler(400)`` sees it as any other.

    Args:
        detail: What is wrong with the request as a whole.
        fields: For each wrong field its name and what is wrong with it. The answer has ten of
            them, and no more than the beginning of long names and texts.
    """


class InputTooLargeError(_InputRefusalError, RequestEntityTooLarge):
    """The client sent more than the app takes (Quart's `MAX_CONTENT_LENGTH`): status 413.

    Args:
        detail: How much it may be.
    """


class ForeignOriginError(_RefusalError, Forbidden):
    """A page of another site wants to start a run; answered with status 403 and a JSON body.

    Args:
        detail: Which origin it was.
    """


class ServerBusyError(_RefusalError, ServiceUnavailable):
    """No more runs are let in now: status 503, a `Retry-After` header and a JSON body.

    Args:
        detail: Why.
    """

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Return the headers of the answer."""
        return [*super().get_headers(*args, **kwargs), ("Retry-After", str(RETRY_AFTER))]


class TooSlowError(_RefusalError, GatewayTimeout):
    """What has to be done before a run took too long; answered with status 504 and a JSON body.

    Args:
        detail: How long it may take.
    """
