"""The error tree: what an app can catch, and what a client gets to read."""

import json
import pickle
from collections.abc import Callable

import pytest
from werkzeug.exceptions import BadRequest, HTTPException

from quart_lanarky import errors
from quart_lanarky.errors import (
    ChainTypeError,
    ConfigurationError,
    ForeignOriginError,
    InputError,
    InputTooLargeError,
    InterruptNotOpenError,
    LanarkyError,
    ModelDeclinedError,
    ServerBusyError,
    ThreadBusyError,
    TooSlowError,
)

BODIES = {"FieldProblem", "InputProblem"}


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - BODIES))
def test_every_error_is_in_the_tree(name: str) -> None:
    assert issubclass(getattr(errors, name), LanarkyError)
    assert name in (errors.__doc__ or "")


def test_errors_of_the_developer_are_also_builtin_errors() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(ChainTypeError, TypeError)


def test_errors_of_the_client_are_no_configuration_errors() -> None:
    assert issubclass(InputError, BadRequest)
    assert not issubclass(InputError, ConfigurationError)


REFUSALS = [
    (InputError, 400),
    (ForeignOriginError, 403),
    (InputTooLargeError, 413),
    (InterruptNotOpenError, 409),
    (ModelDeclinedError, 422),
    (ServerBusyError, 503),
    (ThreadBusyError, 409),
    (TooSlowError, 504),
]


@pytest.mark.parametrize(("refusal", "status"), REFUSALS)
def test_a_refusal_is_answered_with_its_status_and_the_reason_as_json(
    refusal: Callable[[str], HTTPException], status: int
) -> None:
    response = refusal("not so").get_response()
    assert (response.status_code, response.content_type) == (status, "application/json")
    body = json.loads(response.get_data())
    errors = {"errors": []} if status in (400, 413) else {}
    assert body == {"status_code": status, "detail": "not so", **errors}


@pytest.mark.parametrize(("refusal", "status"), REFUSALS)
def test_a_refusal_can_be_pickled(refusal: Callable[[str], HTTPException], status: int) -> None:
    error = refusal("not so")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own
    assert type(copy) is type(error)
    assert (copy.code, copy.get_body()) == (status, error.get_body())
    assert str(copy) == str(error)


@pytest.mark.parametrize(("refusal", "status"), REFUSALS)
def test_only_server_busy_error_has_retry_after(
    refusal: Callable[[str], HTTPException], status: int
) -> None:
    wait = refusal("not now").get_response().headers.get("Retry-After")
    assert (wait is not None and int(wait) > 0) is (status == 503)


def test_an_input_error_names_each_field_in_its_body() -> None:
    response = InputError("no", {"question": "missing", "k": "not a number"}).get_response()
    assert response.status_code == 400
    assert response.content_type == "application/json"
    assert json.loads(response.get_data()) == {
        "status_code": 400,
        "detail": "no: question: missing; k: not a number",
        "errors": [
            {"field": "question", "message": "missing"},
            {"field": "k", "message": "not a number"},
        ],
    }


def test_an_input_error_without_fields_has_its_detail_alone() -> None:
    body = json.loads(InputError("send JSON").get_body())
    assert body == {"status_code": 400, "detail": "send JSON", "errors": []}


def test_an_input_error_names_ten_fields_and_says_how_many_more_there_are() -> None:
    error = InputError("no", {f"x{i}": "wrong" for i in range(1234)})
    assert list(error.fields) == [f"x{i}" for i in range(10)]
    assert error.detail.endswith("; x9: wrong; and 1,224 more")
    assert len(json.loads(error.get_body())["errors"]) == 10
    assert "more" not in InputError("no", {f"x{i}": "wrong" for i in range(10)}).detail


def test_an_input_error_shortens_names_and_texts() -> None:
    error = InputError("no", {"n" * 101: "m" * 301, "n" * 100: "m" * 300})
    assert error.fields == {"n" * 99 + "…": "m" * 299 + "…", "n" * 100: "m" * 300}
