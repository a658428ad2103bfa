"""The inputs of a graph: what LangGraph needs, and what the class of the state validates itself."""

import operator
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, get_origin

import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from pydantic import BaseModel, ConfigDict, field_validator, model_validator
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic.v1 import BaseModel as OldModel
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.adapters.langchain.kinds.chain_inputs import chain_inputs
from quart_lanarky.errors import InputError


class Checked(BaseModel):
    text: str
    top: int = 3

    @field_validator("text")
    @classmethod
    def not_bad(cls, text: str) -> str:
        if text == "bad":
            raise ValueError("the text is bad")
        return text

    @model_validator(mode="after")
    def not_longer(self) -> "Checked":
        if self.top > len(self.text):
            raise ValueError("top is beyond the text")
        return self


@pydantic_dataclass
class CheckedData:
    text: str
    top: int = 3

    @field_validator("text")
    @classmethod
    def not_bad(cls, text: str) -> str:
        return Checked.not_bad(text)

    def __post_init__(self) -> None:
        if self.top > len(self.text):
            raise ValueError("top is beyond the text")


@dataclass
class Data:
    text: str
    top: int = 3

    def __post_init__(self) -> None:
        if self.text == "bad":
            raise ValueError("the text is bad")


class Configured(BaseModel):
    model_config = ConfigDict(str_min_length=2)

    text: str
    top: int = 3


class Split(BaseModel):
    tags: list[str]
    top: int = 3

    @field_validator("tags", mode="before")
    @classmethod
    def split(cls, tags: Any) -> Any:
        return tags.split(",") if isinstance(tags, str) else tags


class SplitAll(BaseModel):
    tags: list[str]
    top: int = 3

    @field_validator("*", mode="before")
    @classmethod
    def split(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value


class Legacy(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages]
    words: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def split(cls, values: Any) -> Any:
        words = values.get("words", [])
        return {**values, "words": words.split() if isinstance(words, str) else words}


class Topic(MessagesState):
    topic: str


class Counting(BaseModel):
    messages: Annotated[list[AnyMessage], add_messages]
    count: Annotated[int, operator.add]
    topic: str


class OldState(OldModel):
    text: str


def graph(state: Any, **options: Any) -> Any:
    builder = StateGraph(state).add_node("node", lambda _: {}).add_edge(START, "node")
    return builder.compile(**options)


def required(chain: Any) -> dict[str, bool]:
    hints = chain_inputs(chain).hints
    return {name: get_origin(hint) is not NotRequired for name, hint in hints.items()}


def refused(chain: Any, message: Any) -> dict[str, str]:
    with pytest.raises(InputError) as refusal:
        chain_inputs(chain).for_chain(message)
    return refusal.value.fields


# -- what has to be sent -------------------------------------------------------------------


def test_messages_may_be_missing_if_there_is_something_else() -> None:
    fields = chain_inputs(graph(Topic))
    assert required(graph(Topic)) == {"messages": False, "topic": False}
    assert fields.for_chain({"topic": "cats"}) == {"topic": "cats"}
    assert fields.for_chain("hi") == {"messages": [HumanMessage("hi")]}
    assert fields.text_field == "messages"
    assert required(graph(MessagesState)) == {"messages": True}


async def test_a_field_of_a_model_that_begins_with_a_value_may_be_missing() -> None:
    chain = graph(Counting)
    assert required(chain) == {"messages": False, "count": False, "topic": True}
    await chain.ainvoke(chain_inputs(chain).for_chain({"topic": "cats"}))
    assert refused(chain, {"count": 1}) == {"topic": "Field required"}
    assert list(refused(chain, {"topic": "cats", "count": "many"})) == ["count"]


def test_with_a_checkpointer_a_thread_may_have_the_fields_already() -> None:
    chain = graph(Counting, checkpointer=InMemorySaver())
    assert not any(required(chain).values())
    assert chain_inputs(chain).for_chain({"count": 1}) == {"count": 1}
    assert list(refused(chain, {"count": "many"})) == ["count"]


# -- what the class of the state validates -------------------------------------------------


@pytest.mark.parametrize("state", [Checked, CheckedData, Data])
def test_a_value_that_the_class_refuses_is_refused_with_its_field(state: Any) -> None:
    with pytest.raises(InputError, match="the text is bad") as refusal:
        chain_inputs(graph(state)).for_chain({"text": "bad"})
    assert refusal.value.fields == ({} if state is Data else {"text": "the text is bad"})
    assert chain_inputs(graph(state)).for_chain({"text": "good"}) == {"text": "good"}
    assert list(refused(graph(state), {"top": 1})) == ["text"]


@pytest.mark.parametrize("state", [Checked, CheckedData])
def test_a_state_that_the_class_refuses_as_a_whole_is_refused(state: Any) -> None:
    with pytest.raises(InputError, match="top is beyond the text"):
        chain_inputs(graph(state)).for_chain({"text": "good", "top": 9})


def test_with_a_checkpointer_the_class_is_only_asked_about_what_was_sent() -> None:
    fields = chain_inputs(graph(Checked, checkpointer=InMemorySaver()))
    assert fields.for_chain({"top": 9}) == {"top": 9}
    assert fields.for_chain({"text": "a"}) == {"text": "a"}  # the thread may have another `top`
    chain = graph(Checked, checkpointer=InMemorySaver())
    assert refused(chain, {"text": "bad"}) == {"text": "the text is bad"}


def test_the_configuration_of_a_model_counts() -> None:
    assert list(refused(graph(Configured), {"text": "a"})) == ["text"]
    assert chain_inputs(graph(Configured)).for_chain({"text": "ab", "top": "3"})["top"] == 3


@pytest.mark.parametrize("state", [Split, SplitAll])
async def test_what_a_validator_converts_may_be_of_any_type(state: Any) -> None:
    chain = graph(state)
    assert (await chain.ainvoke(chain_inputs(chain).for_chain({"tags": "a,b"})))["tags"] == "a,b"
    assert list(refused(chain, {"tags": [1]})) == ["tags.0"]
    assert list(refused(chain, {"top": 1})) == ["tags"]


async def test_what_a_model_converts_before_it_validates_may_be_of_any_type() -> None:
    chain = graph(Legacy)
    given = chain_inputs(chain).for_chain({"messages": "hi", "words": "a b"})
    assert given == {"messages": [HumanMessage("hi")], "words": "a b"}
    await chain.ainvoke(given)
    assert list(refused(chain, {"words": [1]})) == ["words.0"]


def test_a_dataclass_of_types_that_pydantic_does_not_know_is_not_validated() -> None:
    class Odd:
        pass

    @dataclass
    class WithOdd:
        text: str
        odd: Odd | None = None

    assert chain_inputs(graph(WithOdd)).for_chain({"text": "a"}) == {"text": "a"}


async def test_a_state_of_pydantic_1_takes_any_object() -> None:
    assert chain_inputs(graph(OldState)).for_chain({"text": "a"}) == {"text": "a"}


async def test_a_bad_state_is_refused_before_the_stream() -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/graph", graph(Checked))
    response = await app.test_client().post("/graph", json={"text": "bad"})
    assert response.status_code == 400
    assert (await response.get_json())["errors"] == [
        {"field": "text", "message": "the text is bad"}
    ]
