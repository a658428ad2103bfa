"""The OpenAPI spec describes what chain routes take and send; other routes are not changed."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from uuid import UUID

import pytest
from langchain_core.runnables import Runnable, RunnableLambda
from openapi_spec_validator import validate
from pydantic import BaseModel, Field
from pydantic.json_schema import SkipJsonSchema
from quart import Blueprint, Quart
from quart_schema import (
    OpenAPIProvider,
    QuartSchema,
    deprecate,
    document_headers,
    document_querystring,
    document_response,
    hide,
    operation_id,
    security_scheme,
    tag,
    validate_request,
    validate_response,
)
from quart_schema.extension import deprecate_blueprint, tag_blueprint

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.protocols import sse
from tests.adapters.chains import LCEL
from tests.apidocs.routes import (
    Message,
    Reply,
    SilentStreaming,
    SilentWebSocket,
    StepsStreaming,
    StepsWebSocket,
    Thread,
    helper,
)
from tests.apidocs.specs import (
    check_references,
    decorated,
    fetched,
    parsed,
    problem,
    resolve,
    walk,
)

VERSIONS = ("3.2.0", "3.1.0")
OF_THE_RUN = ("413", "422", "429", "500", "502", "503", "504")
"""The status codes of a JSON response whose run has failed."""


def make_app(version: str = "3.2.0") -> Quart:
    """Make an app with a chain route of each kind, and others."""
    app = Quart("shop")
    app.config["QUART_LANARKY_OPENAPI_VERSION"] = version
    QuartSchema(app)
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/qa", LCEL)
    lanarky.add_chain("/help/<lang>", helper)
    lanarky.add_chain(
        "/any", RunnableLambda(lambda _: "hi"), handlers=(SilentStreaming, SilentWebSocket)
    )
    lanarky.add_chain("/thread", LCEL, input_model=Thread)

    @app.get("/ask")
    @stream_chain
    async def ask() -> Any:
        """Ask in a query string.

        Nothing else is needed.
        """
        return LCEL

    @app.post("/tell")
    @stream_chain(mode="text")
    async def tell() -> Any:
        return LCEL

    @app.post("/steps")
    @stream_chain(handlers=(StepsStreaming, StepsWebSocket))
    def steps() -> Any:
        return LCEL

    @app.get("/top/<int:top>")
    @stream_chain
    def best(top: Annotated[int, Field(ge=1)]) -> Runnable[Message, Reply]:
        return LCEL  # type: ignore[return-value]  # only its annotation counts

    tenants = Blueprint("tenants", __name__, url_prefix="/v1/<tenant>")

    @tenants.route("/chat", methods=["GET", "POST"])
    @stream_chain
    def chat(tenant: str) -> Any:
        return LCEL

    app.register_blueprint(tenants)

    @app.get("/plain")
    async def plain() -> str:
        """Say nothing."""
        return ""

    @app.post("/order/<int:number>")
    @validate_request(Message)
    @validate_response(Reply, 201)
    async def order(number: int, data: Message) -> Any:
        return Reply(text=data.question), 201

    return app


@pytest.fixture(scope="module")
def specs() -> dict[str, Any]:
    return {version: fetched(make_app(version)) for version in VERSIONS}


@pytest.fixture(scope="module")
def spec(specs: dict[str, Any]) -> Any:
    return specs["3.2.0"]


@pytest.fixture
def app() -> Quart:
    return Quart("shop")


@pytest.fixture
def lanarky(app: Quart) -> LanarkyExtension:
    QuartSchema(app, security_schemes={"key": {"type": "http", "scheme": "bearer"}})
    return LanarkyExtension(app)


CHAIN_ROUTES = [
    *[("/qa", "get"), ("/qa", "post"), ("/help/{lang}", "get"), ("/help/{lang}", "post")],
    *[("/any", "get"), ("/any", "post"), ("/thread", "get"), ("/thread", "post")],
    *[("/ask", "get"), ("/tell", "post"), ("/steps", "post"), ("/top/{top}", "get")],
    *[("/v1/{tenant}/chat", "get"), ("/v1/{tenant}/chat", "post")],
]


def operations(spec: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in spec["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def chain_operations(spec: Any) -> Iterator[Any]:
    return (spec["paths"][path][method] for path, method in CHAIN_ROUTES)


def parameters(spec: Any, path: str, method: str) -> dict[str, Any]:
    return {p["name"]: p for p in spec["paths"][path][method]["parameters"]}


def stream_of(operation: Any) -> Any:
    return operation["responses"]["200"]["content"]["text/event-stream"]


def schemas(spec: Any) -> Any:
    return spec["components"]["schemas"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_spec_is_valid(specs: dict[str, Any], version: str) -> None:
    assert specs[version]["openapi"] == version
    validate(specs[version])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_reference_can_be_resolved(specs: dict[str, Any], version: str) -> None:
    check_references(specs[version])


def test_the_version_is_3_2_unless_configured(app: Quart) -> None:
    LanarkyExtension(app).add_chain("/qa", LCEL)
    assert fetched(app)["openapi"] == "3.2.0"
    app.config["QUART_LANARKY_OPENAPI_VERSION"] = "3.1.0"
    assert fetched(app)["openapi"] == "3.1.0"


def test_every_route_is_listed_with_its_methods(spec: Any) -> None:
    built = {(path, method) for path, method, _ in operations(spec)}
    assert built == {*CHAIN_ROUTES, ("/plain", "get"), ("/order/{number}", "post")}


def test_operation_ids_are_unique_identifiers(spec: Any) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(ids) == len(set(ids))
    assert all(name.isidentifier() for name in ids)
    assert {"get_qa", "post_qa", "get_ask", "post_tell", "get_chat", "get_help_lang"} <= set(ids)


# Parameters


PLAIN = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
"""The schema of a variable in an f-string."""


def test_the_query_string_of_a_get_has_the_inputs(spec: Any) -> None:
    assert parameters(spec, "/qa", "get") == {
        "question": {
            "name": "question",
            "in": "query",
            "required": True,
            "schema": PLAIN,
            "x-chain": "input",
        }
    }


def test_the_query_string_of_a_post_has_none(spec: Any) -> None:
    assert parameters(spec, "/qa", "post") == {}


FACTORY_PARAMETERS = ["lang", "k", "style", "size", "labels", "names", "near", "number"]
INPUTS = ["question", "context", "place", "attempts"]


def test_the_parameters_of_a_factory_come_before_the_inputs(spec: Any) -> None:
    assert list(parameters(spec, "/help/{lang}", "post")) == FACTORY_PARAMETERS
    assert list(parameters(spec, "/help/{lang}", "get")) == FACTORY_PARAMETERS + INPUTS


@pytest.mark.parametrize("method", ["get", "post"])
def test_inputs_in_a_query_string_are_marked_as_inputs(spec: Any, method: str) -> None:
    built = parameters(spec, "/help/{lang}", method)
    marked = [name for name, parameter in built.items() if parameter.get("x-chain") == "input"]
    assert marked == (INPUTS if method == "get" else [])


def test_a_chain_route_has_its_mode_and_websocket_path_in_the_extension(spec: Any) -> None:
    marks = {(path, method): op.get("x-chain") for path, method, op in operations(spec)}
    assert {place for place, mark in marks.items() if mark} == set(CHAIN_ROUTES)
    assert marks["/tell", "post"] == {"mode": "text"}
    assert marks["/qa", "get"] == {"mode": "json", "websocket": "/qa/ws"}
    assert marks["/help/{lang}", "post"] == {"mode": "json", "websocket": "/help/{lang}/ws"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_path_parameters_and_parameters_without_default_are_required(
    spec: Any, method: str
) -> None:
    built = parameters(spec, "/help/{lang}", method).values()
    required = {p["name"] for p in built if p["required"]}
    assert required == ({"lang"} if method == "post" else {"lang", "question"})
    assert {p["name"] for p in built if p["in"] == "path"} == {"lang"}


def test_a_path_parameter_has_the_schema_of_its_annotation(spec: Any) -> None:
    assert parameters(spec, "/help/{lang}", "get")["lang"] == {
        "name": "lang",
        "in": "path",
        "required": True,
        "description": "The language.",
        "schema": {"type": "string", "minLength": 2},
    }
    top = parameters(spec, "/top/{top}", "get")["top"]["schema"]
    assert top == {"type": "integer", "minimum": 1}


def test_a_path_parameter_is_required_and_has_no_default(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    def chat(lang: str = "en") -> Any:
        return LCEL

    lanarky.add_chain("/chat/<lang>", chat)
    lang = parameters(fetched(app), "/chat/{lang}", "post")["lang"]
    assert lang["required"] is True
    assert lang["schema"] == {"type": "string"}


def test_a_path_parameter_of_a_blueprint_is_a_parameter(spec: Any) -> None:
    assert parameters(spec, "/v1/{tenant}/chat", "post")["tenant"]["in"] == "path"


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("k", [1, 9], [0, 10, "x"]),
        ("style", ["plain", "rich"], ["baroque"]),
        ("size", ["s", "l"], ["m"]),
        ("labels", [["x"], []], ["x", [1]]),
        ("names", [["x", "y"]], ["x"]),
        ("number", [7], ["x", None]),
        ("attempts", [1, 3], [4]),
        ("context", [["x"]], [7]),
    ],
)
def test_a_parameter_schema_accepts_what_its_annotation_accepts(
    spec: Any, name: str, good: list[Any], bad: list[Any]
) -> None:
    schema = parameters(spec, "/help/{lang}", "get")[name]["schema"]
    assert [problem(value, schema, schemas(spec)) for value in good] == [None] * len(good)
    assert all(problem(value, schema, schemas(spec)) for value in bad)


def test_a_parameter_has_its_description_and_its_default(spec: Any) -> None:
    built = parameters(spec, "/help/{lang}", "post")
    assert built["k"]["description"] == "How many documents."
    defaults = {
        name: p["schema"]["default"]
        for name, p in built.items()
        if "schema" in p and "default" in p["schema"]
    }
    assert defaults == {"k": 4, "style": "rich", "size": "s", "labels": ["a", "b"]}


@pytest.mark.parametrize("name", ["near", "place"])
def test_an_object_in_a_query_string_is_json(spec: Any, name: str) -> None:
    parameter = parameters(spec, "/help/{lang}", "get")[name]
    assert "schema" not in parameter
    schema = parameter["content"]["application/json"]["schema"]
    assert problem({"latitude": 1.5}, schema, schemas(spec)) is None
    assert problem({"latitude": "north"}, schema, schemas(spec))


def test_a_chain_that_takes_anything_takes_any_parameter(spec: Any) -> None:
    free = parameters(spec, "/any", "get")
    assert list(free) == ["input", "inputs"]
    assert free["inputs"]["schema"]["additionalProperties"] == {"type": "string"}
    assert body_of(spec, "/any")["schema"] == {"$ref": "#/components/schemas/AnyInput"}
    assert schemas(spec)["AnyInput"]["additionalProperties"] is True


def test_recursive_inputs_are_parameters(spec: Any) -> None:
    assert list(parameters(spec, "/thread", "get")) == ["text", "replies"]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ("/v1/<tenant>/<int:room>", "/v1/{tenant}/{room}"),
        ("/v1/<tenant>/<string(length=2):room>", "/v1/{tenant}/{room}"),
        ("/v1/<tenant>.<path:room>", "/v1/{tenant}.{room}"),
    ],
)
def test_a_path_has_all_its_parameters(
    app: Quart, lanarky: LanarkyExtension, rule: str, path: str
) -> None:
    def chat(tenant: str, room: str) -> Any:
        return LCEL

    lanarky.add_chain(rule, chat)
    spec = fetched(app)
    assert list(spec["paths"]) == [path]
    validate(spec)
    channels = fetched(app, "/asyncapi.json")["channels"].values()
    assert [channel["address"] for channel in channels] == [f"{path}/ws"]


def test_rules_that_quart_schema_reads_as_one_path_keep_their_operations(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    def chat(room: int) -> Any:
        return LCEL

    @app.get("/v1/<tenant>/<int:room>")
    async def plain_before(tenant: str, room: int) -> str:
        return ""

    view = stream_chain(chat)
    app.get("/v1/<int:room>")(view)
    app.route("/v1/<user>/chats/<int:room>", methods=["GET", "POST"])(view)

    @app.get("/v1/<user>/orders/<int:room>")
    async def plain_after(user: str, room: int) -> str:
        return ""

    spec = fetched(app)
    validate(spec)
    found = {(path, method): "x-chain" in op for path, method, op in operations(spec)}
    assert found == {
        ("/v1/{tenant}/{room}", "get"): False,
        ("/v1/{room}", "get"): True,
        ("/v1/{user}/chats/{room}", "get"): True,
        ("/v1/{user}/chats/{room}", "post"): True,
        ("/v1/{user}/orders/{room}", "get"): False,
    }
    assert spec["paths"]["/v1/{tenant}/{room}"]["get"]["operationId"] == "get_plain_before"


@pytest.mark.parametrize("chain_is_last", [True, False])
def test_of_two_rules_with_one_path_the_one_in_the_spec_is_described(
    app: Quart, lanarky: LanarkyExtension, chain_is_last: bool
) -> None:
    async def plain(room: str) -> str:
        return ""

    views = [plain, stream_chain(lambda: LCEL)]
    for number, view in enumerate(views if chain_is_last else reversed(views)):
        app.add_url_rule(["/<room>", "/<int:room>"][number], f"view{number}", view)
    [(path, _, operation)] = operations(fetched(app))
    assert path == "/{room}"
    assert operation.get("x-chain") == ({"mode": "json"} if chain_is_last else None)


def test_a_parameter_excluded_from_schemas_is_left_out(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    def secretive(k: SkipJsonSchema[int] = 3, more: int = 4) -> Any:
        return LCEL

    lanarky.add_chain("/qa", secretive)
    assert list(parameters(fetched(app), "/qa", "post")) == ["more"]


# What is sent, and what comes back


@pytest.mark.parametrize(("path", "method"), CHAIN_ROUTES)
def test_only_a_post_has_a_body_and_it_is_required(spec: Any, path: str, method: str) -> None:
    operation = spec["paths"][path][method]
    assert ("requestBody" in operation) is (method == "post")
    if method == "post":
        assert operation["requestBody"]["required"]
        assert list(operation["requestBody"]["content"]) == ["application/json"]


def body_of(spec: Any, path: str) -> Any:
    return spec["paths"][path]["post"]["requestBody"]["content"]["application/json"]


def test_a_body_is_a_component_named_after_its_route(spec: Any) -> None:
    assert body_of(spec, "/qa")["schema"] == {"$ref": "#/components/schemas/QaInput"}
    assert schemas(spec)["QaInput"] == {
        "type": "object",
        "properties": {"question": PLAIN},
        "required": ["question"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("path", [path for path, method in CHAIN_ROUTES if method == "post"])
def test_the_example_of_a_body_fits(spec: Any, path: str) -> None:
    body = body_of(spec, path)
    if path == "/v1/{tenant}/chat":  # what it takes cannot be seen
        assert "example" not in body
    else:
        assert problem(body["example"], body["schema"], schemas(spec)) is None


@pytest.mark.parametrize("path", ["/qa", "/any", "/tell", "/steps"])
async def test_the_example_of_a_body_is_accepted(specs: dict[str, Any], path: str) -> None:
    example = body_of(specs["3.2.0"], path)["example"]
    response = await make_app().test_client().post(path, json=example)
    assert response.status_code == 200


@pytest.mark.parametrize("body", [{}, {"question": [7]}, {"question": "x", "other": 1}])
def test_a_body_that_is_refused_does_not_fit(spec: Any, body: Any) -> None:
    assert problem(body, body_of(spec, "/qa")["schema"], schemas(spec))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("path", "method"), CHAIN_ROUTES)
def test_every_possible_response_is_listed(
    specs: dict[str, Any], version: str, path: str, method: str
) -> None:
    responses = specs[version]["paths"][path][method]["responses"]
    of_the_method = [] if method == "post" else ["204", "403"]
    no_such_path = ["404"] if "{" in path else []
    expected = ["200", "400", *no_such_path, *of_the_method, *OF_THE_RUN]
    assert list(responses) == sorted(expected)
    assert list(responses["200"]["content"]) == ["text/event-stream", "application/json"]
    assert "Retry-After" in responses["503"]["headers"]


def test_the_example_of_every_json_response_fits(spec: Any) -> None:
    shown = 0
    for operation in chain_operations(spec):
        for status, response in operation["responses"].items():
            if status in ("204", "404"):  # the one is empty, the other is the app's
                continue
            content = response["content"]["application/json"]
            if "example" in content:
                shown += 1
                assert problem(content["example"], content["schema"], schemas(spec)) is None
    assert shown > 5 * len(CHAIN_ROUTES)


async def test_a_rejection_matches_the_spec(specs: dict[str, Any]) -> None:
    app, spec = make_app(), specs["3.2.0"]
    app.config["MAX_CONTENT_LENGTH"] = 100
    client = app.test_client()
    for body, status in (({}, 400), ({"question": "x" * 200}, 413)):
        response = await client.post("/qa", json=body)
        assert await problem_of(response, status, spec, "post") is None
    foreign = await client.get("/qa?question=x", headers={"Origin": "https://evil.example"})
    assert await problem_of(foreign, 403, spec, "get") is None


async def problem_of(response: Any, status: int, spec: Any, method: str) -> str | None:
    """Return the problem of a JSON response of `/qa`, which must have this status, or None."""
    assert response.status_code == status
    content = spec["paths"]["/qa"][method]["responses"][str(status)]["content"]
    schema = content["application/json"]["schema"]
    return problem(await response.get_json(), schema, schemas(spec))


async def test_the_response_to_a_finished_reconnect_matches_the_spec(
    specs: dict[str, Any],
) -> None:
    client = make_app().test_client()
    stream = await (await client.get("/qa?question=x")).get_data(as_text=False)
    *_, end = sse.Decoder().feed(stream)
    response = await client.get("/qa?question=x", headers={"Last-Event-ID": str(end.id)})
    assert (response.status_code, await response.get_data()) == (204, b"")
    assert "204" in specs["3.2.0"]["paths"]["/qa"]["get"]["responses"]


@pytest.mark.parametrize("method", ["get", "post"])
async def test_the_response_to_a_rejected_or_timed_out_run_matches_the_spec(
    specs: dict[str, Any], method: str
) -> None:
    app, spec = make_app(), specs["3.2.0"]
    app.view_functions["chain_qa.stream"] = stream_chain(lambda: RunnableLambda(sleep))
    client = app.test_client()
    options: dict[str, Any] = {"headers": {"Accept": "application/json"}}
    options |= {"json": {"input": "x"}} if method == "post" else {"query_string": {"input": "x"}}
    app.config["QUART_LANARKY_RUN_TIMEOUT"] = 0.05
    response = await client.open("/qa", method=method.upper(), **options)
    assert await problem_of(response, 504, spec, method) is None
    await app.extensions["QUART_LANARKY"].drain(0)
    response = await client.open("/qa", method=method.upper(), **options)
    assert await problem_of(response, 503, spec, method) is None
    retry = spec["paths"]["/qa"][method]["responses"]["503"]["headers"]["Retry-After"]
    assert problem(int(response.headers["Retry-After"]), retry["schema"], {}) is None


async def sleep(_: object) -> str:
    await asyncio.sleep(60)
    return ""


def test_the_return_annotation_of_a_factory_describes_the_answer(spec: Any) -> None:
    answers = {
        path: resolve(spec, content["application/json"]["schema"]["$ref"])
        for path in ("/qa", "/top/{top}")
        for content in [spec["paths"][path]["get"]["responses"]["200"]["content"]]
    }
    assert answers["/qa"]["properties"]["output"]["type"] == "string"
    assert answers["/top/{top}"]["properties"]["output"]["$ref"] == "#/components/schemas/Reply"


def test_the_answer_has_source_documents_only_if_the_chain_may_retrieve(spec: Any) -> None:
    properties = {name: s.get("properties", {}) for name, s in schemas(spec).items()}
    assert list(properties["QaAnswer"]) == ["output"]  # all of that chain can be seen
    assert list(properties["HelpLangAnswer"]) == ["output", "source_documents"]


@pytest.mark.parametrize("path", ["/qa", "/tell", "/steps"])
@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_a_real_answer_matches_the_spec(
    specs: dict[str, Any], path: str, accept: str
) -> None:
    spec, client = specs["3.2.0"], make_app().test_client()
    response = await client.post(path, json={"question": "hi"}, headers={"Accept": accept})
    content = spec["paths"][path]["post"]["responses"]["200"]["content"][accept]
    body = await response.get_data(as_text=False)
    if accept == "application/json":
        assert problem(json.loads(body), content["schema"], schemas(spec)) is None
        return
    events = sse.Decoder().feed(body)
    assert events[-1].name == "end"
    for event in events:
        assert problem(parsed(event), content["itemSchema"], schemas(spec)) is None


# Streams


def test_in_3_2_a_stream_has_an_item_schema(spec: Any) -> None:
    for operation in chain_operations(spec):
        assert set(stream_of(operation)) == {"itemSchema", "examples"}


def test_in_3_1_a_stream_has_the_schema_of_an_event(specs: dict[str, Any]) -> None:
    for operation in chain_operations(specs["3.1.0"]):
        stream = stream_of(operation)
        assert "itemSchema" not in stream
        for example in stream.get("examples", {}).values():
            assert problem(example["value"], stream["schema"], schemas(specs["3.1.0"])) is None


def test_3_1_has_no_keyword_that_is_new_in_3_2(specs: dict[str, Any]) -> None:
    new = {"itemSchema", "itemEncoding", "prefixEncoding", "serializedValue", "dataValue", "$self"}
    keys = {key for value in walk(specs["3.1.0"]) if isinstance(value, dict) for key in value}
    assert not keys & new
    keys = {key for value in walk(specs["3.2.0"]) if isinstance(value, dict) for key in value}
    assert "itemSchema" in keys & new


def test_both_versions_have_the_same_schemas(specs: dict[str, Any]) -> None:
    first, second = specs.values()
    assert schemas(first) == schemas(second)


def examples(spec: Any) -> Iterator[tuple[Any, str, bytes]]:
    for operation in chain_operations(spec):
        stream = stream_of(operation)
        for name, example in stream["examples"].items():
            shown = example.get("serializedValue", example.get("value"))
            yield stream["itemSchema"], name, shown.encode()


def test_the_examples_of_streams_are_valid_events_up_to_the_end(spec: Any) -> None:
    shown = list(examples(spec))
    assert len(shown) == 2 * len(CHAIN_ROUTES)
    for schema, name, raw in shown:
        events = sse.Decoder().feed(raw)
        assert [event.name for event in events][-1] == "end"
        assert (events[0].name == "error") is (name == "failure")
        for event in events:
            assert problem(parsed(event), schema, schemas(spec)) is None


def test_a_stream_has_no_other_events_than_its_own(spec: Any) -> None:
    end_id = f"{UUID(int=7)}/end"

    def is_valid(path: str, name: str, data: str, **more: str) -> bool:
        schema = stream_of(spec["paths"][path]["post"])["itemSchema"]
        return problem({"event": name, "data": data, **more}, schema, schemas(spec)) is None

    assert is_valid("/steps", "step", '{"name": "search"}')
    assert is_valid("/steps", "note", "bare text")
    assert not is_valid("/steps", "step", '{"title": "search"}')
    assert not is_valid("/steps", "other", "x")
    assert not is_valid("/qa", "step", '{"name": "search"}')
    assert not is_valid("/qa", "completion", "bare text")
    assert is_valid("/any", "other", "x")
    assert not is_valid("/any", "completion", "bare text")
    assert is_valid("/tell", "completion", "bare text")
    assert is_valid("/tell", "end", "", id=end_id)
    assert not is_valid("/tell", "end", "")
    assert not is_valid("/tell", "end", "{}", id=end_id)
    assert not is_valid("/tell", "completion", "bare text", id=end_id)
    assert not is_valid("/tell", "ping", "null")  # that is for WebSockets


# Summaries and descriptions


def test_the_docstring_of_a_factory_is_its_summary_and_comes_first(spec: Any) -> None:
    ask = spec["paths"]["/ask"]["get"]
    assert ask["summary"] == "Ask in a query string."
    assert ask["description"].startswith("Nothing else is needed.\n\nAnswers with a stream")
    assert spec["paths"]["/qa"]["get"]["summary"] == "Ask /qa"


def test_a_description_has_a_table_of_the_events(spec: Any) -> None:
    for operation in chain_operations(spec):
        assert "| `end` | " in operation["description"]
        assert operation["description"].count("| event |") == 1


def test_a_description_links_to_the_websocket(spec: Any) -> None:
    qa, ask = (spec["paths"][path]["get"]["description"] for path in ("/qa", "/ask"))
    assert "The same on a WebSocket: `/qa/ws` ([its API docs](docs/websockets))." in qa
    assert "WebSocket" not in ask


def test_there_is_no_link_to_a_missing_page(app: Quart) -> None:
    QuartSchema(app, swagger_ui_path=None)
    LanarkyExtension(app).add_chain("/qa", LCEL)
    spec = fetched(app)
    assert spec["paths"]["/qa"]["get"]["description"].endswith("on a WebSocket: `/qa/ws`.")
    assert "externalDocs" not in spec


def test_the_spec_links_to_the_page_of_the_websockets(spec: Any) -> None:
    assert spec["externalDocs"]["url"] == "http://localhost/docs/websockets"


def test_without_websockets_there_is_no_link(app: Quart) -> None:
    LanarkyExtension(app)
    app.post("/chat")(stream_chain(lambda: LCEL))
    assert "externalDocs" not in fetched(app)


def test_the_app_may_link_to_something_else(app: Quart) -> None:
    QuartSchema(app, external_docs={"url": "https://example.org"})
    LanarkyExtension(app).add_chain("/qa", LCEL)
    assert fetched(app)["externalDocs"]["url"] == "https://example.org"


@pytest.mark.parametrize("limit", [1024, 2048])
def test_the_limit_of_a_body_is_that_of_the_app(app: Quart, limit: int) -> None:
    app.config["QUART_LANARKY_MAX_MESSAGE_BYTES"] = limit
    LanarkyExtension(app).add_chain("/qa", LCEL)
    responses = fetched(app)["paths"]["/qa"]["post"]["responses"]
    example = responses["413"]["content"]["application/json"]["example"]
    assert example["detail"] == f"send no more than {limit} bytes"


# Other routes


def plain_spec(app: Quart) -> Any:
    """Return the spec of quart-schema alone."""
    schema = app.extensions["QUART_SCHEMA"]
    return json.loads(app.json.dumps(OpenAPIProvider(app, schema).schema()))


def test_other_routes_are_not_changed_but_for_missing_responses() -> None:
    app = make_app()
    ours, plain = fetched(app), plain_spec(app)
    assert ours["paths"]["/order/{number}"] == plain["paths"]["/order/{number}"]
    said_nothing = plain["paths"]["/plain"]
    assert said_nothing["get"]["responses"] == {}
    said_nothing["get"]["responses"] = {"default": {"description": "Not documented."}}
    assert ours["paths"]["/plain"] == said_nothing
    assert ours["info"] == plain["info"]
    assert ours["paths"].keys() == plain["paths"].keys()


def test_an_app_without_chain_routes_has_the_spec_of_quart_schema(app: Quart) -> None:
    QuartSchema(app, tags=[{"name": "orders"}], servers=[{"url": "https://example.org"}])
    LanarkyExtension(app)

    @app.post("/order")
    @validate_request(Message)
    @validate_response(Reply)
    async def order(data: Message) -> Any:
        return Reply(text="")

    ours, plain = fetched(app), plain_spec(app)
    assert ours.pop("security") == []
    assert ours.pop("openapi") == "3.2.0"
    assert plain.pop("openapi") == "3.1.0"
    assert ours == plain


def test_of_two_equal_operation_ids_that_of_the_chain_route_is_changed(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    lanarky.add_chain("/qa", LCEL)

    @app.get("/questions")
    async def qa() -> str:
        return ""

    paths = fetched(app)["paths"]
    assert paths["/questions"]["get"]["operationId"] == "get_qa"
    assert paths["/qa"]["get"]["operationId"] == "get_qa_2"


class CompletionEvent(BaseModel):
    """A model of the app with the name of one of ours."""

    completed: bool


class ChatInput(BaseModel):
    typed: str


class ErrorData(BaseModel):
    code: str


class Log(BaseModel):
    event: CompletionEvent
    typed: ChatInput
    errors: list[ErrorData]


@pytest.mark.parametrize("version", VERSIONS)
def test_components_of_the_app_are_not_changed(
    app: Quart, lanarky: LanarkyExtension, version: str
) -> None:
    app.config["QUART_LANARKY_OPENAPI_VERSION"] = version

    @app.get("/log")
    @validate_response(Log)
    async def log() -> Any: ...

    lanarky.add_chain("/chat", LCEL)
    spec, plain = fetched(app), plain_spec(app)
    validate(spec)
    check_references(spec)
    users = ("CompletionEvent", "ChatInput", "ErrorData")
    assert {n: schemas(spec)[n] for n in users} == {n: schemas(plain)[n] for n in users}
    assert spec["paths"]["/log"] == plain["paths"]["/log"]
    body = body_of(spec, "/chat")["schema"]
    assert problem({"question": "hi"}, body, schemas(spec)) is None
    failure = spec["paths"]["/chat"]["post"]["responses"]["500"]["content"]["application/json"]
    assert problem(failure["example"], failure["schema"], schemas(spec)) is None


def test_different_models_of_one_name_are_two_components(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    for n, kind in enumerate((int, str)):
        item = type("Item", (BaseModel,), {"__annotations__": {"size": kind}})
        order = type("Order", (BaseModel,), {"__annotations__": {"item": item}})
        lanarky.add_chain(f"/order{n}", LCEL, input_model=order)
    spec = fetched(app)
    for n, good, bad in ((0, 1, "x"), (1, "x", 1)):
        schema = body_of(spec, f"/order{n}")["schema"]
        assert problem({"item": {"size": good}}, schema, schemas(spec)) is None
        assert problem({"item": {"size": bad}}, schema, schemas(spec))


# The decorators of quart-schema

Decorate = Callable[[Any], Any]


@pytest.fixture(params=["above", "below"])
def build_decorated(
    request: pytest.FixtureRequest, app: Quart, lanarky: LanarkyExtension
) -> Callable[[Decorate], Any]:
    """Build the operation of a chain route whose view, or whose factory, is decorated."""

    def build(decorate: Decorate) -> Any:
        app.post("/chat")(decorated(decorate, request.param))
        spec = fetched(app)
        validate(spec)
        check_references(spec)
        return spec["paths"].get("/chat", {}).get("post")

    return build


def test_a_hidden_route_is_left_out(build_decorated: Callable[[Decorate], Any]) -> None:
    assert build_decorated(hide) is None


def test_tags_deprecation_and_security_are_described(
    build_decorated: Callable[[Decorate], Any],
) -> None:
    built = build_decorated(lambda f: tag(["chats"])(deprecate(security_scheme([{"key": []}])(f))))
    assert built["tags"] == ["chats"]
    assert built["deprecated"] is True
    assert built["security"] == [{"key": []}]


def test_a_chosen_operation_id_is_kept(build_decorated: Callable[[Decorate], Any]) -> None:
    assert build_decorated(operation_id("talk"))["operationId"] == "post_talk"


def test_a_chosen_operation_id_is_kept_where_it_is_the_name_of_the_factory(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    def chat() -> Any:
        return LCEL

    lanarky.add_chain("/help", operation_id("chat")(chat))
    assert fetched(app)["paths"]["/help"]["get"]["operationId"] == "get_chat"


def test_a_documented_response_with_another_status_is_added(
    build_decorated: Callable[[Decorate], Any],
) -> None:
    responses = build_decorated(document_response(Reply, 402))["responses"]
    assert sorted(responses) == ["200", "400", "402", *OF_THE_RUN]
    assert responses["402"]["description"] == "What an answer is."


def test_a_documented_response_replaces_ours(
    build_decorated: Callable[[Decorate], Any],
) -> None:
    responses = build_decorated(document_response(Reply))["responses"]
    assert sorted(responses) == ["200", "400", *OF_THE_RUN]
    schema = responses["200"]["content"]["application/json"]["schema"]
    assert list(schema["properties"]) == ["text"]


class Tenant(BaseModel):
    """Headers, or a query string."""

    tenant_id: str
    question: str | None = None


def test_documented_headers_and_queries_are_parameters(
    build_decorated: Callable[[Decorate], Any],
) -> None:
    built = build_decorated(lambda f: document_headers(Tenant)(document_querystring(Tenant)(f)))
    assert {(p["name"], p["in"]) for p in built["parameters"]} == {
        ("tenant-id", "header"),
        ("question", "header"),
        ("tenant_id", "query"),
        ("question", "query"),
    }


def test_a_documented_query_parameter_is_not_repeated(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    @app.get("/chat")
    @document_querystring(Tenant)
    @stream_chain
    def chat() -> Any:
        return LCEL

    names = [p["name"] for p in fetched(app)["paths"]["/chat"]["get"]["parameters"]]
    assert sorted(names) == ["question", "tenant_id"]


def test_tags_and_deprecation_of_a_blueprint_apply_to_its_chain_routes(
    app: Quart, lanarky: LanarkyExtension
) -> None:
    blueprint = lanarky.add_chain("/chat", LCEL)
    tag_blueprint(blueprint, ["chats"])
    deprecate_blueprint(blueprint)
    built = fetched(app)["paths"]["/chat"]["get"]
    assert built["tags"] == ["chats"]
    assert built["deprecated"] is True
