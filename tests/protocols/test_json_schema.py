"""Named schemas are collected without clashes, and no type prevents a spec from being built."""

import json
import logging
import math
import re
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Generic, Literal, Optional, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from typing_extensions import TypedDict

from quart_lanarky.protocols.json_schema import Components, _next_name, pascal
from tests.apidocs.specs import problem, references

REF = "#/components/schemas/"


def model(name: str, **fields: Any) -> Any:
    """Make a model; all its fields are required."""
    return create_model(name, **{field: (kind, ...) for field, kind in fields.items()})


def expanded(schema: Any, components: Components, depth: int = 12) -> Any:
    """Return a schema with its references replaced by what they refer to, to some depth."""
    if depth == 0:
        return ...
    if isinstance(schema, dict):
        if "$ref" in schema:
            return expanded(components.added[schema["$ref"].removeprefix(REF)], components, depth)
        return {key: expanded(value, components, depth - 1) for key, value in schema.items()}
    if isinstance(schema, list):
        return [expanded(item, components, depth - 1) for item in schema]
    return schema


def alone(kind: Any) -> Any:
    """Return the expanded schema of a type without other components."""
    components = Components()
    return expanded(components.of(kind, "validation"), components)


class Inner(BaseModel):
    size: int


class Outer(BaseModel):
    inner: Inner


class Node(BaseModel):
    children: list["Node"] = []


def test_a_referenced_model_becomes_a_component() -> None:
    components = Components()
    schema = components.of(Outer, "validation")
    assert schema["properties"]["inner"] == {"$ref": f"{REF}Inner"}
    assert "$defs" not in schema
    assert list(components.added) == ["Inner"]
    assert components.added["Inner"]["properties"] == {"size": {"type": "integer"}}


def test_a_type_adapter_is_treated_as_its_type() -> None:
    components = Components()
    assert components.of(TypeAdapter(Outer), "validation") == components.of(Outer, "validation")
    assert list(components.added) == ["Inner"]


def test_equal_schemas_share_one_component() -> None:
    components = Components()
    for _ in range(2):
        components.of(list[model("Item", x=int)], "validation")
        components.add("Item", components.added["Item"])
    assert list(components.added) == ["Item"]


def test_different_models_with_the_same_name_are_numbered() -> None:
    components = Components()
    first, second = model("Item", x=int), model("Item", y=int)
    assert components.of(list[first], "validation")["items"] == {"$ref": f"{REF}Item"}
    assert components.of(list[second], "validation")["items"] == {"$ref": f"{REF}Item2"}
    assert components.of(list[first], "validation")["items"] == {"$ref": f"{REF}Item"}
    assert [list(s["properties"]) for s in components.added.values()] == [["x"], ["y"]]


def test_a_model_that_refers_to_a_renamed_one_is_renamed_with_it() -> None:
    components = Components()
    for kind in (int, str):
        outer = model("Outer", inner=model("Inner", size=kind))
        components.of(list[outer], "validation")
        components.of(list[outer], "validation")
    assert sorted(components.added) == ["Inner", "Inner2", "Outer", "Outer2"]
    assert components.added["Outer2"]["properties"]["inner"] == {"$ref": f"{REF}Inner2"}
    assert components.added["Outer"]["properties"]["inner"] == {"$ref": f"{REF}Inner"}


def test_a_recursive_model_refers_to_itself_by_its_new_name() -> None:
    components = Components()
    first, second = model("Node", size=int), Node
    components.of(list[first], "validation")
    assert components.of(second, "validation") == {"$ref": f"{REF}Node2"}
    assert references(components.added["Node2"]) == {f"{REF}Node2"}
    assert components.of(list[second], "validation")["items"] == {"$ref": f"{REF}Node2"}
    assert list(components.added) == ["Node", "Node2"]


def pair_of(kind: Any) -> Any:
    """Make two models that refer to each other."""
    left = create_model("Left", right=(Optional["Right"], None), size=(kind, ...))  # noqa: F821
    right = create_model("Right", left=(left | None, None))
    left.model_rebuild(_types_namespace={"Right": right})
    return left


def test_models_that_refer_to_each_other_are_renamed_together_and_only_once() -> None:
    components = Components()
    for kind in (pair_of(int), pair_of(str)):
        for form in (list[kind], dict[str, kind]):  # two types, so that neither is known before
            schema = components.of(form, "validation")
            assert expanded(schema, components) == alone(form)
    assert sorted(components.added) == ["Left", "Left2", "Right", "Right2"]


def test_a_renamed_model_does_not_take_the_name_of_another_in_the_same_type() -> None:
    components = Components()
    components.of(list[model("Item", x=int)], "validation")
    both = model("Both", one=model("Item", y=int), two=model("Item2", z=int))
    schema = components.of(both, "validation")
    assert expanded(schema, components) == alone(both)


def test_a_taken_name_is_not_reused_even_for_an_equal_schema() -> None:
    schema = Components().of(Inner, "validation")
    components = Components({"Inner": schema, "Inner2": {"type": "null"}})
    assert components.of(list[Inner], "validation")["items"] == {"$ref": f"{REF}Inner3"}
    assert components.add("Inner", schema) == {"$ref": f"{REF}Inner3"}
    assert list(components.added) == ["Inner3"]


def test_a_model_can_have_different_schemas_for_validation_and_serialisation() -> None:
    class Both(BaseModel):
        model_config = ConfigDict(json_schema_serialization_defaults_required=True)

        size: int = 1

    components = Components()
    taken = components.of(list[Both], "validation")["items"]
    given_ = components.of(list[Both], "serialization")["items"]
    assert "required" not in components.resolve(taken)
    assert components.resolve(given_)["required"] == ["size"]


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pets(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    discriminator: str


def test_discriminators_are_removed_but_not_a_field_of_that_name() -> None:
    components = Components()
    schema = components.of(list[Pets], "validation")
    pets = components.resolve(schema["items"])
    assert pets["properties"]["pet"]["oneOf"] == [{"$ref": f"{REF}Cat"}, {"$ref": f"{REF}Dog"}]
    assert "discriminator" not in pets["properties"]["pet"]
    assert pets["properties"]["discriminator"] == {"type": "string"}
    rex = [{"pet": {"kind": "dog"}, "discriminator": "x"}]
    assert problem(rex, schema, components.added) is None
    assert problem([{"pet": {"kind": "cow"}, "discriminator": "x"}], schema, components.added)


class Arbitrary:
    pass


class Odd(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    call: Callable[[int], int]
    thing: Arbitrary
    size: int


def test_fields_that_json_schema_cannot_describe_accept_anything() -> None:
    properties = Components().of(Odd, "validation")["properties"]
    assert properties == {"call": {}, "thing": {}, "size": {"type": "integer"}}


def test_a_type_that_pydantic_cannot_describe_accepts_anything_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "quart_lanarky"):
        assert Components().of(Arbitrary, "validation") == {}
        assert Components().named(Arbitrary, "serialization") == {}
    assert "cannot describe <class" in caplog.text
    assert "Arbitrary" in caplog.text


def test_a_type_that_can_be_described_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    Components().of(Odd, "validation")
    assert caplog.text == ""


def test_a_default_that_is_not_json_serialisable_is_left_out() -> None:
    class Defaulted(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)

        thing: Any = Arbitrary()

    assert Components().of(Defaulted, "validation")["properties"] == {"thing": {}}


def test_no_title_repeats_the_name_of_a_field() -> None:
    assert Components().of(Inner, "validation")["properties"] == {"size": {"type": "integer"}}


def test_an_object_becomes_a_component_with_its_name() -> None:
    components = Components()
    assert components.named(Inner, "serialization") == {"$ref": f"{REF}Inner"}
    assert components.named(Node, "serialization") == {"$ref": f"{REF}Node"}
    assert sorted(components.added) == ["Inner", "Node"]


@pytest.mark.parametrize("kind", [int, str, list[Inner], Any, Literal["a"], Inner | None])
def test_a_type_other_than_an_object_becomes_no_component(kind: Any) -> None:
    components = Components()
    assert components.named(kind, "serialization") == components.of(kind, "serialization")
    assert components.added.keys() <= {"Inner"}


def test_an_object_in_a_type_adapter_becomes_a_component() -> None:
    components = Components()
    reference = components.named(TypeAdapter(dict[str, int]), "serialization")
    assert components.resolve(reference)["additionalProperties"] == {"type": "integer"}


Item = TypeVar("Item")


class Box(BaseModel, Generic[Item]):
    item: Item


class Plain(TypedDict):
    size: int


class Size(Enum):
    SMALL = 1


@pytest.mark.parametrize(
    "kind", [Box[int], Box[Inner], create_model("Größe", x=(int, ...)), Plain, dict[str, int]]
)
def test_a_component_has_a_name_that_openapi_allows(kind: Any) -> None:
    components = Components()
    components.named(kind, "serialization")
    components.of(list[kind], "serialization")
    for name in components.added:
        assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)


def test_a_schema_without_a_reference_resolves_to_itself() -> None:
    components = Components()
    components.of(list[Inner], "validation")
    assert components.resolve({"type": "string"}) == {"type": "string"}
    assert components.resolve({"$ref": f"{REF}Inner"})["type"] == "object"
    assert components.resolve({"$ref": f"{REF}Nobody"}) == {"$ref": f"{REF}Nobody"}


@pytest.mark.parametrize(
    ("name", "following"),
    [("Item", "Item2"), ("Item2", "Item3"), ("Item9", "Item10"), ("V1Item", "V1Item2")],
)
def test_the_number_of_a_name_is_incremented(name: str, following: str) -> None:
    assert _next_name(name) == following


NAMES = st.sampled_from(["Item", "Item2", "Item3", "Page"])
KINDS = st.sampled_from([int, str, bool, Size])
SPECS = st.lists(
    st.tuples(NAMES, KINDS, st.lists(st.integers(0, 20), max_size=3), st.booleans()),
    min_size=1,
    max_size=10,
)
"""For each model its name, what kind of field it has, which earlier ones it refers to, whether
to itself as well."""


def models_of(specs: Any) -> list[Any]:
    made: list[Any] = []
    for name, kind, earlier, is_recursive in specs:
        fields: dict[str, Any] = {"size": (kind, ...)}
        fields |= {f"field{n % len(made)}": (made[n % len(made)], ...) for n in earlier if made}
        if is_recursive:
            fields["more"] = (list[name], [])  # type: ignore[valid-type]  # a forward reference
        new = create_model(name, **fields)
        new.model_rebuild(_types_namespace={name: new})
        made.append(new)
    return made


@settings(max_examples=60)
@given(SPECS, st.sampled_from([{}, {"Item": {}}, {"Item2": {}, "Page": {}}]))
def test_every_reference_leads_to_the_right_definition(specs: Any, taken: Any) -> None:
    components = Components(taken)
    models = models_of(specs)
    schemas = [components.of(list[kind], "validation") for kind in models]
    for kind, schema in zip(models, schemas, strict=True):
        assert expanded(schema, components) == alone(list[kind])
    assert not components.added.keys() & taken.keys()
    assert references([schemas, components.added]) == {REF + name for name in components.added}


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("source_documents", "SourceDocuments"),
        ("qa", "Qa"),
        ("QA", "QA"),
        ("myEvent", "MyEvent"),
        ("a-b.c/d", "ABCD"),
        ("step2", "Step2"),
        ("größe", "GrE"),
        ("", "Chain"),
        ("…", "Chain"),
    ],
)
def test_names_are_converted_to_pascal_case(name: str, title: str) -> None:
    assert pascal(name) == title


class Bounds(BaseModel):
    upper: float = math.inf


class Unbounded(BaseModel):
    default: Bounds = Bounds()
    one: float = math.inf
    two: list[float] = [1.0, math.nan]
    three: Annotated[float, Field(ge=-math.inf, examples=[math.inf])] = 1.0
    four: dict[str, Bounds] = {"a": Bounds()}
    five: float | None = -math.inf


def test_defaults_that_json_lacks_are_left_out() -> None:
    components = Components()
    schema = components.of(Unbounded, "validation")
    text = json.dumps([schema, components.added], allow_nan=False)
    assert "null" not in text.replace('"null"', "")
    properties = schema["properties"]
    assert properties.keys() == Unbounded.model_fields.keys()
    assert [name for name, each in properties.items() if "default" in each] == ["three"]
    assert properties["three"] == {"type": "number", "default": 1.0}
