"""Client data is validated up to the first invalid items, and errors are short."""

import gc
import json
import tracemalloc
from typing import Annotated, Any

import pytest
from annotated_types import Len
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.graph import MessagesState, StateGraph
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass
from quart import Quart
from typing_extensions import TypedDict

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.inputs.checks import MAX_ERRORS, bounded_adapter, problems_of
from quart_lanarky.adapters.langchain.inputs.fields import Fields, ModelFields
from quart_lanarky.adapters.langchain.inputs.messages import ChatTurns, Messages
from quart_lanarky.errors import MAX_FIELDS, InputError


class Point(BaseModel):
    x: int
    y: int


class Shape(BaseModel):
    points: list[Point] = []
    names: dict[str, Point] = {}
    within: "Shape | None" = None
    kind: dict[str, Any] = {"type": "list"}


class Words(TypedDict):
    words: list[int]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = Field(0, validation_alias=AliasChoices("one", AliasPath("two", 0)))
    b: int = Field(0, alias="three")


@dataclass(config=ConfigDict(extra="forbid"))
class ClosedData:
    a: int = 0


class Renaming(Closed):
    @model_validator(mode="before")
    @classmethod
    def rename(cls, value: Any) -> Any:
        return {"one": len(value)}


class Within(BaseModel):
    closed: Closed | None = None
    data: ClosedData | None = None
    several: list[Closed | int] = []


@dataclass
class Marks:
    marks: list[int]


MANY = 1000

NUMBERS = [float, float | None, Annotated[float, Field(ge=-1)], list[float], dict[str, float]]

WIDE = [
    (list[int], ["x"] * MANY),
    (tuple[int, ...], ["x"] * MANY),
    (set[int], [f"x{i}" for i in range(MANY)]),
    (frozenset[int], [f"x{i}" for i in range(MANY)]),
    (dict[str, int], {f"x{i}": "x" for i in range(MANY)}),
    (dict[str, list[int]], {f"x{i}": ["x"] * MANY for i in range(MANY)}),
    (list[int] | None, ["x"] * MANY),
    (Words, {"words": ["x"] * MANY}),
    (Marks, {"marks": ["x"] * MANY}),
    (Shape, {"points": [{}] * MANY}),
    (Shape, {"names": {f"x{i}": {} for i in range(MANY)}}),
    (Shape, {"within": {"within": {"points": [{}] * MANY}}}),
    (Messages, [0] * MANY),
    (ChatTurns, [0] * MANY),
]


def wrong(kind: Any, value: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        bounded_adapter(kind).validate_python(value)
    return caught.value


@pytest.mark.parametrize(("kind", "value"), WIDE)
def test_only_a_few_of_many_wrong_items_are_validated(kind: Any, value: Any) -> None:
    assert 0 < wrong(kind, value).error_count() <= 20
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    assert caught.value.error_count() >= MANY  # as it would be


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (list[int], ["1"] * MANY),
        (dict[str, int], {f"x{i}": str(i) for i in range(MANY)}),
        (dict[int, int], {f"{i}": str(i) for i in range(MANY)}),
        (Annotated[dict[str, int], Len(11, 20)], {f"x{i}": "1" for i in range(15)}),
        (dict[str, int] | dict[str, str], {f"x{i}": "1" for i in range(15)}),
        (Shape, {"names": {f"x{i}": {"x": 1, "y": 2} for i in range(MANY)}}),
        (Shape, {"within": {"within": {}}}),
        (Marks, {"marks": [1]}),
    ],
)
def test_valid_input_is_converted_as_by_a_plain_type_adapter(kind: Any, value: Any) -> None:
    ours, plain = bounded_adapter(kind), TypeAdapter(kind)
    assert ours.validate_python(value) == plain.validate_python(value)
    assert ours.json_schema() == plain.json_schema()


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999", float("inf"), float("nan")])
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_number_is_finite(kind: Any, text: Any) -> None:
    value = [text] if kind == list[float] else {"a": text} if kind == dict[str, float] else text
    assert "finite" in wrong(kind, value).errors()[0]["msg"]


def test_a_number_may_be_infinite_where_the_user_says_so() -> None:
    kind = Annotated[float, Field(allow_inf_nan=True)]
    assert bounded_adapter(kind).validate_python("inf") == float("inf")


def test_the_length_limits_of_a_dict_apply_to_the_whole_dict() -> None:
    error = wrong(Annotated[dict[str, int], Len(0, 20)], {f"x{i}": 1 for i in range(21)})
    assert error.errors()[0]["type"] == "too_long"


UNKNOWN = {f"x{i}": 0 for i in range(MANY)}


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        ({"closed": UNKNOWN}, "closed."),
        ({"closed": {"one": 1, "three": 2, **UNKNOWN}}, "closed."),
        ({"data": {"a": 1, **UNKNOWN}}, "data."),
        ({"several": [1, UNKNOWN]}, "several.1."),
    ],
)
def test_the_first_of_many_unknown_fields_inside_are_named(value: Any, prefix: str) -> None:
    found = problems_of(wrong(Within, value))
    assert list(found)[:10] == [f"{prefix}x{i}" for i in range(10)]
    assert len(found) <= 11


def test_what_a_class_without_other_fields_accepts_is_not_changed() -> None:
    adapter = bounded_adapter(Within)
    assert adapter.validate_python({"closed": {"two": ["7"], "three": 1}}).closed.a == 7
    assert adapter.json_schema() == TypeAdapter(Within).json_schema()
    assert bounded_adapter(Renaming).validate_python(UNKNOWN).a == MANY


def test_the_first_wrong_item_is_named() -> None:
    error = wrong(Shape, {"points": [{"x": 1, "y": 2}, {"x": "left"}, {}]})
    assert list(problems_of(error).items())[:2] == [
        ("points.1.x", "Input should be a valid integer, unable to parse string as an integer"),
        ("points.1.y", "Field required"),
    ]


def test_too_many_errors_to_name_are_counted() -> None:
    kind: Any = TypedDict("kind", {f"x{i}": int for i in range(MANY)})  # type: ignore[misc]
    assert MAX_ERRORS < MANY
    assert problems_of(wrong(kind, {})) == {"": "1,000 values are wrong"}


@pytest.mark.parametrize("fields", [Fields({"words": list[int]}), ModelFields(Marks, dump=True)])
def test_an_input_error_keeps_no_reference_to_the_input(fields: Fields) -> None:
    with pytest.raises(InputError) as refusal:
        fields.check({"words": ["x"], "marks": ["x"]})
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None  # Pydantic's error references the input


# -- through a route -----------------------------------------------------------------------

MB = 2**20
BOUND = 10_000


@pytest.fixture(scope="module")
def app() -> Quart:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    graph = StateGraph(MessagesState)
    graph.add_node("answer", lambda _: {"messages": [HumanMessage("hi")]})
    graph.set_entry_point("answer")
    lanarky.add_chain("/graph", graph.compile())
    lanarky.add_chain("/model", FakeListChatModel(responses=["hi"]))
    lanarky.add_chain("/shape", RunnableLambda(lambda _: "hi"), input_model=Shape)
    return app


def megabyte(start: str, piece: str, end: str) -> str:
    """Return a body of a megabyte; `#` is replaced by an increasing number."""
    count = (MB - len(start) - len(end)) // (len(piece) + 1 + 5 * piece.count("#"))
    return start + ",".join(piece.replace("#", str(i)) for i in range(count)) + end


HOSTILE = {
    "messages": ("/graph", megabyte('{"messages": [', "0", "]}")),
    "messages that are wrong in many ways": (
        "/graph",
        megabyte('{"messages": [{"type": "ai", "content": "", "tool_calls": [', "{}", "]}]}"),
    ),
    "a long role": ("/graph", megabyte('{"messages": [{"content": "", "role": "', "x", '"}]}')),
    "unknown names": ("/graph", megabyte("{", '"#": 0', "}")),
    "a value": ("/model", megabyte('{"input": [', "0", "]}")),
    "a deep value": ("/model", '{"input": %s}' % ("[" * 900 + "]" * 900)),
    "too deep for Python": ("/model", '{"input": ' + "[" * (MB - 10)),
    "objects": ("/shape", megabyte('{"points": [', "{}", "]}")),
    "objects by name": ("/shape", megabyte('{"names": {', '"#": {}', "}}")),
    "unknown names of a model": ("/shape", megabyte("{", '"#": 0', "}")),
    "a long name inside": ("/shape", megabyte('{"names": {"', "x", '": {}}}')),
    "a long name": ("/shape", megabyte('{"', "x", '": 0}')),
    "a deep model": ("/shape", '{"within": ' * 200 + "0" + "}" * 200),
    "broken JSON": ("/shape", megabyte('{"points": [', "x", "")),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_the_response_to_a_megabyte_of_wrong_input_is_short(app: Quart, name: str) -> None:
    path, body = HOSTILE[name]
    headers = {"Content-Type": "application/json"}
    response = await app.test_client().post(path, data=body, headers=headers)
    answer = await response.get_data()
    assert (response.status_code, len(answer) <= BOUND) == (400, True), len(answer)
    assert len(json.loads(answer)["errors"]) <= MAX_FIELDS


@pytest.mark.parametrize("name", HOSTILE)
async def test_the_events_for_a_wrong_message_of_a_megabyte_are_short(
    app: Quart, name: str
) -> None:
    path, body = HOSTILE[name]
    async with app.test_client().websocket(f"{path}/ws") as client:
        await client.send(body)
        error = await client.receive()
        assert json.loads(error)["event"] == "error"
        assert len(error) <= BOUND
        assert json.loads(await client.receive())["event"] == "end"


@pytest.mark.parametrize("path", ["/graph", "/shape"])
async def test_only_ten_of_many_unknown_names_are_reported(app: Quart, path: str) -> None:
    body = {"messages": "hi"} if path == "/graph" else {}
    response = await app.test_client().post(path, json=body | {f"x{i}": 0 for i in range(MANY)})
    answer = await response.get_json()
    unknown = "Extra inputs are not permitted"
    assert answer["errors"] == [{"field": f"x{i}", "message": unknown} for i in range(MAX_FIELDS)]
    assert answer["detail"].endswith("; and 990 more")


async def test_rejected_input_is_freed_without_the_garbage_collector(app: Quart) -> None:
    path, body = HOSTILE["messages"]
    headers = {"Content-Type": "application/json"}
    await app.test_client().post(path, data=body, headers=headers)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(4):
            await app.test_client().post(path, data=body, headers=headers)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 4 * 2 * MB  # Quart keeps the bodies; parsed, each is five times as large


async def test_unknown_names_in_a_query_string_are_not_repeated_at_length(app: Quart) -> None:
    query = "&".join(f"x{i}=" for i in range(5000))
    response = await app.test_client().get(f"/graph?{query}&{'y' * 9000}=")
    assert response.status_code == 400
    assert len(await response.get_data()) <= BOUND
    response = await app.test_client().post(f"/graph?{query}", json={})
    assert response.status_code == 400
    assert len(await response.get_data()) <= BOUND


def test_a_field_is_named_without_the_checks_of_ours() -> None:
    adapter = bounded_adapter(dict[str, int] | list[int])
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python({"k": "x"})
    assert "function-wrap" not in " ".join(problems_of(caught.value))
