"""API specs: when they are built, what is inspected for them, how they work with quart-schema."""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urljoin

import pytest
from langchain.agents import create_agent
from langchain_core.runnables import Runnable
from langgraph.checkpoint.memory import InMemorySaver
from openapi_spec_validator import validate
from pydantic import BaseModel
from quart import Quart, abort, has_request_context, request
from quart.json.provider import DefaultJSONProvider
from quart_schema import Info, OpenAPIProvider, QuartSchema, document_response
from werkzeug.routing import Rule

from quart_lanarky import LanarkyExtension, stream_chain
from quart_lanarky.adapters.langchain.callbacks import (
    TokenStreamingCallbackHandler,
    TokenWebSocketCallbackHandler,
)
from quart_lanarky.apidocs import specs as specs_module
from tests.adapters.chains import LCEL, MODEL
from tests.apidocs.specs import fetch, fetch_mounted, fetched, references

UNKNOWN = "could not be seen when these API docs were made"


@pytest.fixture
def app() -> Quart:
    return Quart("shop")


def with_chain(app: Quart, chain: Any = LCEL) -> Quart:
    LanarkyExtension(app).add_chain("/qa", chain)
    return app


async def status(app: Quart, path: str) -> int:
    response = await app.test_client().get(path)
    return int(response.status_code)


def inputs(spec: Any, path: str = "/qa") -> list[str]:
    """Return the names of the inputs of a route in a spec."""
    return [p["name"] for p in spec["paths"][path]["get"]["parameters"]]


# Along with quart-schema


def set_up_before(app: Quart, schema: type[QuartSchema] = QuartSchema, **options: Any) -> None:
    schema(app, **options)
    with_chain(app)


def set_up_after(app: Quart, schema: type[QuartSchema] = QuartSchema, **options: Any) -> None:
    with_chain(app)
    schema(app, **options)


def never_set_up(app: Quart) -> None:
    with_chain(app)


either_order = pytest.mark.parametrize("set_up", [set_up_before, set_up_after])


@pytest.mark.parametrize("set_up", [set_up_before, set_up_after, never_set_up])
async def test_both_specs_and_both_pages_are_served(app: Quart, set_up: Any) -> None:
    set_up(app)
    spec = await fetch(app)
    validate(spec)
    assert inputs(spec) == ["question"]
    assert spec["info"]["title"] == "shop"
    assert list((await fetch(app, "/asyncapi.json"))["channels"]) == ["qa"]
    assert await status(app, "/docs") == 200
    assert await status(app, "/docs/websockets") == 200


@either_order
async def test_the_pages_of_the_apps_quart_schema_are_kept(app: Quart, set_up: Any) -> None:
    set_up(app)
    assert await status(app, "/redocs") == 200
    assert await status(app, "/scalar") == 200


async def test_only_pages_without_foreign_scripts_are_added(app: Quart) -> None:
    with_chain(app)
    assert await status(app, "/redocs") == 404
    assert await status(app, "/scalar") == 404


@either_order
async def test_the_specs_are_served_at_configured_paths(app: Quart, set_up: Any) -> None:
    set_up(app, openapi_path="/api/spec.json", swagger_ui_path="/api/docs")
    assert inputs(await fetch(app, "/api/spec.json")) == ["question"]
    assert (await fetch(app, "/api/asyncapi.json"))["asyncapi"] == "3.0.0"
    assert await status(app, "/api/docs") == 200
    assert await status(app, "/api/docs/websockets") == 200
    assert await status(app, "/api/docs/assets/swagger-ui.css") == 200
    for path in ("/openapi.json", "/asyncapi.json", "/docs", "/docs/websockets"):
        assert await status(app, path) == 404


@either_order
async def test_without_an_openapi_path_nothing_is_served(app: Quart, set_up: Any) -> None:
    set_up(app, openapi_path=None)
    for path in ("/openapi.json", "/asyncapi.json", "/docs", "/docs/websockets"):
        assert await status(app, path) == 404
    response = await app.test_client().post("/qa", json={"question": "hi"})
    assert response.status_code == 200
    provider = app.extensions["QUART_SCHEMA"].openapi_provider
    async with app.app_context():
        assert "200" in provider.schema()["paths"]["/qa"]["get"]["responses"]


@either_order
async def test_without_a_swagger_ui_path_there_are_specs_but_no_pages(
    app: Quart, set_up: Any
) -> None:
    set_up(app, swagger_ui_path=None)
    assert inputs(await fetch(app)) == ["question"]
    assert (await fetch(app, "/asyncapi.json"))["asyncapi"] == "3.0.0"
    for path in ("/docs", "/docs/websockets", "/docs/assets/swagger-ui.css"):
        assert await status(app, path) == 404


class Provider(OpenAPIProvider):
    """A custom provider with state and most hooks overridden."""

    def __init__(self, app: Quart, extension: QuartSchema) -> None:
        super().__init__(app, extension)
        self.company = "ACME"
        self.asked: list[str] = []

    def schema(self) -> dict[str, Any]:
        spec = super().schema()
        spec["info"] = {**spec["info"], "x-company": self.company}
        spec["components"]["parameters"] = {
            "Tenant": {"name": "tenant", "in": "header", "schema": {"type": "string"}}
        }
        return spec

    def generate_rules(self) -> Any:
        return (rule for rule in super().generate_rules() if "secret" not in rule.rule)

    def build_paths(self, rule: Rule) -> Any:
        self.asked.append(rule.rule)
        paths, components = super().build_paths(rule)
        for item in paths.values():
            for operation in item.values():
                operation["x-owner"] = "us"
        return {f"/v1{path}": item for path, item in paths.items()}, components


@either_order
async def test_a_custom_provider_still_builds_the_spec(app: Quart, set_up: Any) -> None:
    set_up(app, openapi_provider_class=Provider)
    app.get("/secret")(stream_chain(lambda: LCEL))

    @app.get("/plain")
    async def plain() -> str:
        return ""

    spec = await fetch(app)
    validate(spec)
    assert spec["info"]["x-company"] == "ACME"
    assert spec["paths"].keys() == {"/v1/qa", "/v1/plain"}
    assert spec["paths"]["/v1/qa"]["get"]["x-owner"] == "us"
    assert inputs(spec, "/v1/qa") == ["question"]
    provider = app.extensions["QUART_SCHEMA"].openapi_provider
    assert isinstance(provider.own, Provider)
    assert "/qa" in provider.own.asked


async def test_the_provider_of_a_custom_quart_schema_class_is_used(app: Quart) -> None:
    class Schema(QuartSchema):
        openapi_provider_class = Provider

    set_up_before(app, Schema)
    assert (await fetch(app))["info"]["x-company"] == "ACME"


async def test_references_to_parameters_are_not_changed(app: Quart) -> None:
    class Tenants(Provider):
        def build_paths(self, rule: Rule) -> Any:
            paths, components = super().build_paths(rule)
            for item in paths.values():
                for operation in item.values():
                    reference = {"$ref": "#/components/parameters/Tenant"}
                    operation["parameters"] = [*operation["parameters"], reference]
            return paths, components

    set_up_before(app, openapi_provider_class=Tenants)
    spec = await fetch(app)
    validate(spec)
    assert "#/components/parameters/Tenant" in references(spec["paths"]["/v1/qa"]["get"])


async def test_other_fields_of_a_path_item_are_not_changed(app: Quart) -> None:
    class Summaries(OpenAPIProvider):
        def build_paths(self, rule: Rule) -> Any:
            paths, components = super().build_paths(rule)
            return {
                p: {**item, "summary": "A path.", "parameters": []} for p, item in paths.items()
            }, components

    set_up_before(app, openapi_provider_class=Summaries)
    spec = await fetch(app)
    validate(spec)
    assert spec["paths"]["/qa"]["summary"] == "A path."
    assert spec["paths"]["/qa"]["parameters"] == []


async def test_operation_ids_of_a_custom_provider_are_kept(app: Quart) -> None:
    class Ids(OpenAPIProvider):
        def operation_id(self, method: str, *args: Any) -> str:
            return f"acme_{method.lower()}"

    set_up_before(app, openapi_provider_class=Ids)
    assert (await fetch(app))["paths"]["/qa"]["get"]["operationId"] == "acme_get"


async def test_rewrites_of_the_whole_spec_by_a_custom_provider_stay(app: Quart) -> None:
    class Rewriting(OpenAPIProvider):
        def schema(self) -> dict[str, Any]:
            spec = super().schema()
            for item in spec["paths"].values():
                item.pop("post", None)
                item["get"]["x-owner"] = "us"
            spec["paths"].pop("/secret")
            spec["paths"]["/by-hand"] = {"get": {"responses": {}}}
            return spec

    set_up_before(app, openapi_provider_class=Rewriting)
    view = stream_chain(lambda: LCEL)
    app.get("/secret")(view)
    app.route("/<user>/<int:room>", methods=["GET", "POST"])(view)
    paths = (await fetch(app))["paths"]
    methods = {path: list(item) for path, item in paths.items()}
    assert methods == {"/qa": ["get"], "/{user}/{room}": ["get"], "/by-hand": ["get"]}
    assert paths["/{user}/{room}"]["get"]["x-owner"] == "us"
    assert paths["/qa"]["get"]["x-owner"] == "us"
    assert inputs({"paths": paths}) == ["question"]


async def test_a_provider_without_hooks_has_its_chain_routes_described(app: Quart) -> None:
    class Fixed(OpenAPIProvider):
        def schema(self) -> dict[str, Any]:
            operation = {"description": "By hand.", "parameters": [], "responses": {}}
            return {"info": {"title": "x", "version": "1"}, "paths": {"/qa": {"get": operation}}}

    set_up_before(app, openapi_provider_class=Fixed)
    spec = await fetch(app)
    validate(spec)
    assert inputs(spec) == ["question"]
    assert spec["paths"]["/qa"]["get"]["description"].startswith("By hand.")


async def test_a_provider_assigned_after_set_up_is_used(app: Quart) -> None:
    set_up_before(app)
    schema = app.extensions["QUART_SCHEMA"]
    schema.openapi_provider = Provider(app, schema)
    spec = await fetch(app)
    assert spec["info"]["x-company"] == "ACME"
    assert inputs(spec, "/v1/qa") == ["question"]


async def test_a_spec_kept_by_the_provider_is_not_changed(app: Quart) -> None:
    kept = {}

    class Keeping(OpenAPIProvider):
        def schema(self) -> dict[str, Any]:
            kept["spec"] = super().schema()
            kept["text"] = repr(kept["spec"])
            return kept["spec"]

    set_up_before(app, openapi_provider_class=Keeping)
    await fetch(app)
    assert repr(kept["spec"]) == kept["text"]


def views_as_they_came(app: Quart) -> dict[str, Callable[..., Any]]:
    """Add views with every kind of return value that Quart accepts."""

    @dataclass
    class Data:
        size: int

    async def stream() -> AsyncIterator[bytes]:
        yield b"streamed"

    views = {
        "text": lambda: "hi",
        "dict": lambda: {"b": 1, "a": [None, 1.5]},
        "pair": lambda: ("hi", 201),
        "triple": lambda: ({"snake_case": 1}, 202, {"X-Header": "x"}),
        "stream": stream,
        "odd": lambda: {"thing": object()},
        "model": lambda: {"data": Data(1)},
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", name, view)
    return views


async def test_setting_up_quart_schema_does_not_change_responses() -> None:
    plain, ours = Quart("plain"), Quart("ours")
    names = views_as_they_came(plain)
    views_as_they_came(with_chain(ours))
    await fetch(ours)
    for name in names:
        first, second = [await app.test_client().get(f"/{name}") for app in (plain, ours)]
        assert first.status_code == second.status_code, name
        assert first.headers == second.headers, name
        assert await first.get_data() == await second.get_data(), name


async def test_setting_up_quart_schema_keeps_the_json_provider(app: Quart) -> None:
    class Json(DefaultJSONProvider):
        def dumps(self, object_: Any, **kwargs: Any) -> str:
            return super().dumps(object_, **kwargs) + "\n"

    app.json = own = Json(app)
    with_chain(app)
    await fetch(app)
    assert app.json is own


@pytest.mark.parametrize("name", ["openapi", "swagger_ui"])
async def test_an_endpoint_of_the_app_named_like_one_of_quart_schema_is_kept(
    app: Quart, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.add_url_rule("/mine", name, lambda: "mine")
    with_chain(app)
    async with app.test_app():
        response = await app.test_client().get("/mine")
        assert await response.get_data(as_text=True) == "mine"
        assert await status(app, "/openapi.json") == 404
        answer = await app.test_client().post("/qa", json={"question": "hi"})
        assert answer.status_code == 200
    assert f"views of its own: {{'{name}'}}" in caplog.text


@pytest.mark.parametrize("path", ["/docs", "/docs/websockets", "/asyncapi.json"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_route_of_the_app_takes_precedence(app: Quart, path: str, is_first: bool) -> None:
    if is_first:
        app.add_url_rule(path, "mine", lambda: "mine")
    with_chain(app)
    if not is_first:
        app.add_url_rule(path, "mine", lambda: "mine")
    response = await app.test_client().get(path)
    assert await response.get_data(as_text=True) == "mine"
    assert inputs(await fetch(app)) == ["question"]


async def test_an_overridden_view_still_guards_the_spec(app: Quart) -> None:
    class Guarded(QuartSchema):
        async def openapi(self) -> Any:
            if request.headers.get("Authorization") != "yes":
                return "who are you?", 401
            return await super().openapi()

    set_up_before(app, Guarded)
    client = app.test_client()
    assert (await client.get("/openapi.json")).status_code == 401
    response = await client.get("/openapi.json", headers={"Authorization": "yes"})
    assert response.status_code == 200
    assert inputs(await response.get_json()) == ["question"]


async def test_a_replaced_view_still_guards_the_spec(app: Quart) -> None:
    set_up_before(app)

    async def guard() -> Any:
        return "who are you?", 401

    app.view_functions["openapi"] = guard
    assert await status(app, "/openapi.json") == 401


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
@pytest.mark.parametrize("how", ["overridden", "replaced", "before_request"])
async def test_whoever_a_guard_refuses_has_no_factory_called(
    app: Quart, how: str, path: str
) -> None:
    calls: list[str] = []

    def factory() -> Any:
        calls.append("x")
        return LCEL

    def is_known() -> bool:
        return request.headers.get("Authorization") == "yes"

    class Guarded(QuartSchema):
        async def openapi(self) -> Any:
            return await super().openapi() if is_known() else ("who are you?", 401)

    schema = (Guarded if how == "overridden" else QuartSchema)(app)
    with_chain(app, factory)
    if how == "replaced":

        async def replaced() -> Any:
            return await schema.openapi() if is_known() else abort(401)

        app.view_functions["openapi"] = replaced
    elif how == "before_request":
        app.before_request(lambda: None if is_known() else ("who are you?", 401))
    for _ in range(2):
        assert await status(app, path) == 401
    assert calls == []
    response = await app.test_client().get(path, headers={"Authorization": "yes"})
    assert (response.status_code, calls) == (200, ["x"])
    spec = await response.get_json()
    if path == "/openapi.json":
        assert inputs(spec) == ["question"]
    else:
        assert "question" in json.dumps(spec)


# Several of everything


async def test_each_of_several_apps_has_its_own_specs() -> None:
    lanarky = LanarkyExtension()
    apps = [Quart("first"), Quart("second")]
    calls: list[str] = []

    def factory() -> Any:
        calls.append("x")
        return LCEL

    lanarky.add_chain("/both", factory)
    for app in apps:
        lanarky.init_app(app)
        app.get(f"/{app.name}")(stream_chain(lambda: LCEL))
    for app in apps:
        spec = await fetch(app)
        assert spec["info"]["title"] == app.name
        assert spec["paths"].keys() == {"/both", f"/{app.name}"}
        assert inputs(spec, "/both") == ["question"]
    assert len(calls) == len(apps)


async def test_apps_that_share_a_quart_schema_have_their_own_specs() -> None:
    schema, lanarky = QuartSchema(), LanarkyExtension()
    apps = [Quart("first"), Quart("second")]
    for app in apps:
        schema.init_app(app)
        lanarky.init_app(app)
        app.get(f"/{app.name}")(stream_chain(lambda: LCEL))
    for app in [*apps, *apps]:
        assert inputs(await fetch(app), f"/{app.name}") == ["question"]


async def test_apps_that_share_a_later_quart_schema_do_not_fail() -> None:
    schema, lanarky = QuartSchema(), LanarkyExtension()
    apps = [Quart("first"), Quart("second")]
    for app in apps:
        lanarky.init_app(app)
        schema.init_app(app)
    for app in apps:  # quart-schema keeps the provider of the last app only
        validate(await fetch(app))


async def test_several_extensions_on_one_app_share_its_specs(app: Quart) -> None:
    first, second = LanarkyExtension(app), LanarkyExtension(app)
    first.add_chain("/first", LCEL)
    second.add_chain("/second", LCEL)
    spec = await fetch(app)
    assert inputs(spec, "/first") == inputs(spec, "/second") == ["question"]
    assert list((await fetch(app, "/asyncapi.json"))["channels"]) == ["first", "second"]


async def test_setting_an_app_up_twice_does_no_harm(app: Quart) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.init_app(app)
    lanarky.add_chain("/qa", LCEL)
    assert inputs(await fetch(app)) == ["question"]


async def test_an_app_factory_may_be_called_again_and_again() -> None:
    schema, lanarky = QuartSchema(), LanarkyExtension()
    lanarky.add_chain("/qa", LCEL)
    for order in ([schema, lanarky], [lanarky, schema]):
        app = Quart("shop")
        for extension in order:
            extension.init_app(app)  # type: ignore[attr-defined]  # both have one
        assert inputs(await fetch(app)) == ["question"]


# Where the app is mounted


async def test_a_mounted_app_has_its_root_path_in_both_specs(app: Quart) -> None:
    with_chain(app)
    openapi = (await fetch_mounted(app, "/shop", "/openapi.json")).json()
    assert openapi["servers"] == [{"url": "/shop"}]
    asyncapi = (await fetch_mounted(app, "/shop", "/asyncapi.json")).json()
    assert asyncapi["servers"]["this"] == {
        "host": "example.org",
        "protocol": "ws",
        "pathname": "/shop",
    }


async def test_one_app_may_be_mounted_at_several_places(app: Quart) -> None:
    with_chain(app)
    for root in ("/a", "/b/c"):
        openapi = (await fetch_mounted(app, root, "/openapi.json")).json()
        assert openapi["servers"] == [{"url": root}]
    assert (await fetch(app))["servers"] == [{"url": "/"}]


async def test_an_app_that_matches_hosts_has_its_specs_on_the_command_line_alone() -> None:
    app = Quart("shop", host_matching=True, static_host="static.example.org")
    LanarkyExtension(app)
    view = stream_chain(lambda: LCEL)
    app.add_url_rule("/chat", "chat", view, methods=["POST"], host="chat.example.org")
    client, headers = app.test_client(), {"Host": "chat.example.org"}
    answer = await client.post("/chat", json={"question": "hi"}, headers=headers)
    assert answer.status_code == 200
    assert (await client.get("/openapi.json", headers=headers)).status_code == 404
    spec = await asyncio.to_thread(app.extensions["QUART_LANARKY_API_SPECS"].openapi)
    assert list(spec["paths"]) == ["/chat"]


async def test_servers_named_by_the_app_are_kept(app: Quart) -> None:
    set_up_before(app, servers=[{"url": "https://example.org/api"}])
    openapi = (await fetch_mounted(app, "/shop", "/openapi.json")).json()
    assert openapi["servers"] == [{"url": "https://example.org/api"}]


async def test_the_server_of_a_tls_request_uses_wss(app: Quart) -> None:
    with_chain(app)
    response = await app.test_client().get("/asyncapi.json", scheme="https")
    assert (await response.get_json())["servers"]["this"]["protocol"] == "wss"


LINKS = re.compile(r'(?:src|href|url)[=:]\s*"([^"]+)"')


@pytest.mark.parametrize("options", [{}, {"swagger_ui_path": "/a/docs/"}, {"swagger_ui_path": "/"}])
@pytest.mark.parametrize("root", ["", "/shop", "/shop/v1"])
async def test_every_link_of_the_pages_works(
    app: Quart, root: str, options: dict[str, str]
) -> None:
    set_up_before(app, redoc_ui_path=None, scalar_ui_path=None, **options)
    page = options.get("swagger_ui_path", "/docs")
    for path in (page, f"{page.rstrip('/')}/websockets"):
        response = await fetch_mounted(app, root, path)
        assert response.status_code == 200
        links = [link for link in LINKS.findall(response.text) if not link.startswith("data:")]
        assert len(links) >= 2
        for link in links:
            target = urljoin(root + path, link)
            assert target.startswith(root)
            followed = await fetch_mounted(app, root, target.removeprefix(root))
            assert followed.status_code == 200, target


@pytest.mark.parametrize("root", ["", "/shop"])
async def test_the_pages_of_the_two_specs_link_to_each_other(app: Quart, root: str) -> None:
    with_chain(app)
    spec = (await fetch_mounted(app, root, "/openapi.json")).json()
    assert spec["externalDocs"]["url"] == f"http://example.org{root}/docs/websockets"
    page = (await fetch_mounted(app, root, "/docs/websockets")).text
    assert f'<a href="{root}/docs">' in page


async def test_the_link_to_the_asyncapi_page_works(app: Quart) -> None:
    with_chain(app)
    description = (await fetch(app))["paths"]["/qa"]["get"]["description"]
    link = re.search(r"\[its API docs\]\(([^)]+)\)", description)
    assert link is not None
    assert urljoin("/shop/docs", link[1]) == "/shop/docs/websockets"


# When a spec is built


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record each build of a spec."""
    built: list[str] = []
    build, whole = specs_module.asyncapi.build, OpenAPIProvider.schema

    def noted(*args: Any, **kwargs: Any) -> Any:
        built.append("asyncapi")
        return build(*args, **kwargs)

    def noted_whole(self: OpenAPIProvider) -> Any:
        built.append("openapi")
        return whole(self)

    monkeypatch.setattr(specs_module.asyncapi, "build", noted)
    monkeypatch.setattr(OpenAPIProvider, "schema", noted_whole)
    return built


async def test_a_spec_is_built_once(app: Quart, builds: list[str]) -> None:
    with_chain(app)
    first = [await fetch(app), await fetch(app, "/asyncapi.json")]
    second = [await fetch(app), await fetch(app, "/asyncapi.json")]
    assert first == second
    assert builds == ["openapi", "asyncapi"]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/openapi.json", ["openapi", "info", "servers", "externalDocs", "paths", "components"]),
        ("/asyncapi.json", ["asyncapi", "info", "defaultContentType", "channels"]),
    ],
)
async def test_a_served_spec_is_not_sorted(app: Quart, path: str, keys: list[str]) -> None:
    with_chain(app)
    assert list(await fetch(app, path))[: len(keys)] == keys


async def test_a_spec_is_cached_until_routes_are_added(app: Quart) -> None:
    with_chain(app)
    await fetch(app)
    provider = app.extensions["QUART_SCHEMA"].openapi_provider
    assert provider.schema()["paths"] is provider.schema()["paths"]


async def test_no_spec_is_built_unless_requested(app: Quart, builds: list[str]) -> None:
    with_chain(app)
    async with app.test_app():
        await app.test_client().post("/qa", json={"question": "hi"})
    assert builds == []


async def test_a_chain_added_after_the_first_request_is_in_the_specs(app: Quart) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/qa", LCEL)
    await fetch(app)
    await fetch(app, "/asyncapi.json")
    lanarky.add_chain("/more", lambda: LCEL)
    assert inputs(await fetch(app), "/more") == ["question"]
    assert list((await fetch(app, "/asyncapi.json"))["channels"]) == ["qa", "more"]


async def test_an_ordinary_route_added_later_is_in_the_spec(app: Quart) -> None:
    with_chain(app)
    await fetch(app)
    app.add_url_rule("/later", "later", lambda: "")
    assert "/later" in (await fetch(app))["paths"]


async def test_a_rule_added_to_an_inspected_chain_route_is_in_the_spec(app: Quart) -> None:
    LanarkyExtension(app)
    view = stream_chain(Factory().make)
    app.add_websocket("/a", "a", view)
    assert len((await fetch(app, "/asyncapi.json"))["channels"]) == 1
    app.add_websocket("/b", "b", view)
    assert len((await fetch(app, "/asyncapi.json"))["channels"]) == 2


async def test_chains_inspected_after_a_build_are_in_the_next_one(app: Quart) -> None:
    set_up_before(app)
    provider = app.extensions["QUART_SCHEMA"].openapi_provider

    @app.before_serving
    async def look() -> None:
        assert UNKNOWN in provider.schema()["paths"]["/qa"]["get"]["description"]

    async with app.test_app():
        assert inputs(await fetch(app)) == ["question"]


async def test_concurrent_first_requests_get_the_same_spec(app: Quart) -> None:
    building: list[str] = []
    together: list[int] = []

    class Slow(OpenAPIProvider):
        def schema(self) -> dict[str, Any]:
            building.append("x")
            time.sleep(0.05)  # so that builds in several threads would overlap
            together.append(len(building))
            spec = super().schema()
            building.pop()
            return spec

    set_up_before(app, openapi_provider_class=Slow)
    app.get("/more")(stream_chain(lambda: LCEL))
    found = await asyncio.gather(*(fetch(app) for _ in range(5)))
    assert found == [await fetch(app)] * 5
    assert set(together) == {1}


async def test_building_does_not_block_the_event_loop(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    whole = OpenAPIProvider.schema

    def noted(self: OpenAPIProvider) -> Any:
        threads.append(threading.get_ident())
        return whole(self)

    monkeypatch.setattr(OpenAPIProvider, "schema", noted)
    with_chain(app)
    await fetch(app)
    assert threads
    assert threading.get_ident() not in threads


async def test_starting_the_app_adds_the_routes(app: Quart) -> None:
    with_chain(app)
    assert "openapi" not in app.view_functions
    async with app.test_app():
        assert "openapi" in app.view_functions
        assert inputs(await fetch(app)) == ["question"]


async def test_middleware_of_the_app_is_called(app: Quart) -> None:
    with_chain(app)
    serve, scopes = app.asgi_app, []

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope["type"])
        await serve(scope, receive, send)

    app.asgi_app = middleware  # type: ignore[method-assign]  # as Quart documents it
    assert inputs(await fetch(app)) == ["question"]
    assert scopes == ["http"]


# Calls of factories


class Factory:
    """Makes a chain, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.had_request: list[bool] = []

    async def make(self) -> Any:
        self.calls += 1
        self.had_request.append(has_request_context())
        await asyncio.sleep(0.01)
        return LCEL


async def test_a_factory_is_called_once_when_a_spec_is_first_requested(app: Quart) -> None:
    factory = Factory()
    with_chain(app, factory.make)
    app.get("/same")(stream_chain(factory.make))
    async with app.test_app():
        await status(app, "/docs")
        assert factory.calls == 0
        paths = ["/openapi.json", "/asyncapi.json"] * 3
        found = await asyncio.gather(*(fetch(app, path) for path in paths))
        assert inputs(found[0]) == ["question"]
    assert factory.calls == 2  # once for each route
    assert factory.had_request == [False, False]


async def test_the_chain_of_a_view_with_several_rules_is_inspected_once(app: Quart) -> None:
    factory = Factory()
    view = stream_chain(factory.make)
    app.get("/a")(view)
    app.add_url_rule("/b", "b", view)
    app.add_websocket("/c", "c", view)
    LanarkyExtension(app)
    assert inputs(await fetch(app), "/b") == ["question"]
    assert factory.calls == 1


async def test_adding_a_route_calls_only_its_factory(app: Quart) -> None:
    first, second = Factory(), Factory()
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/qa", first.make)
    await fetch(app)
    lanarky.add_chain("/more", second.make)
    await asyncio.gather(fetch(app), fetch(app, "/asyncapi.json"))
    assert (first.calls, second.calls) == (1, 1)


class Order(BaseModel):
    number: int


def test_a_factory_with_declared_inputs_or_required_parameters_is_not_called(app: Quart) -> None:
    def never() -> Any:
        raise AssertionError("nobody has to call this")

    def declared() -> Runnable[Order, str]:
        raise AssertionError("nobody has to call this")

    def needy(user: str) -> Any:
        raise AssertionError("nobody has to call this")

    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/model", never, input_model=Order)
    lanarky.add_chain("/declared", declared)
    lanarky.add_chain("/needy", needy)
    spec = fetched(app)
    assert inputs(spec, "/model") == inputs(spec, "/declared") == ["number"]
    assert UNKNOWN in spec["paths"]["/needy"]["get"]["description"]


def test_a_factory_is_cleaned_up_after_inspection(app: Quart) -> None:
    steps: list[str] = []

    async def factory() -> AsyncIterator[Any]:
        steps.append("made")
        yield LCEL
        steps.append("cleaned up")

    assert inputs(fetched(with_chain(app, factory))) == ["question"]
    assert steps == ["made", "cleaned up"]


async def asking() -> Any:
    return LCEL if request.headers["Authorization"] else None


async def raising() -> Any:
    raise LookupError("there is no key")


async def hanging() -> Any:
    await asyncio.Event().wait()


def returning_nothing() -> None:
    return None


@pytest.mark.parametrize(
    ("factory", "why"),
    [
        (asking, "RuntimeError"),
        (raising, "LookupError"),
        (hanging, "TimeoutError"),
        (returning_nothing, "ChainTypeError"),
    ],
)
async def test_a_route_whose_chain_cannot_be_made_is_described_without_it(
    app: Quart,
    factory: Any,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(specs_module, "INSPECT_TIMEOUT", 0.05)
    with_chain(app, factory)
    app.get("/fine")(stream_chain(lambda: LCEL))
    with caplog.at_level(logging.WARNING, "quart_lanarky"):
        spec = await fetch(app)
    validate(spec)
    assert inputs(spec, "/fine") == ["question"]
    assert UNKNOWN in spec["paths"]["/qa"]["get"]["description"]
    assert "say little about the route 'qa'" in caplog.text
    assert f"could not be made ({why}: " in caplog.text
    asyncapi = await fetch(app, "/asyncapi.json")
    assert UNKNOWN in json.dumps(asyncapi["channels"]["qa"])
    validate(await fetch(app))


async def test_a_hanging_synchronous_factory_does_not_block_the_spec(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specs_module, "INSPECT_TIMEOUT", 0.05)
    gate = threading.Event()

    def blocked() -> Any:
        gate.wait(30)
        return LCEL

    with_chain(app, blocked)
    started = time.monotonic()
    spec = await fetch(app)
    gate.set()
    assert time.monotonic() - started < 15
    assert UNKNOWN in spec["paths"]["/qa"]["get"]["description"]


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_visitors_who_leave_have_a_slow_factory_called_once(
    app: Quart, kind: str, path: str
) -> None:
    calls: list[str] = []

    def slow() -> Any:
        calls.append("x")
        time.sleep(2)
        return LCEL

    async def slow_async() -> Any:
        calls.append("x")
        await asyncio.sleep(2)
        return LCEL

    with_chain(app, slow if kind == "def" else slow_async)
    for _ in range(75):
        async with app.test_client().request(path) as visit:
            await visit.send_complete()
            await asyncio.sleep(0.02)
            await visit.disconnect()
    assert "question" in json.dumps(await fetch(app, path))
    assert calls == ["x"]


async def test_a_factory_that_failed_is_not_called_again(app: Quart) -> None:
    calls: list[str] = []

    def failing() -> Any:
        calls.append("x")
        raise LookupError("there is no key")

    with_chain(app, failing)
    for _ in range(2):
        await fetch(app)
        await fetch(app, "/asyncapi.json")
    assert calls == ["x"]


def test_one_app_may_be_used_on_several_event_loops(app: Quart) -> None:
    lanarky = LanarkyExtension(app)

    async def several() -> list[Any]:
        return await asyncio.gather(*(fetch(app) for _ in range(3)))

    for n in range(2):
        lanarky.add_chain(f"/chain{n}", Factory().make)
        for spec in asyncio.run(several()):
            assert inputs(spec, f"/chain{n}") == ["question"]


# Without a request


@either_order
def test_quart_schemas_command_describes_chain_routes(app: Quart, set_up: Any) -> None:
    set_up(app)
    result = app.test_cli_runner().invoke(args=["schema"])
    assert result.exit_code == 0, result.output
    spec = json.loads(result.output)
    validate(spec)
    assert spec["openapi"] == "3.2.0"
    assert "200" in spec["paths"]["/qa"]["post"]["responses"]


def test_quart_schemas_command_can_sort_documented_responses(app: Quart) -> None:
    QuartSchema(app)
    LanarkyExtension(app)
    app.get("/chat")(document_response(Order, 402)(stream_chain(lambda: LCEL)))
    result = app.test_cli_runner().invoke(args=["schema"])
    assert result.exit_code == 0, result.exception
    responses = json.loads(result.output)["paths"]["/chat"]["get"]["responses"]
    assert "402" in responses
    assert list(responses) == sorted(responses)


@either_order
def test_a_command_of_the_app_sees_chain_routes_in_the_spec(app: Quart, set_up: Any) -> None:
    set_up(app)

    @app.cli.command("export")
    def export() -> None:
        spec = app.extensions["QUART_SCHEMA"].openapi_provider.schema()
        print(*spec["paths"]["/qa"]["post"]["responses"])  # noqa: T201  # as a command does

    result = app.test_cli_runner().invoke(args=["export"])
    assert "200" in result.output.split()


def test_quart_schemas_command_works_without_a_quart_schema_of_the_app(app: Quart) -> None:
    never_set_up(app)
    result = app.test_cli_runner().invoke(args=["schema"])
    assert inputs(json.loads(result.output)) == ["question"]


async def test_the_provider_may_be_called_directly(app: Quart) -> None:
    QuartSchema(app, info=Info(title="Direct", version="1"))
    with_chain(app)
    spec = app.extensions["QUART_SCHEMA"].openapi_provider.schema()
    validate(json.loads(app.json.dumps(spec)))
    assert spec["info"]["title"] == "Direct"
    assert UNKNOWN in spec["paths"]["/qa"]["get"]["description"]
    assert spec["servers"] == [{"url": "/"}]


class Http(TokenStreamingCallbackHandler):
    events: ClassVar[Any] = {"over_http": int}


class Ws(TokenWebSocketCallbackHandler):
    events: ClassVar[Any] = {"over_ws": int}


def test_both_specs_say_which_chains_keep_the_history(app: Quart) -> None:
    lanarky = LanarkyExtension(app)
    lanarky.add_chain("/chat", LCEL)
    thread = {"configurable": {"thread_id": "1"}}
    agent = create_agent(MODEL, [], checkpointer=InMemorySaver())
    lanarky.add_chain("/agent", agent, config=thread)
    paths, channels = fetched(app)["paths"], fetched(app, "/asyncapi.json")["channels"]
    said = {path: item["post"]["x-chain"].get("keeps_history") for path, item in paths.items()}
    said |= {each["address"]: each["x-chain"].get("keeps_history") for each in channels.values()}
    assert said == {"/chat": None, "/chat/ws": None, "/agent": True, "/agent/ws": True}


@pytest.mark.parametrize("mode", ["json", "text"])
def test_both_specs_show_the_default_mode_of_the_app(app: Quart, mode: str) -> None:
    app.config["QUART_LANARKY_DEFAULT_MODE"] = mode
    LanarkyExtension(app).add_chain("/chat", LCEL)
    spec, channels = fetched(app), fetched(app, "/asyncapi.json")
    assert spec["paths"]["/chat"]["post"]["x-chain"]["mode"] == mode
    assert [channel["x-chain"] for channel in channels["channels"].values()] == [{"mode": mode}]
    is_text = mode == "text"
    assert ("CompletionTextEvent" in spec["components"]["schemas"]) is is_text
    assert ("CompletionTextFrame" in channels["components"]["schemas"]) is is_text


def test_a_handler_is_listed_by_its_name_on_the_transport(app: Quart) -> None:
    LanarkyExtension(app).add_chain("/chat", LCEL, handlers=(Http, Ws))
    schemas = fetched(app)["components"]["schemas"]
    messages = fetched(app, "/asyncapi.json")["components"]["messages"]
    assert "OverHttpEvent" in schemas
    assert "OverWs" in messages
    assert "OverWsEvent" not in schemas
    assert "OverHttp" not in messages
