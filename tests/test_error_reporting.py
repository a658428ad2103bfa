"""How an app's chain routes report errors: the same over all transports."""

import logging
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from quart import Quart, abort

from quart_lanarky import ConfigurationError, LanarkyExtension
from quart_lanarky.testing import connect, stream

SECRET = "sk-the-text-of-an-exception"


class SoldOutError(Exception):
    pass


class ClosedForTodayError(Exception):
    pass


class ProviderError(Exception):
    """What a provider's package raises, by its names."""

    status_code = 429
    body = {"code": "rate_limit_exceeded"}  # noqa: RUF012  # as a package has it


ProviderError.__module__, ProviderError.__name__ = "openai", "APIError"


def work(what: str) -> str:
    if what == "sold out":
        raise SoldOutError(SECRET)
    if what == "closed":
        raise ClosedForTodayError(SECRET)
    if what == "busy":
        error = ProviderError(SECRET)
        error.response = Response()  # type: ignore[attr-defined]
        raise error
    if what == "forbidden":
        abort(403, "not for you")
    if what == "wrong":
        abort(400, "not like this")
    raise ValueError(SECRET)


class Response:
    headers = {"retry-after": "9"}  # noqa: RUF012  # as a package has it


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/ask", RunnableLambda(work))
    lanarky.error_for(SoldOutError, status=409, detail="it is sold out", retry_after=60)
    lanarky.error_for(ClosedForTodayError, status=503, detail="come back tomorrow")
    return app


CASES = [
    ("sold out", {"status_code": 409, "detail": "it is sold out", "retry_after": 60}),
    (
        "busy",
        {
            "status_code": 429,
            "detail": "the model's provider is busy: try again later",
            "retry_after": 9,
        },
    ),
    ("forbidden", {"status_code": 403, "detail": "not for you"}),
    ("closed", {"status_code": 503, "detail": "come back tomorrow"}),
    ("nobody knows", {"status_code": 500, "detail": "Internal Server Error"}),
]

each_error = pytest.mark.parametrize(("what", "data"), CASES)


@each_error
async def test_over_server_sent_events(app: Quart, what: str, data: Any) -> None:
    events = [e async for e in stream(app.test_client(), "/ask", json={"input": what})]
    assert [event.name for event in events] == ["error", "end"]
    assert events[0].json() == data


@each_error
async def test_over_a_websocket(app: Quart, what: str, data: Any) -> None:
    async with connect(app.test_client(), "/ask/ws") as conversation:
        events = [event async for event in conversation.ask({"input": what})]
        assert events[0].json() == data
        events = [event async for event in conversation.ask({"input": what})]  # it stays open
        assert events[0].json() == data


@each_error
async def test_in_a_json_response(app: Quart, what: str, data: Any) -> None:
    response = await app.test_client().post(
        "/ask", json={"input": what}, headers={"Accept": "application/json"}
    )
    assert (response.status_code, await response.get_json()) == (data["status_code"], data)
    retry_after = data.get("retry_after")
    assert response.headers.get("Retry-After") == (retry_after and str(retry_after))


async def test_a_json_response_that_blames_the_inputs_has_always_the_same_fields(
    app: Quart,
) -> None:
    response = await app.test_client().post(
        "/ask", json={"input": "wrong"}, headers={"Accept": "application/json"}
    )
    assert await response.get_json() == {
        "status_code": 400,
        "detail": "not like this",
        "errors": [],
    }


@pytest.mark.parametrize(
    ("what", "is_logged"),
    [("sold out", False), ("forbidden", False), ("busy", True), ("nobody knows", True)],
)
async def test_only_what_the_app_did_not_mean_to_say_is_logged_with_its_traceback(
    app: Quart, what: str, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    [_ async for _ in stream(app.test_client(), "/ask", json={"input": what})]
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert bool(errors) is is_logged


def test_a_registration_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="status= is a status code"):
        LanarkyExtension().error_for(SoldOutError, status=200)


async def test_two_extensions_do_not_share_what_they_know(app: Quart) -> None:
    other = Quart(__name__)
    LanarkyExtension(other).add_chain("/ask", RunnableLambda(work))
    events = [e async for e in stream(other.test_client(), "/ask", json={"input": "sold out"})]
    assert events[0].json()["status_code"] == 500


async def test_the_api_docs_have_the_statuses_of_an_apps_own_exceptions(app: Quart) -> None:
    client = app.test_client()
    spec = await (await client.get("/openapi.json")).get_json()
    for method in ("get", "post"):
        responses = spec["paths"]["/ask"][method]["responses"]
        assert responses["409"]["description"] == "it is sold out"
        assert {"413", "422", "429", "502", "503", "504"} <= responses.keys()
    app.extensions["QUART_LANARKY"].error_for(KeyError, status=410)
    spec = await (await client.get("/openapi.json")).get_json()
    assert "410" in spec["paths"]["/ask"]["get"]["responses"]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


ODD = {
    "deep": lambda _: nested(100_000),
    "deeper than JSON is written": lambda _: nested(300),
    "a number of too many digits": lambda _: {"a": 10**5000},
    "a deep source document": lambda _: {
        "answer": "hi",
        "context": [Document("x", metadata={"deep": nested(100_000)})],
    },
}


@pytest.mark.parametrize("chain", ODD.values(), ids=ODD)
async def test_an_output_that_cannot_be_written_is_an_error_like_any_other(chain: Any) -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/ask", RunnableLambda(chain))
    client = app.test_client()
    events = [e async for e in stream(client, "/ask", json={"input": "?"})]
    assert [event.name for event in events if event.name != "completion"] == ["error", "end"]
    headers = {"Accept": "application/json"}
    response = await client.post("/ask", json={"input": "?"}, headers=headers)
    assert response.status_code == 500
