"""The parameters of a factory, read from the path and the query string."""

import inspect
import json
import threading
import uuid
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.runnables.base import RunnableSerializable
from langgraph.graph import MessagesState
from langgraph.graph.state import CompiledStateGraph
from pydantic import BaseModel, Field, HttpUrl, Secret, SecretStr
from quart import Request, Websocket
from werkzeug.datastructures import MultiDict

from quart_lanarky.adapters.langchain.inputs.parameters import (
    declared_chain,
    factory_name,
    factory_parameters,
    parameter_defaults,
)
from quart_lanarky.errors import ConfigurationError, InputError
from tests.adapters.chains import LCEL

if TYPE_CHECKING:
    from nowhere import Imaginary


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
) -> "Imaginary": ...


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


def test_a_scalar_parameter_that_is_given_twice_is_refused() -> None:
    """Code that reads the query string itself takes the first value."""
    assert parameters(count=["1"], names=["a", "b"]) == {"count": 1, "names": ["a", "b"]}
    with pytest.raises(InputError, match="count: is given more than once"):
        parameters(count=["1", "1"])


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


def test_an_unresolvable_return_annotation_is_ignored() -> None:
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


class Plain(Enum):
    ONE = 1
    TWO = 2


def kinds(
    *,
    level: Literal[1, 2],
    plain: Plain = Plain.ONE,
    levels: Annotated[list[Literal[1, 2]] | None, Field(max_length=2)] = None,
    several: set[Plain] = frozenset(),  # type: ignore[assignment]
    day: date | None = None,
    ident: uuid.UUID | None = None,
    flag: bool = False,
    top: Annotated[int | None, Field(ge=1, alias="n")] = None,
) -> Iterator[Runnable[Any, Any]]:
    yield LCEL


def test_query_strings_are_parsed_into_literal_and_enum_values() -> None:
    fields = factory_parameters(kinds)
    query = MultiDict([("level", "2"), ("plain", "2"), ("levels", "1"), ("levels", "2")])
    query.update({"several": ["1", "2"], "day": "2026-01-02", "flag": "true", "top": "4"})
    query["ident"] = str(uuid.UUID(int=1))
    assert fields.check(fields.pick(query)) == {
        "level": 2,
        "plain": Plain.TWO,
        "levels": [1, 2],
        "several": {Plain.ONE, Plain.TWO},
        "day": date(2026, 1, 2),
        "ident": uuid.UUID(int=1),
        "flag": True,
        "top": 4,
    }
    assert fields.check({"level": 1, "plain": Plain.TWO}) == {"level": 1, "plain": Plain.TWO}


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ({"level": "3"}, "level", "Input should be 1 or 2"),
        ({"plain": "ONE"}, "plain", "Input should be 1 or 2"),
        ({"levels": "3"}, "levels.0", "Input should be 1 or 2"),
        ({"day": "soon"}, "day", "Input should be a valid date"),
        ({"ident": "x"}, "ident", "Input should be a valid UUID"),
        ({"flag": "maybe"}, "flag", "Input should be a valid boolean"),
        ({"top": "0"}, "top", "Input should be greater than or equal to 1"),
        ({"n": "4"}, "n", "Extra inputs are not permitted"),
        ({"levels": ["1", "2", "1"]}, "levels", "List should have at most 2 items"),
    ],
)
def test_an_invalid_parameter_is_refused_with_the_reason(query: Any, field: str, why: str) -> None:
    fields = factory_parameters(kinds)
    with pytest.raises(InputError) as refusal:
        fields.check(fields.pick(MultiDict({"level": "1", **query})))
    assert list(refusal.value.fields) == [field]
    assert refusal.value.fields[field].startswith(why)


def generating(k: "int") -> "Iterator[Imaginary]":
    yield


async def generating_async(k: "int") -> "AsyncIterator[Imaginary]":
    yield


async def awaited(k: "int") -> "Imaginary": ...


POSTPONED = """
from __future__ import annotations
from typing import Annotated
from pydantic import Field
def factory(k: Annotated[int, Field(le=9)], *, more: list[int] | None = None) -> Imaginary: ...
"""


def postponed() -> Any:
    namespace: dict[str, Any] = {}
    exec(POSTPONED, namespace)  # noqa: S102  # a module with postponed annotations
    return namespace["factory"]


@pytest.mark.parametrize(
    "made",
    [
        generating,
        generating_async,
        awaited,
        contextmanager(generating),
        asynccontextmanager(generating_async),
        postponed(),
    ],
)
def test_a_factory_may_have_any_form(made: Any) -> None:
    fields = factory_parameters(made)
    assert fields.check(fields.pick(MultiDict({"k": "2"}))) == {"k": 2}
    with pytest.raises(InputError, match="k: Field required"):
        fields.check({})


@pytest.mark.parametrize("annotation", ["int[", "1 + None", "typing_extensions.Nowhere"])
def test_an_invalid_annotation_is_a_configuration_error(annotation: str) -> None:
    def odd(where: Any) -> None: ...

    odd.__annotations__["where"] = annotation
    with pytest.raises(ConfigurationError, match=r"odd\(\): .*must be importable at run time"):
        factory_parameters(odd)


def test_an_unresolvable_annotation_is_a_configuration_error() -> None:
    def lost(where: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match=r"lost\(\): name 'Nowhere' is not defined"):
        factory_parameters(lost)


@pytest.mark.parametrize("kind", ["args", "kwargs", "positional"])
def test_a_parameter_that_cannot_be_passed_by_name_is_a_configuration_error(kind: str) -> None:
    def star(*args: int) -> None: ...
    def double_star(**kwargs: int) -> None: ...
    def positional(a: int, /) -> None: ...

    wrong = {"args": star, "kwargs": double_star, "positional": positional}[kind]
    with pytest.raises(ConfigurationError, match="cannot come from a query string"):
        factory_parameters(wrong)


# -- the types in the annotation of a factory ----------------------------------------------


class Question(BaseModel):
    text: str


def making(annotation: Any) -> Any:
    """Return a factory with this return annotation."""

    def make() -> Any: ...

    make.__annotations__["return"] = annotation
    return make


@pytest.mark.parametrize(
    ("annotation", "declared"),
    [
        (Runnable[Question, str], (Question, str)),
        ("Runnable[Question, str]", (Question, str)),
        (Runnable["Question", str], (Question, str)),
        (Runnable[dict[str, Any], list[str]], (dict[str, Any], list[str])),
        (Runnable[Any, str], (Any, str)),
        (Runnable[Annotated[Question, "asked"], str], (Annotated[Question, "asked"], str)),
        (RunnableLambda[Question, str], (Question, str)),
        (RunnableSerializable[Question, str], (Question, str)),
        (Iterator[Runnable[Question, str]], (Question, str)),
        (Generator[Runnable[Question, str], None, None], (Question, str)),
        (AsyncIterator[Runnable[Question, str]], (Question, str)),
        (AsyncGenerator[Runnable[Question, str], None], (Question, str)),
        (Awaitable[Runnable[Question, str]], (Question, str)),
        (Coroutine[Any, Any, Runnable[Question, str]], (Question, str)),
        (Awaitable[Iterator[Runnable[Question, str]]], (Question, str)),
    ],
)
def test_input_and_output_types_are_read_from_a_factorys_annotation(
    annotation: Any, declared: Any
) -> None:
    assert declared_chain(making(annotation)) == declared


@pytest.mark.parametrize(
    "annotation",
    [
        None,
        Any,
        Runnable,
        RunnableSerializable,
        type(LCEL),
        Question,
        str,
        dict[Question, str],
        Callable[[Question], str],
        Iterator[Question],
        Iterator,
        Runnable[Question, str] | None,
        CompiledStateGraph[MessagesState, None, Question, MessagesState],
        "Imaginary",
        "Runnable[Imaginary, str]",
        "Iterator[Imaginary]",
        "Runnable[",
        7,
    ],
)
def test_an_annotation_without_input_and_output_types_is_no_error(annotation: Any) -> None:
    assert declared_chain(making(annotation)) == (Any, Any)


def unannotated(k=1):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    raise NotImplementedError


class Maker:
    def __call__(self, k: int = 1) -> "Runnable[Question, str]":
        raise NotImplementedError


@pytest.mark.parametrize("made", [unannotated, lambda: LCEL, factory, generating, postponed()])
def test_a_factory_need_not_be_annotated(made: Any) -> None:
    assert declared_chain(made) == (Any, Any)


@pytest.mark.parametrize(
    "made",
    [
        Maker(),
        Maker().__call__,
        partial(Maker(), k=2),
        logged(making(Runnable[Question, str])),
        logged(making("Runnable[Question, str]")),
        contextmanager(making(Iterator[Runnable[Question, str]])),
        asynccontextmanager(making(AsyncIterator[Runnable[Question, str]])),
    ],
)
def test_any_callable_may_be_annotated(made: Any) -> None:
    assert declared_chain(made) == (Question, str)


def test_parameter_defaults_are_read_from_the_signature() -> None:
    assert parameter_defaults(factory) == {
        "size": Size.SMALL,
        "style": "plain",
        "top": 0.5,
        "names": None,
        "anything": None,
    }
    assert parameter_defaults(logged(generating)) == {}


# -- the parameters that are not the client's ----------------------------------------------


class Database:
    def __init__(self, url: str) -> None:
        self.url = url


class Account(BaseModel):
    key: str = "sk-1"


@dataclass
class Limits:
    top: int = 3


DATABASE = Database("postgresql://app:secret@host/db")


class Login(BaseModel):
    password: SecretStr


class BaseSettings(BaseModel):
    """Stand in for the class of pydantic-settings."""


class AppSettings(BaseSettings):
    url: str = "postgresql://app:secret@host/db"


def of_the_developer(  # noqa: PLR0913, PLR0917
    k: int = 3,
    database: Database = DATABASE,
    untyped=DATABASE,  # type: ignore[no-untyped-def]  # noqa: ANN001
    anything: Any = DATABASE,
    chain: Runnable[Any, Any] = LCEL,
    make: Callable[[], Any] = Factory,
    kind: type[Any] = Factory,
    key: SecretStr = SecretStr("sk-2"),  # noqa: B008
    keys: list[SecretStr] | None = None,
    secret: Secret[int] | None = None,
    untyped_key=SecretStr("sk-3"),  # type: ignore[no-untyped-def]  # noqa: ANN001, B008
    account: Account = Account(),  # noqa: B008
    login: Login | None = None,
    settings: AppSettings | None = None,
    model: FakeListChatModel | None = None,
    limits: Limits = Limits(),  # noqa: B008
    databases: list[Any] = [DATABASE],  # noqa: B006
    by_name: dict[str, Any] = {"a": {"b": DATABASE}},  # noqa: B006
    condition: threading.Condition | None = None,
    pattern: Any = json,
) -> Any: ...


def test_parameters_that_no_query_string_can_give_are_not_the_clients() -> None:
    assert list(factory_parameters(of_the_developer).names) == ["k"]
    assert parameter_defaults(of_the_developer) == {"k": 3}


@pytest.mark.parametrize(
    "made",
    [
        lambda chain=LCEL: chain,
        lambda make=factory: make,
        lambda database=DATABASE: database,
        partial(lambda tenant, k: None, tenant="acme", k=1),
        partial(factory, count=1, size=2, style="rich", top=1, names=[], anything=1),
    ],
)
def test_what_the_developer_has_bound_is_not_the_clients(made: Any) -> None:
    assert list(factory_parameters(made).names) == []
    assert parameter_defaults(made) == {}


def of_the_client(  # noqa: PLR0913, PLR0917
    number: Decimal = Decimal(1),
    day: date | None = None,
    span: timedelta = timedelta(1),
    ident: uuid.UUID | None = None,
    flags: tuple[bool, ...] = (True,),
    name: Annotated[str, Field(max_length=3)] = "a",
    counts: dict[str, int] = {"a": 1},  # noqa: B006
    address: HttpUrl | None = None,
    account: Account | None = None,
    plain=Size.SMALL,  # type: ignore[no-untyped-def]  # noqa: ANN001
    text="a",  # type: ignore[no-untyped-def]  # noqa: ANN001
    some=(1, "b", None),  # type: ignore[no-untyped-def]  # noqa: ANN001
) -> Any: ...


def test_parameters_that_a_query_string_can_give_are_the_clients() -> None:
    names = list(inspect.signature(of_the_client).parameters)
    assert list(factory_parameters(of_the_client).names) == names
    assert list(parameter_defaults(of_the_client)) == names


def of_request(request: Request) -> Any: ...
def of_socket(socket: Websocket) -> Any: ...
def of_model(q: Account) -> Any: ...
def of_models(q: list[Account] | None) -> Any: ...
def of_secret(key: SecretStr) -> Any: ...
def of_database(database: Database) -> Any: ...
def of_field(k: int = Field(3, le=9)) -> Any: ...


@pytest.mark.parametrize(
    ("made", "advice"),
    [
        (of_request, "`request: .*Request` cannot come from a query string; leave it out, and use"),
        (of_socket, "leave it out, and use `from quart import request`, `websocket`"),
        (of_model, "declare them with input_model=Account or `-> Runnable.Account, str.`"),
        (of_models, "declare them with input_model=Account"),
        (of_secret, "read it from a header or the app's config"),
        (of_database, "give it a default, which clients then cannot change"),
        (of_field, r"of_field\(\): write the parameter k as Annotated"),
    ],
)
def test_a_required_parameter_that_no_query_string_can_give_is_a_configuration_error(
    made: Any, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        factory_parameters(made)
