"""What a request asks of its run besides the inputs: by the query string, or by a header."""

import pytest
from quart import Quart, request
from werkzeug.datastructures import MultiDict

from quart_lanarky import InputError
from quart_lanarky.protocols.base import RequestOption
from quart_lanarky.transports.request_options import asked_names, read_request_options

SHOW = RequestOption("show", "What is sent.", {"type": "string"}, header="Lanarky-Show")
PLACE = RequestOption("place", "Where.", {"type": "string"})


async def read(path: str, **headers: str) -> tuple[dict[str, str], dict[str, str]]:
    async with Quart(__name__).test_request_context(path, headers=headers):
        query = MultiDict(request.args)
        given = read_request_options([SHOW, PLACE], request, query)  # type: ignore[arg-type]
        return given, query.to_dict()


async def test_options_are_taken_out_of_the_query_string() -> None:
    assert await read("/?show=a,b&question=x&place=here") == (
        {"show": "a,b", "place": "here"},
        {"question": "x"},
    )


async def test_a_header_counts_where_the_query_string_has_nothing() -> None:
    assert (await read("/", **{"Lanarky-Show": "a"}))[0] == {"show": "a"}
    assert (await read("/?show=", **{"Lanarky-Show": "a"}))[0] == {"show": ""}
    assert await read("/") == ({}, {})


async def test_an_option_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        await read("/?show=a&show=b")
    assert caught.value.fields == {"show": "is given more than once"}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["a", "b"]),
        ({"show": ""}, []),
        ({"show": "b"}, ["b"]),
        ({"show": " b , a,"}, ["a", "b"]),
    ],
)
def test_a_request_may_ask_for_less(asked: dict[str, str], names: list[str]) -> None:
    assert asked_names(asked, "show", ("a", "b")) == names


@pytest.mark.parametrize("value", ["c", "a,c", "A", "a b", "x" * 10_000])
def test_a_request_may_not_ask_for_more(value: str) -> None:
    with pytest.raises(InputError) as caught:
        asked_names({"show": value}, "show", ("a", "b"))
    [said] = caught.value.fields.values()
    assert said.endswith("is not among a, b")
    assert len(said) < 100
