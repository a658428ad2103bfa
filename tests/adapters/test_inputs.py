"""The fields of chains and factories, and what is refused."""

from enum import IntEnum
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from langchain_classic.chains import ConversationChain, LLMChain
from langchain_core.language_models import FakeListChatModel
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda
from pydantic import Field
from werkzeug.datastructures import MultiDict

from quart_lanarky.adapters.langchain.inputs import (
    Fields,
    chain_inputs,
    factory_name,
    factory_parameters,
)
from quart_lanarky.errors import ConfigurationError, InputError
from tests.adapters.test_chains import LCEL, MODEL, agent, qa

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable


@pytest.mark.parametrize(
    ("chain", "message", "called_with"),
    [
        (LCEL, {"question": "hi"}, {"question": "hi"}),
        (LCEL, "hi", {"question": "hi"}),
        (qa(), {"query": "hi"}, {"query": "hi"}),
        (qa(), "hi", {"query": "hi"}),
        (agent(), {"input": "hi"}, {"input": "hi"}),
        (agent().with_config(tags=["x"]), "hi", {"input": "hi"}),
        (RunnableLambda(lambda text: text), {"input": [1]}, [1]),
        (RunnableLambda(lambda text: text), "hi", "hi"),
    ],
)
def test_what_a_chain_is_called_with(chain: Any, message: Any, called_with: Any) -> None:
    assert chain_inputs(chain).for_chain(message) == called_with


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainDeprecationWarning")
def test_a_classic_chain_takes_the_keys_that_it_names_and_not_those_of_its_memory() -> None:
    model = FakeListChatModel(responses=["hi"])
    chain = LLMChain(llm=model, prompt=PromptTemplate.from_template("{a}{b}"))
    assert set(chain_inputs(chain).hints) == {"a", "b"}
    assert set(chain_inputs(ConversationChain(llm=model)).hints) == {"input"}


def test_fields_may_have_any_name() -> None:
    chain = ChatPromptTemplate.from_template("{schema}{copy}{model_name}{json}") | MODEL
    message = {"schema": "a", "copy": "b", "model_name": "c", "json": "d"}
    assert chain_inputs(chain).for_chain(message) == message


def test_an_optional_input_may_be_missing() -> None:
    prompt = ChatPromptTemplate.from_messages([("placeholder", "{history}"), ("human", "{q}")])
    assert chain_inputs(prompt | MODEL).for_chain({"q": "hi"}) == {"q": "hi"}


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ({}, {"question": "Field required"}),
        ({"question": 1}, {"question": "Input should be a valid string"}),
        (
            {"question": "q", "x": 1, "y": 2},
            {"x": "Extra inputs are not permitted", "y": "Extra inputs are not permitted"},
        ),
    ],
)
def test_each_wrong_field_is_named(message: Any, fields: dict[str, str]) -> None:
    with pytest.raises(InputError) as refused:
        chain_inputs(LCEL).for_chain(message)
    assert refused.value.fields == fields


def test_a_bare_text_for_several_inputs_is_refused_with_their_names() -> None:
    with pytest.raises(InputError, match="inputs of this chain: a, b"):
        Fields({"a": str, "b": str}).for_chain("hi")


# -- parameters of factories ---------------------------------------------------------------


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


def factory(
    count: int,
    size: Size = Size.SMALL,
    style: Literal["plain", "rich"] = "plain",
    top: Annotated[float, Field(ge=0, le=1)] = 0.5,
    names: list[str] | None = None,
    anything=None,  # type: ignore[no-untyped-def]  # noqa: ANN001
) -> "Runnable[Any, Any]": ...


def parameters(**query: Any) -> dict[str, Any]:
    fields = factory_parameters(factory)
    return fields.check(fields.pick(MultiDict(query)))


def test_parameters_are_converted_to_their_annotations() -> None:
    query = {"count": "3", "size": "2", "style": "rich", "top": "0.25", "names": ["a"]}
    assert parameters(**query, anything="x") == {
        "count": 3,
        "size": Size.LARGE,
        "style": "rich",
        "top": 0.25,
        "names": ["a"],
        "anything": "x",
    }


def test_parameters_with_a_default_may_be_missing() -> None:
    assert parameters(count="3") == {"count": 3}


def test_the_last_of_several_values_counts_for_a_single_one() -> None:
    assert parameters(count=["1", "2"], names=["a", "b"]) == {"count": 2, "names": ["a", "b"]}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "count"),
        ({"count": "many"}, "count"),
        ({"count": "1", "size": "3"}, "size"),
        ({"count": "1", "style": "baroque"}, "style"),
        ({"count": "1", "top": "2"}, "top"),
        ({"count": "1", "unknown": "2"}, "unknown"),
    ],
)
def test_a_wrong_parameter_is_named(query: dict[str, str], field: str) -> None:
    with pytest.raises(InputError) as refused:
        parameters(**query)
    assert list(refused.value.fields) == [field]


def test_a_return_annotation_for_type_checkers_alone_does_not_matter() -> None:
    assert "count" in factory_parameters(factory).hints


class Factory:
    def method(self, k: "int") -> object: ...
    def __call__(self, k: "int", more: int = 0) -> object: ...


def decorated(k: "int") -> object: ...


def logged(function: Any) -> Any:
    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any: ...

    return wrapper


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (Factory().method, "Factory.method"),
        (Factory(), "Factory.__call__"),
        (partial(Factory(), more=1), "Factory.__call__"),
        (partial(partial(factory, 1), top=0.5), "factory"),
        (logged(decorated), "decorated"),
    ],
)
def test_a_factory_may_be_any_callable(made: Any, name: str) -> None:
    fields = factory_parameters(made)
    key = "size" if name == "factory" else "k"
    assert fields.check(fields.pick(MultiDict({key: "2"})))[key] == 2
    assert factory_name(made) == f"the chain factory {name}()"


def test_an_annotation_that_cannot_be_resolved_is_the_developers_error() -> None:
    def lost(where: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match=r"lost\(\): name 'Nowhere' is not defined"):
        factory_parameters(lost)


@pytest.mark.parametrize("kind", ["args", "kwargs", "positional"])
def test_a_parameter_that_cannot_be_filled_by_name_is_the_developers_error(kind: str) -> None:
    def star(*args: int) -> None: ...
    def double_star(**kwargs: int) -> None: ...
    def positional(a: int, /) -> None: ...

    wrong = {"args": star, "kwargs": double_star, "positional": positional}[kind]
    with pytest.raises(ConfigurationError, match="cannot come from a query string"):
        factory_parameters(wrong)
