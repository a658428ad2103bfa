"""Errors in a route are raised at decoration; the live tests call the routes."""

import time
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from quart import Quart, Response

from quart_lanarky import InputTooLargeError, LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.routing import chain_blueprint
from quart_lanarky.adapters.langchain.service.options import ChainOptions, RouteOptions
from quart_lanarky.errors import ConfigurationError
from quart_lanarky.testing import answer_of, connect
from tests.adapters.chains import LCEL


def factory() -> None:
    raise AssertionError("nothing is called before a request")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mode": "xml"}, "mode must be 'text' or 'json', not 'xml'"),
        ({"hold_tokens": -1}, "hold_tokens is a number of tokens or None, not -1"),
        ({"input_model": dict}, "input_model= takes a Pydantic model, not <class 'dict'>"),
        ({"input_model": factory}, "input_model= takes a Pydantic model"),
        ({"accept": "system"}, "accept= takes a tuple of 'system', 'tools', 'files', "),
        ({"accept": ("images",)}, "accept= takes a tuple of 'system', 'tools', 'files', "),
    ],
)
def test_an_invalid_option_is_a_configuration_error(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{why}"):
        stream_chain(**options)
    with pytest.raises(ConfigurationError, match=f"^{why}"):
        chain_blueprint("/chat", factory, **options)


def test_a_misspelt_option_is_an_error() -> None:
    with pytest.raises(TypeError, match="output_keys"):
        stream_chain(output_keys="answer")  # type: ignore[call-overload]


def test_the_options_of_the_signature_match_chain_options() -> None:
    assert set(ChainOptions.__annotations__) == set(RouteOptions.__dataclass_fields__)


def test_a_parameter_that_no_request_can_provide_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match=r"\*\*rest cannot come from a query string"):
        stream_chain(lambda **rest: None)


# -- bodies that are too large -------------------------------------------------------------


@pytest.mark.parametrize("inputs", [{}, {"question": ["x"], "other": 1}, {"question": None}])
async def test_bad_inputs_are_told_alike_over_http_and_on_a_websocket(inputs: Any) -> None:
    app = Quart(__name__)
    LanarkyExtension(app).add_chain("/chat", LCEL)
    response = await app.test_client().post("/chat", json=inputs)
    problem = await response.get_json()
    async with connect(app.test_client(), "/chat/ws") as conversation:
        first, *_ = [event async for event in conversation.ask(inputs)]
    assert problem["errors"]
    assert (first.name, first.json()) == ("error", problem)


@pytest.fixture
def small_app() -> Quart:
    app = Quart(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 40
    LanarkyExtension(app).add_chain("/chat", LCEL)
    return app


async def test_a_body_that_is_too_large_gets_413(small_app: Quart) -> None:
    response = await small_app.test_client().post("/chat", json={"question": "x" * 40})
    assert response.status_code == 413
    assert response.content_type == "application/json"
    assert await response.get_json() == {
        "status_code": 413,
        "detail": "send no more than 40 bytes",
        "errors": [],
    }


async def test_a_chunked_body_that_is_too_large_gets_413(small_app: Quart) -> None:
    headers = {"Content-Type": "application/json"}
    async with small_app.test_client().request("/chat", method="POST", headers=headers) as sent:
        for _ in range(3):
            await sent.send(b"x" * 20)
        await sent.send_complete()
    response = await sent.as_response()
    assert response.status_code == 413
    assert (await response.get_json())["detail"] == "send no more than 40 bytes"


async def test_a_body_of_the_maximum_size_is_accepted(small_app: Quart) -> None:
    body = b'{"question": "%s"}' % (b"x" * 24)
    assert len(body) == 40
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    response = await small_app.test_client().post("/chat", data=body, headers=headers)
    assert (await response.get_json())["output"] == "hi"


async def test_an_app_can_handle_the_413_with_its_own_error_handler(small_app: Quart) -> None:
    @small_app.errorhandler(413)
    async def shorter(error: InputTooLargeError) -> Response:
        assert isinstance(error, InputTooLargeError)
        return Response("shorter!", 413)

    response = await small_app.test_client().post("/chat", json={"question": "x" * 40})
    assert (response.status_code, await response.get_data()) == (413, b"shorter!")


# -- messages that are too many ------------------------------------------------------------


@pytest.fixture
def terse_app() -> Quart:
    app = Quart(__name__)
    app.config["QUART_LANARKY_MAX_MESSAGES"] = 3
    LanarkyExtension(app).add_chain("/chat", FakeListChatModel(responses=["hi"]))
    return app


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the list of message objects that are created."""
    found: list[object] = []
    make = BaseMessage.__init__

    def note(self: BaseMessage, *args: Any, **kwargs: Any) -> None:
        found.append(self)
        make(self, *args, **kwargs)

    monkeypatch.setattr(BaseMessage, "__init__", note)
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_too_many_messages_get_400_and_no_message_object_is_made(
    terse_app: Quart, made: list[object], method: str
) -> None:
    async def ask(count: int) -> Response:
        client = terse_app.test_client()
        if method == "GET":
            return await client.get("/chat?" + "&".join(["input=x"] * count))
        return await client.post("/chat", json={"input": ["x"] * count})

    response = await ask(4)
    why = "send no more than 3 messages"
    assert response.status_code == 400
    assert await response.get_json() == {
        "status_code": 400,
        "detail": f"the inputs do not fit: input: {why}",
        "errors": [{"field": "input", "message": why}],
    }
    assert made == []
    assert (await ask(3)).status_code == 200
    assert len(made) >= 3


async def test_a_turn_with_too_many_messages_gets_an_error_and_the_next_is_served(
    terse_app: Quart, made: list[object]
) -> None:
    async with connect(terse_app.test_client(), "/chat/ws") as chat:
        [error, end] = [event async for event in chat.ask({"input": ["x"] * 4})]
        assert error.json()["status_code"] == 400
        assert "input: send no more than 3 messages" in error.json()["detail"]
        assert (end.name, made) == ("end", [])
        assert answer_of([event async for event in chat.ask({"input": ["x"] * 3})]) == "hi"


# -- the cost of request headers -----------------------------------------------------------

LONG = 60_000

HOSTILE = [
    {"Accept": "a/b" + " " * LONG + "x"},
    {"Accept": "a/b," * (LONG // 4)},
    {"Content-Type": "application/json" + " " * LONG + "x"},
    {"Content-Type": "application/json" + "; " * (LONG // 2)},
    {"Content-Type": 'application/json; a="' + "\\" * LONG},
    {"Content-Type": "application/json; a*" + "0" * LONG + "x=1"},
    {"Cookie": "session=" + " " * LONG + "x"},
    {"Cookie": 'session="' + "\\" * LONG},
    {"Origin": "http://" + "@" * LONG},
    {"Origin": "http://a:" + "1" * LONG},
    {"Last-Event-ID": "0" * LONG},
    {"Range": "bytes=" + "0-1," * (LONG // 4)},
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("header", HOSTILE)
async def test_no_request_header_takes_long_to_parse(header: dict[str, str], method: str) -> None:
    app = Quart(__name__)
    app.secret_key = "so that the session is read as well"
    LanarkyExtension(app).add_chain("/chat", LCEL)
    path, body = ("/chat?question=hi", b"") if method == "GET" else ("/chat", b'{"question": "hi"}')
    headers = {"Content-Type": "application/json"} | header
    began = time.process_time()
    await app.test_client().open(path, method=method, headers=headers, data=body)
    assert time.process_time() - began < 2  # milliseconds; Werkzeug's Accept takes four and more
