"""The playground: its path, its security headers, and that it is in no API spec."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from langchain_core.runnables import RunnableLambda
from quart import Quart, abort, request
from quart_schema import QuartSchema

from quart_lanarky import ConfigurationError, LanarkyExtension
from tests.apidocs.specs import fetch_mounted
from tests.servers import ROOT

ASSETS = ROOT / "quart_lanarky" / "playground" / "assets"


def app_with(path: str = "/playground", *, schema: dict[str, Any] | None = None) -> Quart:
    app = Quart(__name__)
    if schema is not None:
        QuartSchema(app, **schema)
    LanarkyExtension(app, playground=path).add_chain("/echo", RunnableLambda(str))
    return app


async def page_of(app: Quart, path: str = "/playground", **options: Any) -> str:
    response = await app.test_client().get(path, **options)
    assert response.status_code == 200
    return await response.get_data(as_text=True)


def seen_from(path: str, link: str) -> str:
    """Return where a relative link of a page leads, as a browser finds it."""
    return urljoin(f"http://host{path}", link).removeprefix("http://host")


def data_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'data-(\w+)="([^"]*)"', page))


async def test_there_is_no_playground_by_default() -> None:
    app = Quart(__name__)
    LanarkyExtension(app)
    assert (await app.test_client().get("/playground")).status_code == 404
    assert "quart_lanarky_playground" not in app.view_functions


@pytest.mark.parametrize("path", ["/playground", "/", "/try/it/", "/admin/try-it"])
async def test_the_page_finds_its_assets_and_the_api_specs_at_any_path(path: str) -> None:
    app = app_with(path)
    page = await page_of(app, path)
    assets = re.findall(r'(?:src|href)="([^"]*assets/[^"]*)"', page)
    assert len(assets) == 4
    root = seen_from(path, data_of(page)["root"])
    assert root == "/"
    for found in [seen_from(path, each) for each in assets] + [
        root + data_of(page)["openapi"],
        root + data_of(page)["asyncapi"],
    ]:
        assert (await app.test_client().get(found)).status_code == 200, found


async def test_every_link_is_relative_so_that_a_proxy_may_put_the_app_below_a_path() -> None:
    page = await page_of(app_with("/a/b"), "/a/b")
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert links
    assert not [link for link in links if link.startswith(("/", "http"))]
    assert seen_from("/below/a/b", data_of(page)["root"]) == "/below/"


async def test_the_page_has_the_paths_of_the_api_specs() -> None:
    schema = {"openapi_path": "/spec/api.json", "swagger_ui_path": None}
    data = data_of(await page_of(app_with(schema=schema)))
    assert data["openapi"] == "spec/api.json"


async def test_the_page_has_empty_paths_if_there_are_no_api_specs() -> None:
    app = app_with(schema={"openapi_path": None})
    data = data_of(await page_of(app))
    assert (data["openapi"], data["asyncapi"]) == ("", "")


async def test_the_api_specs_do_not_list_the_playground() -> None:
    document = await (await app_with().test_client().get("/openapi.json")).get_json()
    assert list(document["paths"]) == ["/echo"]


@pytest.mark.parametrize("path", ["/playground", "/playground/assets/page.js"])
async def test_the_page_has_a_content_security_policy(path: str) -> None:
    headers = (await app_with().test_client().get(path)).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy.pop("default-src") == "'none'"
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["img-src"] == "'self' data:"
    assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("asset", sorted(each.name for each in ASSETS.iterdir()))
async def test_assets_have_their_content_types_and_refer_to_no_other_host(asset: str) -> None:
    response = await app_with().test_client().get(f"/playground/assets/{asset}")
    if asset == "page.html":  # a template
        assert response.status_code == 404
        return
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert response.content_type.startswith(types[Path(asset).suffix])
    text = await response.get_data(as_text=True)
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org"}  # a name, no address


def test_no_script_inserts_text_as_html() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc"
        r"|createContextualFragment|setHTML|\beval\(|new Function"
    )
    found = [each.name for each in ASSETS.glob("*.js") if forbidden.search(each.read_text("utf-8"))]
    assert found == []


async def test_only_assets_are_served() -> None:
    client = app_with().test_client()
    for name in ("..%2fviews.py", "%2e%2e/views.py", "views.py", "nothing.js"):
        assert (await client.get(f"/playground/assets/{name}")).status_code == 404


async def test_an_unchanged_asset_is_not_sent_again() -> None:
    client = app_with().test_client()
    first = await client.get("/playground/assets/page.js")
    assert first.headers["Cache-Control"] == "no-cache"
    again = {"If-None-Match": first.headers["ETag"]}
    second = await client.get("/playground/assets/page.js", headers=again)
    assert second.status_code == 304
    other = {"If-None-Match": '"of another version"'}
    assert (await client.get("/playground/assets/page.js", headers=other)).status_code == 200


@pytest.mark.parametrize("path", ["playground", "", "/a b", "/<name>", "//host", "/a//b", 7, True])
def test_an_invalid_path_is_refused_with_an_example(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="such as '/playground'"):
        LanarkyExtension(playground=path)


async def test_several_apps_each_have_their_own_playground() -> None:
    lanarky = LanarkyExtension(playground="/playground")
    for name in ("one", "two"):
        app = Quart(name)
        lanarky.init_app(app)
        lanarky.init_app(app)
        assert f"<h1>{name}</h1>" in await page_of(app)


async def test_the_title_of_the_app_is_escaped() -> None:
    assert "<h1>&lt;b&gt;app</h1>" in await page_of_name("<b>app")


async def page_of_name(name: str) -> str:
    app = Quart(name)
    LanarkyExtension(app, playground="/playground")
    return await page_of(app)


async def test_the_page_of_a_mounted_app_finds_its_assets_and_specs() -> None:
    app = app_with("/try/it")
    page = (await fetch_mounted(app, "/mount", "/try/it")).text
    root = seen_from("/mount/try/it", data_of(page)["root"])
    assert root == "/mount/"
    links = [seen_from("/mount/try/it", each) for each in re.findall(r'src="([^"]*)"', page)]
    for link in [*links, root + data_of(page)["openapi"], root + data_of(page)["asyncapi"]]:
        found = await fetch_mounted(app, "/mount", link.removeprefix("/mount"))
        assert found.status_code == 200, link


@pytest.mark.parametrize("path", ["/playground", "/playground/assets/page.js"])
async def test_a_before_request_check_can_match_the_playground_endpoints(path: str) -> None:
    app = app_with()

    @app.before_request
    async def turn_away() -> None:
        if (request.endpoint or "").startswith("quart_lanarky_playground"):
            abort(404)

    assert (await app.test_client().get(path)).status_code == 404
    assert (await app.test_client().get("/openapi.json")).status_code == 200
