"""Messages of a client are counted, and counting stops at the limit."""

from collections.abc import Iterator
from typing import Annotated, Any, NotRequired

import pytest
from langchain_core.messages import AIMessageChunk, AnyMessage, BaseMessage
from pydantic import BaseModel, RootModel
from typing_extensions import TypeAliasType, TypedDict

from quart_lanarky.adapters.langchain.inputs.counting import count_messages
from quart_lanarky.adapters.langchain.inputs.fields import Each, Value
from quart_lanarky.adapters.langchain.inputs.messages import ChatTurns, Message, Messages
from quart_lanarky.adapters.langchain.inputs.policy import InputPolicy
from quart_lanarky.errors import InputError

NEVER = 10**9


class Talk(BaseModel):
    messages: list[AnyMessage] = []
    title: str = ""
    others: "list[Talk]" = []


class Shape(TypedDict):
    history: NotRequired[list[BaseMessage] | None]
    names: list[str]


Named = TypeAliasType("Named", list[Talk])


@pytest.mark.parametrize(
    ("hint", "value", "count"),
    [
        (Messages, "hi", 1),
        (Messages, {"role": "user", "content": ["a", "b", "c"]}, 1),
        (Messages, {"type": "human", "data": {"content": ["a", "b", "c"]}}, 1),
        (Messages, ["user", "hi"], 1),
        (Messages, ["user", ["a", "b", "c"]], 1),
        (Messages, ["a", "b"], 2),
        (Messages, [["user", "hi"], ["ai", ["a", "b"]], {"role": "user", "content": "x"}], 3),
        (Messages, [0, None, {}, [[]]], 4),
        (ChatTurns, [["who?", "me"], ["user", "hi"], "hi"], 3),
        (Message, {}, 1),
        (BaseMessage | None, "x", 1),
        (list[list[BaseMessage]], [["a"], [], ["b", "c"]], 3),
        (tuple[BaseMessage, str], ["a", "b"], 1),
        (dict[str, Messages], {"type": ["a", "b"], "role": "c"}, 3),
        (Talk, {"type": "x", "content": "", "messages": ["a", "b"], "title": "t"}, 2),
        (Talk, {"others": [{"messages": ["a"], "others": [{"messages": ["b"]}]}]}, 2),
        (Talk, {"more": ["a", "b"]}, 0),
        (Named, [{"messages": ["a", "b"]}], 2),
        (RootModel[list[Talk]], [{"messages": ["a", "b"]}], 2),
        (Annotated[Shape | int, "x"], {"history": ["a", "b"], "names": ["x", "y"]}, 2),
        (AIMessageChunk, {"content": ""}, 1),
        (list[str], ["a", "b"], 0),
        (dict[str, Any], {"messages": ["a", "b"]}, 0),
        (Any, ["a", "b"], 0),
        (list, ["a", "b"], 0),
        (Talk, "x", 0),
        (Annotated[list[Talk], ["not a key"]], [{"messages": ["a"]}], 1),
    ],
)
def test_messages_are_counted_by_the_type_of_their_field(hint: Any, value: Any, count: int) -> None:
    assert count_messages(value, hint, NEVER) == count


class Watched(list[Any]):
    """A list that counts how many of its items were read."""

    looked_at = 0

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            Watched.looked_at += 1
            yield item


MANY = 1000


@pytest.mark.parametrize(
    ("hint", "value", "looked_at"),
    [
        (Messages, Watched(MANY * "x"), 0),
        (list[list[BaseMessage]], Watched([["x"]] * MANY), 11),
        (list[Talk], Watched([{}] * MANY), 11),
        (list[list[Talk]], [Watched([{"messages": ["x", "x"]}] * 10) for _ in range(10)], 20),
    ],
)
def test_counting_ends_when_there_are_too_many(hint: Any, value: Any, looked_at: int) -> None:
    Watched.looked_at = 0
    assert count_messages(value, hint, 10) > 10
    assert Watched.looked_at <= looked_at


def test_counting_the_items_of_a_mapped_chain_stops_at_the_limit() -> None:
    each = Each(Value(Messages))
    Watched.looked_at = 0
    with pytest.raises(InputError, match="input: send no more than 10 messages"):
        each.for_chain({"input": Watched(["x"] * MANY)}, InputPolicy(max_messages=10))
    assert Watched.looked_at == 11


@pytest.mark.parametrize("hint", [list[list[BaseMessage]], list[Talk], dict[str, list[Talk]]])
def test_a_list_longer_than_the_limit_is_too_many_messages_whatever_it_holds(hint: Any) -> None:
    value: Any = [[]] * 11
    assert count_messages({"a": value} if hint == dict[str, list[Talk]] else value, hint, 10) > 10


def test_messages_in_a_deeply_nested_value_can_be_counted() -> None:
    deep: Any = {"messages": ["a"]}
    for _ in range(20_000):
        deep = {"others": [deep]}
    assert count_messages(deep, Talk, 10) == 1
