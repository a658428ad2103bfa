"""A chain route: any source of chains can be served, with no LLM framework."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import pytest
from openapi_spec_validator import validate
from pydantic import TypeAdapter
from quart import Quart
from typing_extensions import TypedDict

from quart_lanarky import InputError, LanarkyExtension, Run
from quart_lanarky.events import CompletionData, completion
from quart_lanarky.protocols.base import (
    Example,
    MessageDocs,
    RouteDescription,
    RouteDocs,
    StreamDocs,
)
from quart_lanarky.protocols.json_schema import Components
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.settings import Settings
from quart_lanarky.testing import answer_of, connect, stream
from quart_lanarky.transports.route import ChainSource, chain_view
from quart_lanarky.transports.route_description import route_of
from tests.apidocs.specs import problem

Question = TypedDict("Question", {"question": str})  # noqa: UP013
NoParameters = TypedDict("NoParameters", {})  # noqa: UP013


class Echo:
    """A source of chains that answers with the words of the question, in thirty lines."""

    label = "echo"
    names = ()
    request_options = ()

    @property
    def parameters(self) -> "Echo":
        return self

    def pick(self, query: Any) -> dict[str, Any]:
        return {}

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return dict(given)

    async def open(self, connection: Any, *given: Any) -> "Echo":
        return self

    def pick_inputs(self, query: Any) -> dict[str, Any]:
        return dict(query)

    def new_run(self, message: Mapping[str, Any] | str, stream: EventStream) -> Run:
        question = message if isinstance(message, str) else message.get("question")
        if not question:
            raise InputError("no question", {"question": "Field required"})

        async def say() -> str:
            for word in question.split():
                await stream.send(completion(f"{word} "))
            return str(question)

        return Run(stream, say)

    async def inspect_chain(self) -> None: ...

    def describe(self, inspected: Any, *, over_websocket: bool) -> RouteDescription:
        events = {"completion": CompletionData}
        return RouteDescription(TypeAdapter(NoParameters), TypeAdapter(Question), str, events)


@pytest.fixture
def app() -> Quart:
    app = Quart(__name__)
    LanarkyExtension(app)
    source: ChainSource = Echo()
    view = chain_view(source)
    app.add_url_rule("/echo", "echo", view, methods=["GET", "POST"])
    app.add_websocket("/echo/ws", "echo_ws", view)
    app.add_url_rule("/text", "text", chain_view(source, "text"), methods=["POST"])
    return app


QUESTION = {"question": "to be or not"}


@pytest.mark.parametrize(
    ("own", "default", "mode"),
    [(None, "json", "json"), (None, "text", "text"), ("text", "json", "text")],
)
def test_the_mode_of_a_route_is_its_own_or_the_apps(own: Any, default: Any, mode: str) -> None:
    route: Any = route_of(chain_view(Echo(), own))
    settings = Settings(default_mode=default)
    described = route.describe(None, over_websocket=False, settings=settings)
    assert described.protocol.options == {"mode": mode}


async def test_a_source_without_langchain_is_served_over_http(app: Quart) -> None:
    events = [event async for event in stream(app.test_client(), "/echo", json=QUESTION)]
    assert answer_of(events) == "to be or not "
    assert [event.name for event in events] == ["completion"] * 4 + ["end"]
    got = [e async for e in stream(app.test_client(), "/echo", query_string=QUESTION)]
    assert answer_of(got) == "to be or not "


async def test_its_tokens_are_bare_in_text_mode(app: Quart) -> None:
    events = [event async for event in stream(app.test_client(), "/text", json=QUESTION)]
    assert [event.data for event in events] == ["to ", "be ", "or ", "not ", ""]


async def test_it_is_served_as_one_json_response(app: Quart) -> None:
    response = await app.test_client().post(
        "/echo", json=QUESTION, headers={"Accept": "application/json"}
    )
    assert await response.get_json() == {"output": "to be or not"}


async def test_it_is_served_on_a_websocket(app: Quart) -> None:
    async with connect(app.test_client(), "/echo/ws") as conversation:
        for _ in range(2):
            events = [event async for event in conversation.ask("to be")]
            assert answer_of(events) == "to be "


async def test_what_it_refuses_is_a_400(app: Quart) -> None:
    response = await app.test_client().post("/echo", json={})
    assert response.status_code == 400
    assert (await response.get_json())["errors"] == [
        {"field": "question", "message": "Field required"}
    ]
    response = await app.test_client().post("/echo?more=1", json=QUESTION)
    assert (await response.get_json())["errors"] == [{"field": "more", "message": "there is none"}]


async def test_the_api_docs_have_it(app: Quart) -> None:
    response = await app.test_client().get("/openapi.json")
    spec = json.loads(await response.get_data())
    assert set(spec["paths"]["/echo"]) >= {"get", "post"}
    response = await app.test_client().get("/asyncapi.json")
    assert "/echo/ws" in json.dumps(await response.get_json())


async def test_what_it_opens_is_closed_after_its_run(app: Quart) -> None:
    closed = asyncio.Event()

    class Opening(Echo):
        async def open(self, connection: Any, *given: Any) -> Echo:
            resources: AsyncExitStack = given[-1]
            resources.callback(closed.set)
            return self

    app.add_url_rule("/opening", "opening", chain_view(Opening()), methods=["POST"])
    events = [e async for e in stream(app.test_client(), "/opening", json=QUESTION)]
    assert events[-1].name == "end"
    await asyncio.wait_for(closed.wait(), 5)


class Shouting:
    """Another protocol: text in capitals, and what a client sends is its question."""

    options: ClassVar = {"volume": "loud"}
    content_type = "text/plain"
    heartbeat = b"\n"

    headers: ClassVar = {"X-Volume": "11", "Cache-Control": "max-age=60"}

    def __init__(self, settings: Settings | None = None) -> None: ...

    def new_encoder(self) -> Any:
        return self

    def parse_body(self, body: str | bytes) -> str:
        return str(json.loads(body))

    def parse_message(self, frame: str | bytes | None) -> Any:
        return str(frame).lower()

    def encode(self, batch: Any) -> bytes:
        return "".join(self.frames(batch)).encode()

    def frames(self, batch: Any) -> list[str]:
        return [str(event.data).upper() for event in batch if event.name == "completion"]

    def docs(self, route: RouteDescription, name: str, components: Components) -> RouteDocs:
        return ShoutingDocs(name, components)


class ShoutingDocs:
    """What the API docs say of that protocol."""

    http_description = "Answers in capitals."
    receive_description = "Each message is a question."
    send_description = "Each frame is a word."

    examples: ClassVar = [Example("answer", "An answer", "TO BE")]

    def __init__(self, name: str, components: Components) -> None:
        self._text = MessageDocs(
            f"{name}Words",
            "Words",
            components.add(f"{name}Words", {"type": "string"}),
            [Example("word", "A word", "TO")],
            content_type="text/plain",
        )

    def request_body(self) -> MessageDocs:
        return self._text

    def stream(self) -> StreamDocs:
        return StreamDocs("text/plain", self._text.schema, examples=self.examples)

    def client_messages(self) -> list[MessageDocs]:
        return [self._text]

    def server_messages(self) -> list[MessageDocs]:
        return [self._text]


@pytest.fixture
def shouting(app: Quart) -> Quart:
    view = chain_view(Echo(), protocol=Shouting)
    app.add_url_rule("/shout", "shout", view, methods=["POST"])
    app.add_websocket("/shout/ws", "shout_ws", view)
    return app


async def test_a_route_uses_another_protocol(shouting: Quart) -> None:
    app = shouting
    response = await app.test_client().post("/shout", json="to be")
    assert response.content_type == "text/plain"
    assert response.headers["X-Volume"] == "11"
    assert response.headers["Cache-Control"] == "no-store"
    assert await response.get_data() == b"TO BE "
    async with app.test_client().websocket("/shout/ws") as connection:
        await connection.send("OR NOT")
        assert [await connection.receive() for _ in range(2)] == ["OR ", "NOT "]


async def test_the_api_docs_describe_another_protocol_as_it_says(shouting: Quart) -> None:
    response = await shouting.test_client().get("/openapi.json")
    spec = json.loads(await response.get_data())
    operation = spec["paths"]["/shout"]["post"]
    words = {"$ref": "#/components/schemas/EchoWords"}
    assert "Answers in capitals." in operation["description"]
    assert operation["x-chain"] == {"volume": "loud", "websocket": "/shout/ws"}
    content = operation["requestBody"]["content"]
    assert content == {"application/json": {"schema": words, "example": "TO"}}
    answer = operation["responses"]["200"]
    assert "TO BE" in answer["description"]
    assert answer["content"]["text/plain"]["itemSchema"] == words


async def test_the_asyncapi_spec_describes_another_protocol_as_it_says(shouting: Quart) -> None:
    response = await shouting.test_client().get("/asyncapi.json")
    spec = json.loads(await response.get_data())
    [name] = [n for n, channel in spec["channels"].items() if channel["address"] == "/shout/ws"]
    channel = spec["channels"][name]
    assert channel["x-chain"] == {"volume": "loud"}
    [message] = channel["messages"]
    assert spec["components"]["messages"][message]["contentType"] == "text/plain"
    received, sent = (spec["operations"][f"{name}.{way}"] for way in ("receive", "send"))
    assert "Each message is a question." in received["description"]
    assert sent["description"] == "Each frame is a word."


async def test_the_schema_of_refusals_is_the_same_in_each_protocol(shouting: Quart) -> None:
    response = await shouting.test_client().get("/openapi.json")
    paths = json.loads(await response.get_data())["paths"]
    refusals = [paths[path]["post"]["responses"]["400"]["content"] for path in ("/shout", "/echo")]
    schemas = [each["application/json"]["schema"] for each in refusals]
    assert schemas[0] == schemas[1]


async def test_the_json_response_is_the_same_in_each_protocol(shouting: Quart) -> None:
    client = shouting.test_client()
    headers = {"Accept": "application/json"}
    response = await client.post("/shout", json="to be", headers=headers)
    spec = json.loads(await (await client.get("/openapi.json")).get_data())
    content = spec["paths"]["/shout"]["post"]["responses"]["200"]["content"]["application/json"]
    schemas = spec["components"]["schemas"]
    assert problem(await response.get_json(), content["schema"], schemas) is None


@pytest.mark.parametrize("version", ["3.1.0", "3.2.0"])
@pytest.mark.parametrize("examples", [[], ShoutingDocs.examples])
async def test_the_spec_of_another_protocol_is_valid(
    shouting: Quart, version: str, examples: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shouting.config["QUART_LANARKY_OPENAPI_VERSION"] = version
    monkeypatch.setattr(ShoutingDocs, "examples", examples)
    response = await shouting.test_client().get("/openapi.json")
    spec = json.loads(await response.get_data())
    validate(spec)
    answer = spec["paths"]["/shout"]["post"]["responses"]["200"]
    shown = ":\n\n```\nTO BE\n```" if examples else ""
    assert answer["description"] == f"The answer: as it comes, or in a JSON response{shown}"


def test_the_command_lists_a_route_of_another_protocol(shouting: Quart) -> None:
    result = shouting.test_cli_runner().invoke(args=["lanarky", "routes"])
    assert result.exit_code == 0
    assert any(line.startswith("/shout ") for line in result.output.splitlines())


async def test_a_head_has_the_headers_of_the_answer(app: Quart) -> None:
    view = chain_view(Echo(), protocol=Shouting)
    app.add_url_rule("/shout", "shout", view, methods=["GET"])
    response = await app.test_client().head("/shout", query_string=QUESTION)
    assert response.content_type == "text/plain"
    assert response.headers["X-Volume"] == "11"


async def test_a_protocol_may_have_no_frame_for_a_ping(shouting: Quart) -> None:
    shouting.config["QUART_LANARKY_HEARTBEAT"] = 0.02
    async with shouting.test_client().websocket("/shout/ws") as connection:
        await asyncio.sleep(0.1)
        await connection.send("TO")
        assert await connection.receive() == "TO "


async def test_each_turn_has_an_encoder_of_its_own(app: Quart) -> None:
    class Counting(Shouting):
        def __init__(self, settings: Settings | None = None) -> None:
            self.sent = 0

        def new_encoder(self) -> "Counting":
            return Counting()

        def frames(self, batch: Any) -> list[str]:
            self.sent += len(batch)
            return [str(self.sent)] if batch[-1].name == "end" else []

    view = chain_view(Echo(), protocol=Counting)
    app.add_websocket("/count/ws", "count_ws", view)
    async with app.test_client().websocket("/count/ws") as connection:
        for _ in range(2):
            await connection.send("to be")
            assert await connection.receive() == "3"
