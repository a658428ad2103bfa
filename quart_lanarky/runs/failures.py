"""What a client is told of an exception: a status code and a reason, and never its text.

An exception is described by the app's own table, as an HTTP exception, or by what the work of its
run knows of exceptions. One that nobody can describe may still have a cause that somebody can:
libraries wrap what they catch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import responses
from typing import Any, Final

from werkzeug.exceptions import HTTPException

from ..errors import ConfigurationError, InputError, ServerBusyError
from ..events import ErrorData

__all__ = ["DescribeError", "ErrorTable", "Failure", "describe_failure"]

logger = logging.getLogger(__name__)

MAX_DEPTH: Final = 10
"""How many causes of causes are looked at."""

_STATUS_CODES: Final = range(400, 600)


@dataclass(frozen=True)
class Failure:
    """What is known of a failure.

    Attributes:
        data: What its client is told.
        reason: Why the run failed, in a few words for the log.
        is_expected: Whether it is no error of the app's, whose log needs no traceback of it.
    """

    data: ErrorData
    reason: str
    is_expected: bool = False


DescribeError = Callable[[BaseException], ErrorData | None]
"""Tells what a client is told of an exception, of its own kind alone; None if that is unknown."""

UNKNOWN: Final = ErrorData(status_code=500, detail="Internal Server Error")


class ErrorTable:
    """What clients are told of the exceptions of an app's own."""

    def __init__(self) -> None:
        self._by_class: dict[type[BaseException], ErrorData] = {}

    @property
    def statuses(self) -> dict[int, str]:
        """The status codes in it, each with a reason that goes with it."""
        return {data.status_code: data.detail for data in self._by_class.values()}

    def add(
        self,
        exception_class: type[Exception],
        status: int,
        detail: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Add a class, or replace what was said of it.

        Raises:
            ConfigurationError: One of the values makes no sense.
        """
        if not isinstance(exception_class, type) or not issubclass(exception_class, Exception):
            raise ConfigurationError(
                f"error_for takes a class of exceptions, not {exception_class!r}"
            )
        if not _is_int(status) or status not in _STATUS_CODES:
            raise ConfigurationError(f"status= is a status code from 400 to 599, not {status!r}")
        if detail is not None and (not isinstance(detail, str) or not detail.strip()):
            raise ConfigurationError(f"detail= is a text for the client, not {detail!r}")
        if retry_after is not None and (not _is_int(retry_after) or retry_after < 1):
            raise ConfigurationError(
                f"retry_after= is a whole number of seconds, at least 1, not {retry_after!r}"
            )
        self._by_class[exception_class] = _data(status, detail or _phrase(status), retry_after)

    def describe(self, error: BaseException) -> ErrorData | None:
        """Return what is said of an exception, by the nearest of the classes it derives from."""
        known = (self._by_class[kind] for kind in type(error).__mro__ if kind in self._by_class)
        return next(known, None)


def describe_failure(
    error: BaseException, own: DescribeError | None, others: Iterable[DescribeError] = ()
) -> Failure:
    """Describe an exception to its client, or one that caused it.

    Args:
        error: The exception.
        own: The app's table, which comes first.
        others: What else knows exceptions.
    """
    if isinstance(error, InputError):  # its text is the client's own, and not for the log
        return Failure(_input_problem(error), "bad input", is_expected=True)
    if isinstance(error, ServerBusyError):
        return Failure(_data(503, error.detail), error.detail, is_expected=True)
    name = type(error).__name__
    ours = [_describe_http_error] if own is None else [own, _describe_http_error]
    data = _find(error, ours)
    if data is not None:
        return Failure(data, name, is_expected=data.status_code < HTTPStatus.INTERNAL_SERVER_ERROR)
    return Failure(_find(error, others) or UNKNOWN, name)


def _input_problem(error: InputError) -> ErrorData:
    """Return what the JSON body of the error has."""
    if not error.fields:
        return _data(400, error.detail)
    return ErrorData(status_code=400, detail=error.detail, errors=error.problems)


def _find(
    error: BaseException, describers: Iterable[DescribeError], depth: int = 0
) -> ErrorData | None:
    """Describe an exception, or else all that it groups, or else its cause."""
    if depth > MAX_DEPTH:
        return None
    for describe in describers:
        if (data := _ask(describe, error)) is not None:
            return data
    if isinstance(error, BaseExceptionGroup):
        found = [_find(each, describers, depth + 1) for each in error.exceptions]
        return None if None in found else found[0]
    cause = error.__cause__
    return None if cause is None else _find(cause, describers, depth + 1)


def _ask(describe: DescribeError, error: BaseException) -> ErrorData | None:
    try:
        return describe(error)
    except Exception:
        logger.exception("cannot describe a %s", type(error).__name__)
        return None


def _describe_http_error(error: BaseException) -> ErrorData | None:
    """Describe what `abort` raises in a chain by its own status and description."""
    if not isinstance(error, HTTPException):
        return None
    status = error.code if error.response is None else error.response.status_code
    if status is None or status not in _STATUS_CODES:
        return None
    detail = str(getattr(error, "detail", None) or error.description or _phrase(status))
    return _data(status, detail, _seconds(getattr(error, "retry_after", None)))


def _seconds(retry_after: Any) -> int | None:
    """Return what werkzeug's exceptions have as `retry_after`, a number or a time, in seconds."""
    if isinstance(retry_after, datetime):
        when = retry_after if retry_after.tzinfo else retry_after.replace(tzinfo=UTC)
        retry_after = int((when - datetime.now(UTC)).total_seconds())
    return max(1, retry_after) if _is_int(retry_after) else None


def _data(status: int, detail: str, retry_after: int | None = None) -> ErrorData:
    if retry_after is None:
        return ErrorData(status_code=status, detail=detail)
    return ErrorData(status_code=status, detail=detail, retry_after=retry_after)


def _phrase(status: int) -> str:
    return responses.get(status, "Error")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
