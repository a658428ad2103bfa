"""Examples are valid: they pass the validation of real data."""

import json
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, field_validator
from typing_extensions import TypedDict

from quart_lanarky.adapters.langchain.inputs.messages import (
    ChatTurn,
    ChatTurns,
    Message,
    Messages,
    TextOrMessages,
)
from quart_lanarky.events import CompletionData
from quart_lanarky.protocols import sse
from quart_lanarky.protocols.base import EncodedEvent, RouteDescription
from quart_lanarky.protocols.json_schema import Components
from quart_lanarky.protocols.native.encode import Mode, encode_frame
from quart_lanarky.protocols.native.examples import (
    NO_EXAMPLE,
    example_events,
    example_input,
    example_turn,
    failed_turn,
)
from quart_lanarky.protocols.native.schemas import (
    event_kinds,
    frame_kinds,
    frame_schema,
    server_sent_event,
)
from tests.apidocs.specs import OURS, described, parsed, problem


class Style(Enum):
    PLAIN = "plain"
    RICH = "rich"


class Size(IntEnum):
    SMALL = 4
    LARGE = 8


class Place(BaseModel):
    city: str
    zip_code: Annotated[int, Field(ge=10000)]
    note: str | None = None


class Trip(BaseModel):
    to: Place
    stops: list[Place]


class Tree(BaseModel):
    label: str
    children: list["Tree"] = []


class Chained(BaseModel):
    following: "Chained | None"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Aliased(BaseModel):
    question: str = Field(alias="Question!")


class Suggested(BaseModel):
    question: Annotated[str, Field(examples=["Why?"], pattern=r"^Why")]


class State(TypedDict):
    messages: Messages
    mood: NotRequired[str]


def fields(**hints: Any) -> Any:
    return TypedDict("Fields", hints)


@pytest.mark.parametrize(
    ("hint", "example"),
    [
        (fields(question=str), {"question": "What is a token?"}),
        (fields(a=int, b=float, c=bool), {"a": 1, "b": 1.0, "c": True}),
        (fields(a=int, b=NotRequired[str]), {"a": 1}),
        (fields(a=NotRequired[int], b=NotRequired[str]), {"a": 1}),
        (fields(style=Style, size=Size), {"style": "plain", "size": 4}),
        (fields(kind=Literal["b", "a"]), {"kind": "b"}),
        (fields(kind=Literal["only"]), {"kind": "only"}),
        (fields(k=Annotated[int, Field(ge=7)]), {"k": 7}),
        (fields(names=list[str]), {"names": []}),
        (fields(anything=Any), {"anything": "What is a token?"}),
        (fields(a=int | None, b=None), {"a": 1, "b": None}),
        (fields(a=int | str), {"a": "What is a token?"}),
        (fields(a=dict[str, int]), {"a": {}}),
        (Place, {"city": "What is a token?", "zip_code": 10000}),
        (Trip, {"to": {"city": "What is a token?", "zip_code": 10000}, "stops": []}),
        (Tree, {"label": "What is a token?"}),
        (fields(pet=Cat | Dog), {"pet": {"kind": "cat"}}),
        (fields(pet=Annotated[Cat | Dog, Field(discriminator="kind")]), {"pet": {"kind": "cat"}}),
        (Aliased, {"Question!": "What is a token?"}),
        (Suggested, {"question": "Why?"}),
        (State, {"messages": "What is a token?"}),
        (fields(input=Message), {"input": "What is a token?"}),
        (fields(input=TextOrMessages), {"input": "What is a token?"}),
        (fields(chat_history=ChatTurns), {"chat_history": "What is a token?"}),
        (fields(turn=ChatTurn), {"turn": "What is a token?"}),
        (fields(turns=list[Messages]), {"turns": []}),
    ],
)
def test_an_example_has_the_required_fields_and_is_valid(hint: Any, example: Any) -> None:
    adapter = TypeAdapter(hint)
    assert example_input(adapter) == example
    adapter.validate_json(json.dumps(example))


def test_an_object_without_declared_fields_has_no_example() -> None:
    assert example_input(TypeAdapter(dict[str, Any])) is NO_EXAMPLE
    assert example_input(TypeAdapter(fields())) is NO_EXAMPLE


def test_a_recursive_model_has_an_example_or_none() -> None:
    example = example_input(TypeAdapter(Chained))
    if example is not NO_EXAMPLE:
        TypeAdapter(Chained).validate_python(example)


def refuse(value: Any) -> Any:
    raise ValueError("no")


@pytest.mark.parametrize(
    "hint",
    [
        Annotated[str, Field(pattern=r"^\d+$")],
        Annotated[str, AfterValidator(refuse)],
        Annotated[int, Field(gt=5)],
        Annotated[list[int], Field(min_length=1)],
    ],
)
def test_a_type_without_a_valid_sample_has_no_example(hint: Any) -> None:
    assert example_input(TypeAdapter(fields(value=hint))) is NO_EXAMPLE


class Fussy(BaseModel):
    question: str

    @field_validator("question", mode="before")
    @classmethod
    def look_up(cls, value: str) -> str:
        return {"known": "value"}[value]


def test_a_type_whose_validator_raises_has_no_example() -> None:
    assert example_input(TypeAdapter(Fussy)) is NO_EXAMPLE


class Step(BaseModel):
    """A step that was taken."""

    name: str
    seconds: float = Field(alias="secs")


class Impossible(BaseModel):
    value: Annotated[str, Field(pattern=r"^\d+$")]


OWN = {"step": Step, "note": str, "steps": list[Step], "impossible": Impossible, "count": int}

MODES: list[Mode] = ["json", "text"]

ROUTES = [
    (described(events=events), mode)
    for mode in MODES
    for events in (OURS, {"completion": CompletionData}, OURS | OWN, {})
]


@pytest.mark.parametrize(("route", "mode"), ROUTES)
def test_every_example_fits_the_type_of_its_event(route: RouteDescription, mode: Mode) -> None:
    components = Components()
    examples = example_events(route, mode)
    for kind in event_kinds(route, mode):
        if kind.name != "impossible":
            schema = server_sent_event(kind, components)
            assert problem(parsed(examples[kind.name]), schema, components.added) is None
    for kind in frame_kinds(route, mode):
        if kind.name != "impossible":
            framed = json.loads(encode_frame(examples[kind.name]))
            assert problem(framed, frame_schema(kind, components), components.added) is None


def test_an_event_without_a_possible_example_has_none() -> None:
    route = described(events=OWN)
    assert "impossible" not in example_events(route, "json")
    assert "impossible" not in [event.name for event in example_turn(route, "json")]


def names(turn: list[EncodedEvent]) -> list[str]:
    return [event.name for event in turn]


def test_an_answer_is_tokens_documents_and_the_end() -> None:
    assert names(example_turn(described(), "json")) == [
        *["completion"] * 3,
        "source_documents",
        "end",
    ]


def test_an_answer_without_documents_is_tokens_and_the_end() -> None:
    turn = example_turn(described(events={"completion": CompletionData}), "json")
    assert names(turn) == ["completion", "completion", "completion", "end"]


def test_custom_events_come_first() -> None:
    turn = example_turn(described(events=OURS | {"note": str, "step": Step}), "json")
    assert names(turn)[:3] == ["note", "step", "completion"]


def test_the_example_of_a_route_without_events_is_the_end() -> None:
    assert names(example_turn(described(events={}), "json")) == ["end"]


def test_tokens_are_json_or_bare_text() -> None:
    as_json, as_text = (example_turn(described(), mode)[0] for mode in MODES)
    assert as_json.json() == {"token": "A token"}
    assert as_text.data == "A token"


def test_the_end_is_json_or_empty() -> None:
    as_json, as_text = (example_turn(described(), mode)[-1] for mode in MODES)
    assert sorted(as_json.json()) == ["outcome", "run_id", "usage"]
    assert as_text.data == ""


@pytest.mark.parametrize("mode", MODES)
def test_a_failure_is_an_error_and_the_end(mode: Mode) -> None:
    error, end = failed_turn(mode)
    assert error.json() == {"status_code": 500, "detail": "Internal Server Error"}
    assert end.name == "end"


@pytest.mark.parametrize(("route", "mode"), ROUTES)
def test_an_example_turn_round_trips_as_bytes(route: RouteDescription, mode: Mode) -> None:
    turn = example_turn(route, mode) + failed_turn(mode)
    assert sse.Decoder().feed(b"".join(map(sse.encode, turn))) == turn


def test_a_custom_event_has_the_aliases_of_its_fields() -> None:
    example = example_events(described(events={"step": Step}), "json")["step"]
    assert example.json() == {"name": "What is a token?", "secs": 1.0}
