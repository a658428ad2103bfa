"""Serve the page of the playground and its assets: plain files, without a build or other hosts.

The page only gets the paths of the API specs, and reads the rest from them. All its links are
relative, so they work wherever the app is mounted, also behind a proxy that strips a prefix.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path
from typing import Any, Final

from quart import (
    Quart,
    Response,
    abort,
    current_app,
    make_response,
    render_template_string,
    request,
)
from quart_schema import QuartSchema, hide

from ..apidocs.pages import ASYNCAPI_ENDPOINT
from ..errors import ConfigurationError
from ..transports.guards import require_allowed_host

__all__ = ["PAGE_ENDPOINT", "add_playground", "check_path"]

PAGE_ENDPOINT: Final = "quart_lanarky_playground"
"""The endpoint of the page, for `url_for`."""

_ASSET_ENDPOINT: Final = "quart_lanarky_playground_asset"
_ASSETS: Final = Path(__file__).parent / "assets"
_PAGE: Final = "page.html"
_PATH: Final = re.compile(r"/(?:[\w.~-]+/)*[\w.~-]*")

_HEADERS: Final = {
    # 'self' includes the WebSockets of the page's own host, in Safari since version 16.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; media-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Revalidated each time, and sent again only after an update of the package.
    "Cache-Control": "no-cache",
}


def check_path(path: Any) -> str:
    """Return `path` if it is a valid path for the playground.

    Raises:
        ConfigurationError: It is not.
    """
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigurationError(
            "playground must be the path of the page, such as '/playground', or None for no "
            f"page, not {path!r}"
        )
    return path


def add_playground(app: Quart, path: str) -> None:
    """Add the page and its assets to an app; the API specs do not list them.

    Args:
        app: The app.
        path: The path of the page, as `check_path` returns it.
    """
    page, asset = (hide(require_allowed_host(view)) for view in (_page, _asset))
    app.add_url_rule(path, PAGE_ENDPOINT, page)
    app.add_url_rule(f"{path.rstrip('/')}/assets/<name>", _ASSET_ENDPOINT, asset)


async def _page() -> Response:
    text = await render_template_string(
        (_ASSETS / _PAGE).read_text(encoding="utf-8"),
        title=_app_title(),
        # Relative links: from the page to the root of the app, and to the assets.
        root="../" * (request.path.count("/") - 1) or "./",
        assets=f"{request.path.rpartition('/')[2] or '.'}/assets/",
        **_spec_paths(),
    )
    return await _cacheable_response(text, "text/html; charset=utf-8")


async def _asset(name: str) -> Response:
    file = _ASSETS / name
    if name == _PAGE or file not in _ASSETS.iterdir():
        abort(404)
    content_type = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(name)[0]
    return await _cacheable_response(file.read_bytes(), f"{content_type}; charset=utf-8")


async def _cacheable_response(content: str | bytes, content_type: str) -> Response:
    """Return a response with an ETag, or 304 if the client has that content already."""
    response: Any = await make_response(content)
    response.headers.update({**_HEADERS, "Content-Type": content_type})
    await response.add_etag()
    answer: Response = await response.make_conditional(request)
    return answer


def _quart_schema() -> QuartSchema:
    schema: QuartSchema = current_app.extensions["QUART_SCHEMA"]
    return schema


def _app_title() -> str:
    info = _quart_schema().info
    return info.title if info else current_app.name


def _spec_paths() -> dict[str, str]:
    """Return the paths of the API specs and their page, relative to the root; "" for none."""
    schema = _quart_schema()
    if schema.openapi_path is None:
        return {"openapi": "", "asyncapi": "", "docs": ""}
    asyncapi = next(current_app.url_map.iter_rules(ASYNCAPI_ENDPOINT)).rule
    places = {"openapi": schema.openapi_path, "asyncapi": asyncapi, "docs": schema.swagger_ui_path}
    return {name: (place or "").removeprefix("/") for name, place in places.items()}
