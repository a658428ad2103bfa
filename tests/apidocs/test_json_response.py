"""The JSON response of a route is described as it is sent, in each protocol."""

from typing import Any

import pytest

from quart_lanarky.apidocs.json_response import example_json_response, json_response
from quart_lanarky.protocols.json_schema import Components
from quart_lanarky.protocols.native.examples import example_turn
from tests.apidocs.specs import described, problem


def test_the_example_of_the_json_response_matches_that_of_the_stream() -> None:
    answer = example_json_response(described())
    assert answer is not None
    turn = example_turn(described(), "json")
    tokens = [event.json()["token"] for event in turn if event.name == "completion"]
    assert answer["output"] == "".join(tokens)
    assert [document["id"] for document in answer["source_documents"]] == [None]


def test_an_answer_without_documents_has_no_such_key() -> None:
    assert list(example_json_response(described(events={})) or ()) == ["output"]
    components = Components()
    content = json_response(described(events={}), "Qa", components)
    assert list(components.resolve(content["schema"])["properties"]) == ["output"]


@pytest.mark.parametrize("output", [int, Any])
def test_an_answer_that_is_no_text_has_no_example(output: Any) -> None:
    assert example_json_response(described(output=output)) is None
    assert "example" not in json_response(described(output=output), "Qa", Components())


def test_the_example_fits_the_schema() -> None:
    components = Components()
    content = json_response(described(), "Qa", components)
    assert content["schema"] == {"$ref": "#/components/schemas/QaAnswer"}
    assert problem(content["example"], content["schema"], components.added) is None
    assert problem({**content["example"], "more": 1}, content["schema"], components.added)
    assert problem({}, content["schema"], components.added)
