"""The pages load scripts from installed packages or a CDN, and no other files are served."""

import base64
import hashlib
import re
from importlib.util import find_spec
from typing import Any

import pytest
from quart import Quart
from quart_schema import QuartSchema

from quart_lanarky import LanarkyExtension
from quart_lanarky.apidocs import pages
from tests.adapters.chains import LCEL

JS, CSS = "QUART_SCHEMA_SWAGGER_JS_URL", "QUART_SCHEMA_SWAGGER_CSS_URL"

ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "asyncapi-viewer.js": "text/javascript",
}


@pytest.fixture
def app() -> Quart:
    return Quart("shop")


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "find_spec", lambda name: None)


async def text_of(app: Quart, path: str) -> str:
    if "QUART_LANARKY" not in app.extensions:
        LanarkyExtension(app).add_chain("/qa", LCEL)
    response = await app.test_client().get(path)
    assert response.status_code == 200
    return str(await response.get_data(as_text=True))


def links(text: str) -> set[str]:
    """Return the URLs of the scripts and style sheets of a page."""
    found = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', text)
    return {url for url in found if not url.startswith("data:")}


def test_the_packages_of_the_extra_are_installed() -> None:
    assert find_spec("flask_swagger_ui")
    assert find_spec("asyncapi_viewer")


async def test_the_swagger_ui_page_loads_local_scripts(app: Quart) -> None:
    assert links(await text_of(app, "/docs")) == {
        "docs/assets/swagger-ui.css",
        "docs/assets/swagger-ui-bundle.js",
    }


async def test_the_asyncapi_page_loads_a_local_script(app: Quart) -> None:
    page = await text_of(app, "/docs/websockets")
    assert links(page) == {"/docs/assets/asyncapi-viewer.js"}
    assert '<asyncapi-viewer src="/asyncapi.json"' in page
    assert "<title>shop: WebSockets</title>" in page


@pytest.mark.parametrize("path", ["/docs", "/docs/websockets"])
async def test_no_page_loads_anything_from_other_hosts(app: Quart, path: str) -> None:
    assert "//" not in re.sub(r"<!--.*?-->", "", await text_of(app, path))


@pytest.mark.parametrize(("name", "content_type"), ASSETS.items())
async def test_an_asset_is_served_with_its_type(app: Quart, name: str, content_type: str) -> None:
    LanarkyExtension(app)
    response = await app.test_client().get(f"/docs/assets/{name}")
    assert response.status_code == 200
    assert response.mimetype == content_type
    assert response.cache_control.max_age == 3600
    assert len(await response.get_data()) > 10_000


@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "swagger-ui-bundle.js.map",
        "",
        "../flask_swagger_ui.py",
        "..%2f__init__.py",
        "%2e%2e/__init__.py",
        "..%5c__init__.py",
        "../../../../../../etc/passwd",
        "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "swagger-ui.css/../../__init__.py",
        "%00swagger-ui.css",
        "__init__.py",
        "manifest.json",
    ],
)
async def test_no_other_file_is_served(app: Quart, name: str) -> None:
    LanarkyExtension(app)
    response = await app.test_client().get(f"/docs/assets/{name}")
    assert response.status_code == 404


async def test_neither_pages_nor_assets_are_in_the_spec(app: Quart) -> None:
    LanarkyExtension(app)
    response = await app.test_client().get("/openapi.json")
    assert (await response.get_json())["paths"] == {}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/openapi.json",
            "/asyncapi.json",
            "/docs",
            "/docs/websockets",
            "/docs/assets/swagger-ui.css",
        ),
        *("/playground", "/playground/assets/style.css"),
    ],
)
async def test_nothing_is_served_for_a_host_that_only_points_here(app: Quart, path: str) -> None:
    LanarkyExtension(app, playground="/playground")
    client, scope = app.test_client(), {"server": ("127.0.0.1", 8000)}
    for host, status in (("localhost:8000", 200), ("evil.example:8000", 400)):
        answer = await client.get(path, headers={"Host": host}, scope_base=scope)
        assert answer.status_code == status, host
    app.config["QUART_LANARKY_ALLOWED_HOSTS"] = ["chat.example.org"]
    for host, status in (("localhost:8000", 400), ("chat.example.org", 200)):
        answer = await client.get(path, headers={"Host": host}, scope_base=scope)
        assert answer.status_code == status, host


def version_in(url: str) -> tuple[int, ...]:
    found = re.search(r"swagger-ui-dist@(\d+)\.(\d+)\.\d+/", url)
    assert found is not None
    return tuple(map(int, found.groups()))


@pytest.mark.usefixtures("without_packages")
async def test_without_packages_swagger_ui_comes_from_a_cdn_and_is_new_enough(
    app: Quart,
) -> None:
    found = links(await text_of(app, "/docs"))
    assert len(found) == 2
    for url in found:
        assert url.startswith("https://")
        assert version_in(url) >= (5, 32)


@pytest.mark.usefixtures("without_packages")
async def test_without_packages_the_viewer_comes_from_a_cdn(app: Quart) -> None:
    [url] = links(await text_of(app, "/docs/websockets"))
    assert re.fullmatch(r"https://\S+/asyncapi-viewer@\d+\.\d+\.\d+/\S+\.js", url)


@pytest.mark.parametrize("name", ASSETS)
async def test_the_hash_of_a_file_on_the_cdn_is_that_of_the_file_of_the_package(
    app: Quart, name: str
) -> None:
    LanarkyExtension(app)
    response = await app.test_client().get(f"/docs/assets/{name}")
    digest = hashlib.sha384(await response.get_data(as_text=False)).digest()
    assert pages._ASSETS[name].integrity == f"sha384-{base64.b64encode(digest).decode()}"


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize(("path", "count"), [("/docs", 2), ("/docs/websockets", 1)])
async def test_what_comes_from_the_cdn_has_its_hash(app: Quart, path: str, count: int) -> None:
    loaded = re.findall(r'"https://[^>]*>', await text_of(app, path))
    assert len(loaded) == count
    for element in loaded:
        assert re.search(r'integrity="sha384-[\w+/]{64}" crossorigin="anonymous"', element)


@pytest.mark.parametrize("path", ["/docs", "/docs/websockets"])
@pytest.mark.parametrize("style", ["", "https://example.org/swagger.css"])
async def test_a_page_runs_its_own_scripts_alone(app: Quart, path: str, style: str) -> None:
    LanarkyExtension(app)
    if style:
        app.config[CSS] = style
    seen = set()
    for _ in range(2):
        response = await app.test_client().get(path)
        text = await response.get_data(as_text=True)
        policy = dict(
            each.strip().partition(" ")[::2]
            for each in response.headers["Content-Security-Policy"].split(";")
        )
        [nonce] = set(re.findall(r'<script[^>]* nonce="([^"]+)"', text))
        assert text.count("<script") == text.count(f' nonce="{nonce}"')
        assert policy["script-src"] == f"'nonce-{nonce}'"
        for name in ("default-src", "base-uri", "form-action", "frame-ancestors"):
            assert policy[name] == "'none'"
        assert ("https://example.org" in policy["style-src"]) is (bool(style) and path == "/docs")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        seen.add(nonce)
    assert len(seen) == 2


@pytest.mark.parametrize("path", ["/docs", "/docs/websockets", "/playground"])
async def test_a_browser_asks_for_no_icon(app: Quart, path: str) -> None:
    LanarkyExtension(app, playground="/playground")
    response = await app.test_client().get(path)
    assert '<link rel="icon" href="' in await response.get_data(as_text=True)


async def test_a_page_of_the_users_own_is_kept(app: Quart) -> None:
    class OwnSchema(QuartSchema):
        async def swagger_ui(self) -> str:
            return "mine"

    OwnSchema(app)
    assert await text_of(app, "/docs") == "mine"


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("name", ASSETS)
async def test_without_packages_no_asset_is_served(app: Quart, name: str) -> None:
    LanarkyExtension(app)
    response = await app.test_client().get(f"/docs/assets/{name}")
    assert response.status_code == 404


async def test_each_package_is_looked_up_separately(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_viewer(name: str) -> Any:
        return find_spec(name) if name == "asyncapi_viewer" else None

    monkeypatch.setattr(pages, "find_spec", only_viewer)
    assert all(url.startswith("https://") for url in links(await text_of(app, "/docs")))
    assert links(await text_of(app, "/docs/websockets")) == {"/docs/assets/asyncapi-viewer.js"}


CHOSEN = [
    "https://example.org/swagger.js",
    "/static/swagger-ui-bundle.js",
    "https://unpkg.com/swagger-ui-dist@5.32.0/swagger-ui-bundle.js",
    "https://unpkg.com/swagger-ui-dist@6.0.1/swagger-ui-bundle.js",
    "https://unpkg.com/swagger-ui-dist@latest/swagger-ui-bundle.js",
]


@pytest.mark.parametrize("url", CHOSEN)
@pytest.mark.parametrize("is_late", [True, False])
async def test_scripts_chosen_by_the_user_are_kept(app: Quart, url: str, is_late: bool) -> None:
    if is_late:
        LanarkyExtension(app).add_chain("/qa", LCEL)
    app.config[JS] = url
    found = links(await text_of(app, "/docs"))
    assert found == {url, "docs/assets/swagger-ui.css"}


@pytest.mark.parametrize("packages", [True, False])
async def test_default_scripts_of_quart_schema_are_replaced(
    app: Quart, packages: bool, request: pytest.FixtureRequest
) -> None:
    if not packages:
        request.getfixturevalue("without_packages")
    QuartSchema(app)
    defaults = {app.config[JS], app.config[CSS]}
    assert not links(await text_of(app, "/docs")) & defaults


@pytest.mark.parametrize(
    ("path", "page", "assets"),
    [
        ("/docs", "/docs", "docs/assets/"),
        ("/docs/", "/docs/", "assets/"),
        ("/api/v1/docs", "/api/v1/docs", "docs/assets/"),
        ("/", "/", "assets/"),
    ],
)
async def test_links_are_relative_to_the_page(
    app: Quart, path: str, page: str, assets: str
) -> None:
    QuartSchema(app, swagger_ui_path=path)
    found = links(await text_of(app, page))
    assert found == {f"{assets}swagger-ui.css", f"{assets}swagger-ui-bundle.js"}
    below = page.rstrip("/")
    assert links(await text_of(app, f"{below}/websockets")) == {
        f"{below}/assets/asyncapi-viewer.js"
    }


async def test_a_title_is_escaped() -> None:
    app = Quart("shop")
    QuartSchema(app, info={"title": "<script>alert()</script>", "version": "1"})
    assert "<script>alert" not in await text_of(app, "/docs/websockets")
