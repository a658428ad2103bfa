"""What is wrong with a route is said when it is made; the live tests call the routes."""

from typing import Any

import pytest

from quart_lanarky import stream_chain
from quart_lanarky.adapters.langchain.options import ChainOptions, RouteOptions
from quart_lanarky.adapters.langchain.routing import chain_blueprint
from quart_lanarky.errors import ConfigurationError


def factory() -> None:
    raise AssertionError("nothing is called before a request")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mode": "xml"}, "mode must be 'text' or 'json', not 'xml'"),
        ({"hold_tokens": -1}, "hold_tokens is a number of tokens or None, not -1"),
        ({"input_model": dict}, "input_model= takes a Pydantic model, not <class 'dict'>"),
        ({"input_model": factory}, "input_model= takes a Pydantic model"),
    ],
)
def test_an_option_that_makes_no_sense_is_the_developers_error(
    options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{why}"):
        stream_chain(**options)
    with pytest.raises(ConfigurationError, match=f"^{why}"):
        chain_blueprint("/chat", factory, **options)


def test_an_option_that_is_misspelt_is_an_error() -> None:
    with pytest.raises(TypeError, match="output_keys"):
        stream_chain(output_keys="answer")  # type: ignore[call-overload]


def test_the_options_of_the_signature_are_those_that_are_taken() -> None:
    assert set(ChainOptions.__annotations__) == set(RouteOptions.__dataclass_fields__)


def test_a_parameter_that_cannot_come_from_a_request_is_the_developers_error() -> None:
    with pytest.raises(ConfigurationError, match=r"\*\*rest cannot come from a query string"):
        stream_chain(lambda **rest: None)
