"""The pages of the API docs, and the scripts and style sheets that they need.

With the extra `docs` these files come from installed packages, and the pages request nothing from
other hosts. Without it they come from a public CDN.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from secrets import token_urlsafe
from types import MethodType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from quart import Quart, Response, abort, render_template_string, send_from_directory, url_for
from quart_schema import QuartSchema, hide

from ..transports.guards import require_allowed_host

__all__ = ["ASYNCAPI_ENDPOINT", "add_pages", "websocket_page_link", "websocket_page_path"]

ASYNCAPI_ENDPOINT: Final = "quart_lanarky_asyncapi"

_ASSET_ENDPOINT: Final = "quart_lanarky_asset"
_PAGE_ENDPOINT: Final = "quart_lanarky_websockets"

_OLDEST_SWAGGER_UI: Final = (5, 32)
"""The first version of Swagger UI that can show OpenAPI 3.2."""


class _Asset(NamedTuple):
    """A file of a front-end package: its place in a Python package, its CDN URL and its hash."""

    package: str
    folder: str
    cdn_url: str
    integrity: str


_SWAGGER_UI: Final = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.34.0/"
_ASYNCAPI_VIEWER: Final = "https://cdn.jsdelivr.net/npm/asyncapi-viewer@2.1.1/dist/"
_ASSETS: Final = {
    "swagger-ui-bundle.js": _Asset(
        "flask_swagger_ui",
        "dist",
        _SWAGGER_UI,
        "sha384-9Td7MKiIr2S83E1kZyyVi8KdJw/S8CpAvu0llLyMeg0xq/hDGiZJfVn0fV4llCmK",
    ),
    "swagger-ui.css": _Asset(
        "flask_swagger_ui",
        "dist",
        _SWAGGER_UI,
        "sha384-4c3vsE5f+trhFyHrFrLM1fFGUn531NIaC7dcqEWIJdoRQJ5CkJbSuSCwXLpaS1KF",
    ),
    "asyncapi-viewer.js": _Asset(
        "asyncapi_viewer",
        "static",
        _ASYNCAPI_VIEWER,
        "sha384-4WheBEcZRvujKjsajAlavLrSAkTbJd0CcnaN/qbUuI0nbsqmpy2aOeUmGmiadI7i",
    ),
}
_INTEGRITY: Final = {asset.cdn_url + name: asset.integrity for name, asset in _ASSETS.items()}
"""The hash of each file on the CDN: a browser runs no other file from there."""
_SWAGGER_SETTINGS: Final = {
    "QUART_SCHEMA_SWAGGER_JS_URL": "swagger-ui-bundle.js",
    "QUART_SCHEMA_SWAGGER_CSS_URL": "swagger-ui.css",
}

_FILE_ATTRIBUTES: Final = """{% macro file_attributes(name, url) -%}
{{ name }}="{{ url }}"
{%- if url in hashes %} integrity="{{ hashes[url] }}" crossorigin="anonymous"{% endif %}
{%- endmacro %}"""
"""For elements that load a file: of one on the CDN they have the hash."""

_WEBSOCKET_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,">
  <title>{{ title }}: WebSockets</title>
  <style>body { margin: 0 } nav { padding: 0.5rem 1rem; font-family: sans-serif }</style>
</head>
<body>
  <nav><a href="{{ http_page }}">The HTTP routes</a></nav>
  <asyncapi-viewer src="{{ spec }}" sidebar></asyncapi-viewer>
  <script type="module" nonce="{{ nonce }}" {{ file_attributes("src", script) }}></script>
  <noscript>This page needs JavaScript. The spec itself is at {{ spec }}.</noscript>
</body>
</html>
"""


_SWAGGER_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,">
  <link rel="stylesheet" {{ file_attributes("href", style) }}>
  <title>{{ title }}</title>
  <style>body { margin: 0 }</style>
</head>
<body>
  <div id="swagger-ui"></div>
  <script nonce="{{ nonce }}" {{ file_attributes("src", script) }}></script>
  <script nonce="{{ nonce }}">
    SwaggerUIBundle({
      deepLinking: true,
      dom_id: "#swagger-ui",
      layout: "BaseLayout",
      presets: [SwaggerUIBundle.presets.apis],
      showExtensions: true,
      showCommonExtensions: true,
      url: {{ spec | tojson }},
    });
  </script>
  <noscript>This page needs JavaScript. The spec itself is at {{ spec }}.</noscript>
</body>
</html>
"""


def add_pages(app: Quart, schema: QuartSchema) -> None:
    """Add the page of the AsyncAPI spec, and replace quart-schema's page of the OpenAPI spec.

    Theirs has no Content-Security-Policy. A view of the user's own stays. Both pages are under
    quart-schema's `swagger_ui_path`; without one there are none.
    """
    page = schema.swagger_ui_path
    if page is None:
        return
    base = page.rstrip("/")
    _set_swagger_scripts(app.config, _relative_link(page, "assets/"))
    app.add_url_rule(f"{base}/assets/<name>", _ASSET_ENDPOINT, _asset)

    @hide
    @require_allowed_host
    async def websockets() -> Response:
        script = "asyncapi-viewer.js"
        local_url = url_for(_ASSET_ENDPOINT, name=script) if _installed_folder(script) else None
        return await _page(
            _WEBSOCKET_PAGE,
            title=schema.info.title if schema.info else app.name,
            http_page=url_for("swagger_ui"),
            spec=url_for(ASYNCAPI_ENDPOINT),
            script=local_url or _ASSETS[script].cdn_url + script,
        )

    @hide
    @require_allowed_host
    async def swagger_ui() -> Response:
        return await _page(
            _SWAGGER_PAGE,
            title=schema.info.title if schema.info else app.name,
            spec=url_for("openapi"),
            script=app.config["QUART_SCHEMA_SWAGGER_JS_URL"],
            style=app.config["QUART_SCHEMA_SWAGGER_CSS_URL"],
        )

    if app.view_functions["swagger_ui"] == MethodType(QuartSchema.swagger_ui, schema):
        app.endpoint("swagger_ui")(swagger_ui)
    app.add_url_rule(websocket_page_path(page), _PAGE_ENDPOINT, websockets)


async def _page(template: str, **values: str) -> Response:
    """Return a page that runs the scripts of its template alone, and that no other page embeds."""
    nonce = token_urlsafe(16)
    style = urlsplit(values.get("style", ""))
    origin = f"{style.scheme}://{style.netloc}" if style.netloc else ""
    text = await render_template_string(
        _FILE_ATTRIBUTES + template, nonce=nonce, hashes=_INTEGRITY, **values
    )
    policy = {
        "default-src": "'none'",
        "script-src": f"'nonce-{nonce}'",
        "style-src": f"'self' 'unsafe-inline' {origin}",  # both viewers set styles of elements
        "img-src": "'self' data:",
        "font-src": "data:",
        "connect-src": "*" if "style" in values else "'self'",  # Swagger UI asks any server
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{k} {v}".strip() for k, v in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(text, headers=headers, content_type="text/html; charset=utf-8")


@hide
@require_allowed_host
async def _asset(name: str) -> Response:
    folder = _installed_folder(name) if name in _ASSETS else None
    if folder is None:
        abort(404)
    return await send_from_directory(folder, name, cache_timeout=3600)


def _set_swagger_scripts(config: MutableMapping[str, Any], prefix: str) -> None:
    """Set the URLs of the scripts of Swagger UI, unless the user has chosen others."""
    for setting, name in _SWAGGER_SETTINGS.items():
        if _is_too_old(config[setting]):
            is_installed = _installed_folder(name) is not None
            config[setting] = prefix + name if is_installed else _ASSETS[name].cdn_url + name


def websocket_page_path(page: str) -> str:
    """Return the path of the AsyncAPI page, given that of the Swagger UI page."""
    return f"{page.rstrip('/')}/websockets"


def websocket_page_link(page: str) -> str:
    """Return the relative link from the Swagger UI page at path `page` to the AsyncAPI page."""
    return _relative_link(page, "websockets")


def _relative_link(page: str, name: str) -> str:
    """Return the relative link from a page to a path below it; it holds for a mounted app too."""
    last = page.rpartition("/")[2]
    return f"{last}/{name}" if last else name


def _is_too_old(url: str) -> bool:
    """Tell whether a URL is of a Swagger UI that cannot show OpenAPI 3.2, as quart-schema's is."""
    version = re.search(r"swagger-ui(?:-dist)?[/@](\d+)\.(\d+)", url)
    return version is not None and tuple(map(int, version.groups())) < _OLDEST_SWAGGER_UI


def _installed_folder(name: str) -> Path | None:
    """Return the folder of an installed package with an asset, or None."""
    asset = _ASSETS[name]
    package = find_spec(asset.package)
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / asset.folder
    return folder if (folder / name).exists() else None
