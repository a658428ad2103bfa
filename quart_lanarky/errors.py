"""The errors that this package raises.

::

    LanarkyError
    ├── ConfigurationError     a mistake of the app's developer (also a ValueError)
    │   └── ChainTypeError     no chain where one was expected (also a TypeError)
    ├── InputError             invalid data of the client (also werkzeug's BadRequest: status 400)
    ├── InputTooLargeError     too much data (also werkzeug's RequestEntityTooLarge: status 413)
    ├── DisallowedHostError    a host that is not the app's (also werkzeug's BadRequest: status 400)
    ├── ForeignOriginError     a cross-origin page (also werkzeug's Forbidden: status 403)
    ├── InterruptNotOpenError  no such interrupt (also werkzeug's Conflict: status 409)
    ├── ModelDeclinedError     no answer (also werkzeug's UnprocessableEntity: status 422)
    ├── ServerBusyError        too many live runs (also werkzeug's ServiceUnavailable: status 503)
    ├── ThreadBusyError        another run is live on its thread (also werkzeug's Conflict: 409)
    └── TooSlowError           a timeout before the run (also werkzeug's GatewayTimeout: status 504)

A ``ConfigurationError`` is logged, and its client gets status 500 without its text. The texts of
the others are sent to the client. `testing.py` has two more, which are only raised in the tests of
an app: `RefusedError` and `ClosedError`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import (
    BadRequest,
    Conflict,
    Forbidden,
    GatewayTimeout,
    HTTPException,
    RequestEntityTooLarge,
    ServiceUnavailable,
    UnprocessableEntity,
)

__all__ = [
    "ChainTypeError",
    "ConfigurationError",
    "DisallowedHostError",
    "FieldProblem",
    "ForeignOriginError",
    "InputError",
    "InputProblem",
    "InputTooLargeError",
    "InterruptNotOpenError",
    "LanarkyError",
    "ModelDeclinedError",
    "ServerBusyError",
    "ThreadBusyError",
    "TooSlowError",
]

MODEL_DECLINED: Final = "the model declined to answer"
"""What is said to a client whose question gets no answer, not even the words of a refusal."""

MAX_FIELDS: Final = 10
"""How many invalid fields a response names, so that it is not larger than the request."""

MAX_NAME: Final = 100
"""How many characters of a field's name a response has; the client chooses the name."""

MAX_MESSAGE: Final = 300
"""How many characters of a field's error it has; the error may quote the client."""

RETRY_AFTER: Final = 5
"""The `Retry-After` header of a refused request, in seconds."""


def shortened(text: str, limit: int) -> str:
    """Return `text`, cut to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


class LanarkyError(Exception):
    """The base class of all errors that this package raises."""


class ConfigurationError(LanarkyError, ValueError):
    """The app is configured wrongly: a setting, a factory's signature, a handler's argument."""


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
    """A request that is refused, with the payload of an `error` event as its JSON body."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it by its attributes: werkzeug's exceptions keep no arguments."""
        return _unpickled, (type(self), self.__dict__)

    def get_body(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the JSON body of the response."""
        return json.dumps({"status_code": self.code, "detail": self.detail})

    def get_headers(self, *_args: Any, **_kwargs: Any) -> list[tuple[str, str]]:
        """Return the headers of the response: JSON instead of werkzeug's HTML."""
        return [("Content-Type", "application/json")]


def _unpickled(kind: type[_RefusalError], attributes: dict[str, Any]) -> _RefusalError:
    error = kind.__new__(kind)
    error.__dict__.update(attributes)
    return error


class _InputRefusalError(_RefusalError):
    """A request with invalid data, with an `InputProblem` as its JSON body."""

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

    @property
    def problems(self) -> list[FieldProblem]:
        """What is wrong with each field, as responses and `error` events say it."""
        return [FieldProblem(field=name, message=text) for name, text in self.fields.items()]

    def get_body(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the JSON body of the response: an `InputProblem`."""
        problem = InputProblem(
            status_code=self.code or 500, detail=self.detail, errors=self.problems
        )
        return json.dumps(problem.model_dump())


class InputError(_InputRefusalError, BadRequest):
    """The client's inputs do not fit the chain: status 400 and a JSON body.

    It is an HTTP exception, so an app's own ``errorhandler(400)`` handles it as any other.

    Args:
        detail: What is wrong with the request as a whole.
        fields: The error of each invalid field, by name. The response has ten of them, and only
            the beginning of long names and errors.
    """


class InputTooLargeError(_InputRefusalError, RequestEntityTooLarge):
    """The client sent more than the app takes (Quart's `MAX_CONTENT_LENGTH`): status 413.

    Args:
        detail: The limit, as a sentence for the client.
    """


class DisallowedHostError(_RefusalError, BadRequest):
    """A request names a host that is none of the app's: status 400 and a JSON body.

    Args:
        detail: The refused host, as a sentence for the client.
    """


class ForeignOriginError(_RefusalError, Forbidden):
    """A page of another origin tried to start a run: status 403 and a JSON body.

    Args:
        detail: The refused origin, as a sentence for the client.
    """


class InterruptNotOpenError(_RefusalError, Conflict):
    """A request does not fit the state of its thread: status 409 and a JSON body.

    Args:
        detail: Why, as a sentence for the client.
    """


class ModelDeclinedError(_RefusalError, UnprocessableEntity):
    """A model, or its provider, declined to answer and gave no text instead: status 422.

    Args:
        detail: The reason, as a sentence for the client.
    """

    def __init__(self, detail: str = MODEL_DECLINED) -> None:
        super().__init__(detail)


class ServerBusyError(_RefusalError, ServiceUnavailable):
    """No more runs are admitted now: status 503, a `Retry-After` header and a JSON body.

    Args:
        detail: The reason, as a sentence for the client.
    """

    def get_headers(self, *args: Any, **kwargs: Any) -> list[tuple[str, str]]:
        """Return the headers of the response."""
        return [*super().get_headers(*args, **kwargs), ("Retry-After", str(RETRY_AFTER))]


class ThreadBusyError(_RefusalError, Conflict):
    """Another run is live on the thread, and its route refuses a second: status 409, a JSON body.

    Args:
        detail: The reason, as a sentence for the client.
    """

    def __init__(self, detail: str = "another run is live on this thread: try again later") -> None:
        super().__init__(detail)


class TooSlowError(_RefusalError, GatewayTimeout):
    """The preparation of a run took too long: status 504 and a JSON body.

    Args:
        detail: The time limit, as a sentence for the client.
    """
