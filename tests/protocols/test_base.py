"""What protocols have in common: the description of a route."""

from pydantic import BaseModel, TypeAdapter

from quart_lanarky.protocols.json_schema import Components
from tests.apidocs.specs import described, problem


def test_additional_inputs_are_refused_unless_the_chain_takes_others() -> None:
    closed = described().input_schema(Components())
    open_ = described(takes_other_inputs=True).input_schema(Components())
    assert closed["additionalProperties"] is False
    assert "additionalProperties" not in open_


class Tree(BaseModel):
    label: str
    children: list["Tree"] = []


def test_recursive_inputs_refuse_additional_fields() -> None:
    components = Components()
    schema = described(body=TypeAdapter(Tree)).input_schema(components)
    assert problem({"label": "x", "children": [{"label": "y"}]}, schema, components.added) is None
    assert problem({"children": []}, schema, components.added)
    assert list(components.resolve(schema)["properties"]) == ["label", "children"]
