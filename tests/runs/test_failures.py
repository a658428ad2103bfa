"""What clients are told of exceptions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from quart import Response
from werkzeug.exceptions import Conflict, Forbidden, HTTPException, TooManyRequests

from quart_lanarky import ConfigurationError
from quart_lanarky.errors import InputError, InputTooLargeError, ServerBusyError
from quart_lanarky.events import ErrorData
from quart_lanarky.runs.failures import UNKNOWN, ErrorTable, Failure, describe_failure

SECRET = "sk-the-text-of-an-exception"


class ShopError(Exception):
    pass


class SoldOutError(ShopError):
    pass


def told(error: BaseException, *others: Any) -> dict[str, Any]:
    """Return what a client is told of an exception of an app that knows of its shop."""
    table = ErrorTable()
    table.add(ShopError, 503, "the shop is closed", 60)
    table.add(SoldOutError, 409, "it is sold out")
    failure = describe_failure(error, table.describe, others)
    return failure.data.model_dump(exclude_unset=True)


def caused_by(cause: BaseException, error: BaseException | None = None) -> BaseException:
    error = RuntimeError(SECRET) if error is None else error
    error.__cause__ = cause
    return error


def in_turn(error: BaseException, times: int) -> BaseException:
    for _ in range(times):
        error = caused_by(error)
    return error


SOLD_OUT = {"status_code": 409, "detail": "it is sold out"}
NOTHING = {"status_code": 500, "detail": "Internal Server Error"}


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (SoldOutError(SECRET), SOLD_OUT),
        (
            ShopError(SECRET),
            {"status_code": 503, "detail": "the shop is closed", "retry_after": 60},
        ),
        (type("Torn", (SoldOutError,), {})(SECRET), SOLD_OUT),
        (ValueError(SECRET), NOTHING),
        (caused_by(SoldOutError(SECRET)), SOLD_OUT),
        (in_turn(SoldOutError(SECRET), 10), SOLD_OUT),
        (in_turn(SoldOutError(SECRET), 1000), NOTHING),
        (caused_by(ShopError(), SoldOutError()), SOLD_OUT),
        (ExceptionGroup(SECRET, [SoldOutError(SECRET)]), SOLD_OUT),
        (ExceptionGroup(SECRET, [SoldOutError(), ShopError()]), SOLD_OUT),
        (ExceptionGroup(SECRET, [SoldOutError(), ValueError()]), NOTHING),
        (ExceptionGroup(SECRET, [ExceptionGroup(SECRET, [caused_by(SoldOutError())])]), SOLD_OUT),
    ],
)
def test_an_apps_own_exception_is_told_by_its_nearest_class(
    error: BaseException, data: dict[str, Any]
) -> None:
    assert told(error) == data


def test_an_exception_that_causes_itself_is_unknown() -> None:
    error = ValueError()
    error.__cause__ = error
    assert told(error) == NOTHING


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (Forbidden("not for you"), {"status_code": 403, "detail": "not for you"}),
        (
            TooManyRequests("later", retry_after=7),
            {"status_code": 429, "detail": "later", "retry_after": 7},
        ),
        (
            TooManyRequests("later", retry_after=-7),
            {"status_code": 429, "detail": "later", "retry_after": 1},
        ),
        (
            HTTPException(response=Response(status=418)),
            {"status_code": 418, "detail": "I'm a Teapot"},
        ),
        (HTTPException(response=Response(status=499)), {"status_code": 499, "detail": "Error"}),
        (HTTPException(response=Response(status=302)), NOTHING),
        (HTTPException(SECRET), NOTHING),
        (
            InputError("no", {"k": "wrong"}),
            {
                "status_code": 400,
                "detail": "no: k: wrong",
                "errors": [{"field": "k", "message": "wrong"}],
            },
        ),
        (InputTooLargeError("less"), {"status_code": 413, "detail": "less"}),
        (ServerBusyError("full"), {"status_code": 503, "detail": "full"}),
    ],
)
def test_an_http_exception_is_told_by_its_status_and_description(
    error: Exception, data: dict[str, Any]
) -> None:
    assert told(error) == data


@pytest.mark.parametrize("zone", [UTC, None])
def test_the_time_of_an_http_exception_is_told_in_seconds(zone: Any) -> None:
    when = (datetime.now(UTC) + timedelta(seconds=100)).replace(tzinfo=zone)
    assert 90 <= told(TooManyRequests("later", retry_after=when))["retry_after"] <= 100


def test_an_apps_word_for_an_http_exception_comes_before_its_own() -> None:
    table = ErrorTable()
    table.add(Conflict, 423)
    data = describe_failure(Conflict("no"), table.describe).data
    assert data == ErrorData(status_code=423, detail="Locked")


def test_what_is_known_of_others_comes_after_the_apps_own() -> None:
    busy = ErrorData(status_code=429, detail="busy")
    assert told(SoldOutError(), lambda _: busy) == SOLD_OUT
    assert told(ValueError(), lambda _: None, lambda _: busy)["detail"] == "busy"
    assert told(caused_by(KeyError()), lambda e: busy if isinstance(e, KeyError) else None) == {
        "status_code": 429,
        "detail": "busy",
    }


def test_a_description_that_fails_is_none(caplog: pytest.LogCaptureFixture) -> None:
    def describe(error: BaseException) -> ErrorData:
        raise LookupError

    assert told(ValueError(), describe) == NOTHING
    assert "cannot describe a ValueError" in caplog.text


@pytest.mark.parametrize(
    ("error", "is_expected"),
    [(SoldOutError(), True), (ShopError(), False), (Forbidden(), True), (ValueError(), False)],
)
def test_what_the_app_means_to_say_is_no_error_in_its_log(
    error: Exception, is_expected: bool
) -> None:
    table = ErrorTable()
    table.add(ShopError, 503)
    table.add(SoldOutError, 409)
    assert describe_failure(error, table.describe).is_expected is is_expected


def test_the_reason_in_the_log_is_the_class_and_no_word_of_a_client() -> None:
    assert describe_failure(ValueError(SECRET), None) == Failure(UNKNOWN, "ValueError")
    assert describe_failure(InputError(SECRET), None).reason == "bad input"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"exception_class": ValueError("x")}, "error_for takes a class of exceptions"),
        ({"exception_class": KeyboardInterrupt}, "error_for takes a class of exceptions"),
        ({"exception_class": "ValueError"}, "error_for takes a class of exceptions"),
        ({"status": 399}, "status= is a status code from 400 to 599"),
        ({"status": 600}, "status= is a status code from 400 to 599"),
        ({"status": "409"}, "status= is a status code from 400 to 599"),
        ({"status": True}, "status= is a status code from 400 to 599"),
        ({"detail": " "}, "detail= is a text for the client"),
        ({"detail": 1}, "detail= is a text for the client"),
        ({"retry_after": 0}, "retry_after= is a whole number of seconds"),
        ({"retry_after": 1.5}, "retry_after= is a whole number of seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        ErrorTable().add(**{"exception_class": ValueError, "status": 409} | wrong)
