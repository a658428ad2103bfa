"""The AsyncAPI spec describes the WebSocket routes, and is complete in itself."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableLambda
from pydantic import BaseModel, Field
from quart import Blueprint, Quart
from quart_schema import Info, QuartSchema, deprecate, hide, operation_id, security_scheme, tag
from quart_schema.extension import deprecate_blueprint, tag_blueprint

from quart_lanarky import LanarkyExtension, stream_chain
from tests.adapters.chains import LCEL
from tests.apidocs.routes import (
    SilentStreaming,
    SilentWebSocket,
    StepsStreaming,
    StepsWebSocket,
    helper,
)
from tests.apidocs.specs import check_references, decorated, fetched, problem, references, resolve

STEPS = (StepsStreaming, StepsWebSocket)
ANYTHING = (SilentStreaming, SilentWebSocket)
QUERY = ["k", "style", "size", "labels", "names", "near", "number"]
"""The parameters in the query string of `helper`."""


class Order(BaseModel):
    number: Annotated[int, Field(ge=1)]
    note: str | None = None


class Pair(BaseModel):
    first: str
    second: str


def make_app() -> Quart:
    """Make an app with a WebSocket of each kind."""
    app = Quart("shop")
    QuartSchema(app, info=Info(title="Shop", version="1.2.3", summary="All of it"))
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/qa", LCEL)
    lanarky.add_chain("/help/<lang>", helper)
    lanarky.add_chain("/tell", LCEL, mode="text")
    lanarky.add_chain("/steps", LCEL, handlers=STEPS)
    lanarky.add_chain("/any", RunnableLambda(lambda _: "hi"), handlers=ANYTHING)
    lanarky.add_chain("/order", LCEL, input_model=Order)
    lanarky.add_chain("/pair", LCEL, input_model=Pair)

    @app.websocket("/chat")
    @stream_chain
    def chat(k: int, top: int = 4) -> Any:
        """Talk about anything.

        For as long as you like.
        """
        return LCEL

    @app.get("/ask")
    @stream_chain
    def ask() -> Any:
        return LCEL

    @app.websocket("/raw")
    async def raw() -> None: ...

    tenants = Blueprint("tenants", __name__, url_prefix="/v1/<tenant>")
    tenants.websocket("/chat/<int:room>")(stream_chain(tenant_chat))
    app.register_blueprint(tenants)
    return app


def tenant_chat(
    room: Annotated[int, Field(description="The number of the room.")], tenant: str
) -> Any:
    return LCEL


@pytest.fixture(scope="module")
def spec() -> Any:
    return fetched(make_app(), "/asyncapi.json")


@pytest.fixture
def app() -> Quart:
    return Quart("shop")


@pytest.fixture
def lanarky(app: Quart) -> LanarkyExtension:
    QuartSchema(app)
    return LanarkyExtension(app)


def spec_of(app: Quart) -> Any:
    spec = fetched(app, "/asyncapi.json")
    check_references(spec)
    return spec


def messages_of(spec: Any, operation: str) -> dict[str, Any]:
    """Return the messages of an operation by their names, all references followed."""
    found = {}
    for reference in references(spec["operations"][operation]["messages"]):
        message = resolve(spec, resolve(spec, reference)["$ref"])
        found[message["name"]] = message
    return found


def problem_of(spec: Any, message: Any, value: Any) -> str | None:
    return problem(value, message["payload"], spec["components"]["schemas"])


def test_a_channel_has_its_mode_in_the_extension(spec: Any) -> None:
    modes = {name: channel["x-chain"]["mode"] for name, channel in spec["channels"].items()}
    assert modes == {name: "text" if name == "tell" else "json" for name in modes}


def test_the_version_is_3(spec: Any) -> None:
    assert spec["asyncapi"] == "3.0.0"
    assert spec["defaultContentType"] == "application/json"


def test_the_info_is_that_of_the_openapi_spec(spec: Any) -> None:
    assert spec["info"] == {"title": "Shop", "version": "1.2.3"}


def test_the_server_is_the_host_of_the_request(spec: Any) -> None:
    assert spec["servers"] == {"this": {"host": "localhost", "protocol": "ws"}}


def test_every_reference_can_be_resolved(spec: Any) -> None:
    check_references(spec)


def test_every_chain_on_a_websocket_is_a_channel_and_nothing_else(spec: Any) -> None:
    addresses = {name: channel["address"] for name, channel in spec["channels"].items()}
    assert addresses == {
        "qa": "/qa/ws",
        "help_lang": "/help/{lang}/ws",
        "tell": "/tell/ws",
        "steps": "/steps/ws",
        "any": "/any/ws",
        "order": "/order/ws",
        "pair": "/pair/ws",
        "chat": "/chat",
        "tenant_chat": "/v1/{tenant}/chat/{room}",
    }


def test_the_parameters_of_an_address_are_those_of_its_path(spec: Any) -> None:
    for channel in spec["channels"].values():
        inside = {part[1:-1] for part in channel["address"].split("/") if part.startswith("{")}
        assert channel.get("parameters", {}).keys() == inside
    assert spec["channels"]["tenant_chat"]["parameters"] == {
        "room": {"description": "The number of the room."},
        "tenant": {"description": "A part of the path."},
    }


def test_every_channel_has_an_operation_in_each_direction(spec: Any) -> None:
    assert spec["operations"].keys() == {
        f"{name}.{action}" for name in spec["channels"] for action in ("receive", "send")
    }
    for name, operation in spec["operations"].items():
        channel, _, action = name.partition(".")
        assert operation["action"] == action
        assert operation["channel"] == {"$ref": f"#/channels/{channel}"}


def test_the_messages_of_the_operations_are_those_of_the_channel(spec: Any) -> None:
    for name, channel in spec["channels"].items():
        inward, outward = (messages_of(spec, f"{name}.{a}") for a in ("receive", "send"))
        assert not inward.keys() & outward.keys()
        assert channel["messages"].keys() == inward.keys() | outward.keys()


@pytest.mark.parametrize(
    ("channel", "inward"),
    [
        ("qa", {"QaInput", "QaText", "Stop", "Pong"}),
        ("order", {"OrderInput", "Stop", "Pong"}),  # a text is no number
        ("pair", {"PairInput", "Stop", "Pong"}),  # a text would not know where to go
        ("help_lang", {"HelpLangInput", "HelpLangText", "Stop", "Pong"}),
        ("any", {"AnyInput", "AnyText", "Stop", "Pong"}),
    ],
)
def test_a_client_sends_inputs_control_messages_and_texts_where_they_fit(
    spec: Any, channel: str, inward: set[str]
) -> None:
    assert messages_of(spec, f"{channel}.receive").keys() == inward


@pytest.mark.parametrize(
    ("channel", "outward"),
    [
        ("qa", {"Completion", "Retract", "Error", "End", "Ping"}),
        ("help_lang", {"Completion", "Retract", "SourceDocuments", "Error", "End", "Ping"}),
        ("tell", {"CompletionText", "Retract", "Error", "EndText", "Ping"}),
        ("steps", {"Step", "Note", "Completion", "Retract", "Error", "End", "Ping"}),
    ],
)
def test_the_app_sends_the_events_of_its_handlers(
    spec: Any, channel: str, outward: set[str]
) -> None:
    assert messages_of(spec, f"{channel}.send").keys() == outward


def test_handlers_without_declared_events_may_send_other_events(spec: Any) -> None:
    found = messages_of(spec, "any.send")
    [other] = found.keys() - {"Completion", "Retract", "Error", "End", "Ping"}
    assert problem_of(spec, found[other], {"event": "mine", "data": [1]}) is None
    assert problem_of(spec, found[other], {"event": "end", "data": ""})
    assert problem_of(spec, found[other], {"event": "ping", "data": None})


def test_ping_and_pong_are_the_same_on_every_channel(spec: Any) -> None:
    schemas = spec["components"]["schemas"]
    for name in spec["channels"]:
        ping = messages_of(spec, f"{name}.send")["Ping"]["payload"]
        pong = messages_of(spec, f"{name}.receive")["Pong"]["payload"]
        assert ping == {"$ref": "#/components/schemas/PingFrame"}
        assert problem({"event": "ping", "data": None}, ping, schemas) is None
        assert problem({"event": "pong"}, pong, schemas) is None


def test_a_message_has_one_name(spec: Any) -> None:
    for name, message in spec["components"]["messages"].items():
        assert message["name"] == message["title"] == name


def test_every_example_of_a_message_fits_its_payload(spec: Any) -> None:
    without = []
    for name, message in spec["components"]["messages"].items():
        for example in message.get("examples", ()):
            assert problem_of(spec, message, example["payload"]) is None, name
            assert example["summary"], name
        if "examples" not in message:
            without.append(name)
    unknown = {"ChatInput", "TenantChatInput"}  # what these take cannot be seen
    assert {name for name in without if not name.startswith("Other")} == unknown


@pytest.mark.parametrize(
    ("message", "value"),
    [
        ("QaInput", {"question": [7]}),
        ("QaInput", {}),
        ("QaInput", {"question": "x", "more": 1}),
        ("OrderInput", {"number": 0}),
        ("QaText", '{"question": "x"}'),
        ("QaText", '  {"question": "x"}'),
        ("QaText", {"question": "x"}),
        ("Stop", {"event": "stop!"}),
        ("Stop", {}),
        ("Pong", {"event": "ping"}),
        ("Pong", {"event": "pong", "data": None}),
        ("Ping", {"event": "ping"}),
        ("Ping", {"event": "ping", "data": {}}),
        ("Completion", {"event": "completion", "data": '{"token": "x"}'}),
        ("Completion", {"event": "completion", "data": "x"}),
        ("CompletionText", {"event": "completion", "data": {"token": "x"}}),
        ("EndText", {"event": "end", "data": "x"}),
        ("Step", {"event": "step", "data": {"title": "x"}}),
        ("End", {"event": "end"}),
    ],
)
def test_wrong_messages_do_not_fit(spec: Any, message: str, value: Any) -> None:
    assert problem_of(spec, spec["components"]["messages"][message], value)


@pytest.mark.parametrize("text", ["hi", "", "   ", "a {brace}", "[1]", "two\n{lines"])
def test_a_bare_text_does_not_start_with_a_brace(spec: Any, text: str) -> None:
    message = spec["components"]["messages"]["QaText"]
    assert message["contentType"] == "text/plain"
    assert problem_of(spec, message, text) is None


@pytest.mark.parametrize("channel", ["qa", "tell", "steps"])
async def test_real_frames_match_the_spec(channel: str, spec: Any) -> None:
    payloads = [m["payload"] for m in messages_of(spec, f"{channel}.send").values()]
    any_of_them = {"oneOf": payloads}
    app = make_app()
    async with app.test_client().websocket(f"/{channel}/ws") as socket:
        for turn in ("hi", json.dumps({"question": "hi"}), json.dumps({"wrong": 1})):
            await socket.send(turn)
            value: Any = {}
            while value.get("event") != "end":
                value = json.loads(await socket.receive())
                assert problem(value, any_of_them, spec["components"]["schemas"]) is None


def test_a_query_string_is_described_in_the_binding(spec: Any) -> None:
    binding = spec["channels"]["chat"]["bindings"]["ws"]
    assert binding["method"] == "GET"
    assert binding["query"] == {
        "type": "object",
        "properties": {"k": {"type": "integer"}, "top": {"type": "integer", "default": 4}},
        "required": ["k"],
    }


def test_path_parameters_are_not_in_the_query_string(spec: Any) -> None:
    assert "query" not in spec["channels"]["tenant_chat"]["bindings"]["ws"]
    query = spec["channels"]["help_lang"]["bindings"]["ws"]["query"]
    assert list(query["properties"]) == QUERY
    assert "required" not in query


def test_the_query_string_is_described_in_the_text_too(spec: Any) -> None:
    words = spec["operations"]["help_lang.receive"]["description"]
    lines = {line.partition("`: ")[0]: line for line in words.splitlines() if "`: " in line}
    assert list(lines) == [f"- `{name}" for name in QUERY]
    assert "integer, default 4" in lines["- `k"]
    assert "How many documents." in lines["- `k"]
    assert "one of s, l, default s" in lines["- `size"]
    assert "one of plain, rich, default rich" in lines["- `style"]
    assert "query string" not in spec["operations"]["qa.receive"]["description"]


def test_summary_and_description_come_from_the_docstring(spec: Any) -> None:
    chat = spec["channels"]["chat"]
    assert chat["summary"] == "Talk about anything."
    assert chat["description"].startswith("For as long as you like.")
    assert spec["channels"]["qa"]["summary"]


def test_the_text_on_query_parameters_contains_no_python(spec: Any) -> None:
    words = spec["operations"]["help_lang.receive"]["description"]
    assert "None" not in words
    assert "'" not in words


def test_the_description_has_an_example_of_each_frame(spec: Any) -> None:
    words = spec["operations"]["qa.send"]["description"]
    assert '`{"event": "completion", "data": {"token": "A token"}}`' in words
    text = spec["operations"]["tell.send"]["description"]
    assert '`{"event": "completion", "data": "A token"}`' in text
    assert '`{"event": "end", "data": ""}`' in text
    assert '`{"event": "ping", "data": null}`' in words


Decorate = Callable[[Any], Any]


@pytest.fixture(params=["above", "below"])
def build_decorated(
    request: pytest.FixtureRequest, app: Quart, lanarky: LanarkyExtension
) -> Callable[[Decorate], Any]:
    """Build the spec of a WebSocket route whose view, or whose factory, is decorated."""

    def build(decorate: Decorate) -> Any:
        app.websocket("/chat")(decorated(decorate, request.param))
        return spec_of(app)

    return build


def test_a_hidden_route_is_left_out(build_decorated: Callable[[Decorate], Any]) -> None:
    spec = build_decorated(hide)
    assert spec["channels"] == spec["operations"] == {}


def test_tags_and_deprecation_are_described(build_decorated: Callable[[Decorate], Any]) -> None:
    spec = build_decorated(lambda f: tag(["b", "a"])(deprecate(f)))
    for operation in spec["operations"].values():
        assert operation["tags"] == [{"name": "a"}, {"name": "b"}]
        assert "Deprecated." in operation["description"]


def test_a_chosen_operation_id_is_kept(build_decorated: Callable[[Decorate], Any]) -> None:
    spec = build_decorated(operation_id("talk"))
    assert list(spec["channels"]) == ["talk"]
    assert list(spec["operations"]) == ["talk.receive", "talk.send"]


def test_an_operation_id_with_special_characters_keeps_references_valid(
    build_decorated: Callable[[Decorate], Any],
) -> None:
    spec = build_decorated(operation_id("chat/ask~it"))  # spec_of() checks the references
    assert len(spec["channels"]) == 1


def test_tags_and_deprecation_of_a_blueprint_apply_to_its_chain_routes(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    blueprint = lanarky.add_chain("/chat", LCEL)
    tag_blueprint(blueprint, ["chats"])
    deprecate_blueprint(blueprint)
    operation = spec_of(app)["operations"]["chat.send"]
    assert operation["tags"] == [{"name": "chats"}]
    assert "Deprecated." in operation["description"]


def test_two_rules_of_one_view_are_two_channels(app: Quart, lanarky: LanarkyExtension) -> None:
    def chat(room: str = "hall") -> Any:
        return LCEL

    view = stream_chain(chat)
    app.websocket("/chat")(view)
    app.websocket("/chat/<room>")(view)
    spec = spec_of(app)
    assert spec["channels"].keys() == {"chat", "chat_2"}
    addresses = {channel["address"] for channel in spec["channels"].values()}
    assert addresses == {"/chat", "/chat/{room}"}
    assert len(spec["operations"]) == 4


def test_different_messages_of_one_name_are_renamed(app: Quart, lanarky: LanarkyExtension) -> None:
    for n, kind in enumerate((int, str, int)):
        step = type("Step", (BaseModel,), {"__annotations__": {"size": kind}})
        pair = [
            type(base.__name__, (base,), {"events": {"step": step}, "__module__": "users"})
            for base in STEPS
        ]
        lanarky.add_chain(f"/chat{n}", LCEL, handlers=tuple(pair))
    spec = spec_of(app)
    for n, good, bad in ((0, 1, "x"), (1, "x", 1), (2, 1, "x")):
        found = messages_of(spec, f"chat{n}.send")
        [step] = [message for name, message in found.items() if name.startswith("Step")]
        assert problem_of(spec, step, {"event": "step", "data": {"size": good}}) is None
        assert problem_of(spec, step, {"event": "step", "data": {"size": bad}})
    assert len([n for n in spec["components"]["messages"] if n.startswith("Step")]) == 2


def test_channels_with_similar_names_have_separate_messages(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    lanarky.add_chain("/a_b", LCEL, input_model=Order)
    lanarky.add_chain("/aB", LCEL, input_model=Pair)
    spec = spec_of(app)
    order, pair = {"number": 1}, {"first": "x", "second": "y"}
    for channel, good, bad in (("a_b", order, pair), ("aB", pair, order)):
        found = messages_of(spec, f"{channel}.receive")
        [inputs] = [message for name, message in found.items() if "Input" in name]
        assert problem_of(spec, inputs, good) is None
        assert problem_of(spec, inputs, bad)


def test_an_app_without_websockets_has_an_empty_spec(app: Quart) -> None:
    LanarkyExtension(app)
    spec = spec_of(app)
    assert spec["channels"] == {}
    assert spec["operations"] == {}


def test_security_schemes_are_converted_to_asyncapi() -> None:
    flows = {"clientCredentials": {"tokenUrl": "https://x.example/t", "scopes": {"ask": "Ask."}}}
    app = Quart("shop")
    QuartSchema(
        app,
        security_schemes={
            "key": {"type": "apiKey", "name": "X-Key", "in_": "header"},
            "bearer": {"type": "http", "scheme": "bearer"},
            "oauth": {"type": "oauth2", "flows": flows},
        },
        security=[{"bearer": []}],
    )
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/open", LCEL)
    app.websocket("/closed")(
        security_scheme([{"key": [], "oauth": ["ask"]}, {"key": []}])(stream_chain(lambda: LCEL))
    )
    spec = fetched(app, "/asyncapi.json")
    assert spec["components"]["securitySchemes"] == {
        "key": {"type": "httpApiKey", "name": "X-Key", "in": "header"},
        "bearer": {"type": "http", "scheme": "bearer"},
        "oauth": {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": "https://x.example/t",
                    "availableScopes": {"ask": "Ask."},
                }
            },
        },
    }
    required = {
        name: [each["$ref"].rpartition("/")[2] for each in operation["security"]]
        for name, operation in spec["operations"].items()
    }
    assert required == {
        "open.receive": ["bearer"],
        "open.send": ["bearer"],
        "chain.receive": ["key", "oauth"],
        "chain.send": ["key", "oauth"],
    }
