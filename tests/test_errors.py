"""The error tree: what an app can catch, and what a client gets to read."""

import json

import pytest
from werkzeug.exceptions import BadRequest

from quart_lanarky import errors
from quart_lanarky.errors import ChainTypeError, ConfigurationError, InputError, LanarkyError

BODIES = {"FieldProblem", "InputProblem"}


@pytest.mark.parametrize("name", sorted(set(errors.__all__) - BODIES))
def test_every_error_is_in_the_tree(name: str) -> None:
    assert issubclass(getattr(errors, name), LanarkyError)
    assert name in (errors.__doc__ or "")


def test_what_the_developer_did_wrong_is_also_a_builtin_error() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(ChainTypeError, TypeError)


def test_what_the_client_did_wrong_is_never_the_developers_error() -> None:
    assert issubclass(InputError, BadRequest)
    assert not issubclass(InputError, ConfigurationError)


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
