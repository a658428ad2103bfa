"""The page and its assets, which are plain files: nothing is built, and nobody else is asked.

The page knows only where the documents are, and learns the rest from them. All its links are
relative, so they hold wherever the app is mounted, behind proxies that do not say so as well.
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

__all__ = ["PAGE_ENDPOINT", "add_playground", "check_path"]

PAGE_ENDPOINT: Final = "quart_lanarky_playground"
"""The endpoint of the page, for `url_for`."""

_ASSET_ENDPOINT: Final = "quart_lanarky_playground_asset"
_ASSETS: Final = Path(__file__).parent / "assets"
_PAGE: Final = "page.html"
_PATH: Final = re.compile(r"/(?:[\w.~-]+/)*[\w.~-]*")

_HEADERS: Final = {
    # Browsers count the WebSockets of the page's own host as 'self', since Safari 16 all of them.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked for again each time, and sent again only when they have changed with the package.
    "Cache-Control": "no-cache",
}


def check_path(path: Any) -> str:
    """Return `path` if a playground can be there, or raise ConfigurationError."""
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigurationError(
            "playground must be the path of the page, such as '/playground', or None for no "
            f"page, not {path!r}"
        )
    return path


def add_playground(app: Quart, path: str) -> None:
    """Add the page to an app, and its assets under it; the documents do not list them.

    Args:
        app: The app.
        path: Where the page is, as `check_path` returns it.
    """
    app.add_url_rule(path, PAGE_ENDPOINT, hide(_page))
    app.add_url_rule(f"{path.rstrip('/')}/assets/<name>", _ASSET_ENDPOINT, hide(_asset))


async def _page() -> Response:
    text = await render_template_string(
        (_ASSETS / _PAGE).read_text(encoding="utf-8"),
        title=_title(),
        # From the page back to where the app is mounted, and to what is below the page.
        root="../" * (request.path.count("/") - 1) or "./",
        assets=f"{request.path.rpartition('/')[2] or '.'}/assets/",
        **_documents(),
    )
    return await _answer(text, "text/html; charset=utf-8")


async def _asset(name: str) -> Response:
    file = _ASSETS / name
    if name == _PAGE or file not in _ASSETS.iterdir():
        abort(404)
    content_type = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(name)[0]
    return await _answer(file.read_bytes(), f"{content_type}; charset=utf-8")


async def _answer(content: str | bytes, content_type: str) -> Response:
    """Return a response that a client keeps until its content changes."""
    response: Any = await make_response(content)
    response.headers.update({**_HEADERS, "Content-Type": content_type})
    await response.add_etag()
    answer: Response = await response.make_conditional(request)
    return answer


def _schema() -> QuartSchema:
    schema: QuartSchema = current_app.extensions["QUART_SCHEMA"]
    return schema


def _title() -> str:
    info = _schema().info
    return info.title if info else current_app.name


def _documents() -> dict[str, str]:
    """Return where the documents and their page are, seen from the root; empty if nowhere."""
    schema = _schema()
    if schema.openapi_path is None:
        return {"openapi": "", "asyncapi": "", "docs": ""}
    asyncapi = next(current_app.url_map.iter_rules(ASYNCAPI_ENDPOINT)).rule
    places = {"openapi": schema.openapi_path, "asyncapi": asyncapi, "docs": schema.swagger_ui_path}
    return {name: (place or "").removeprefix("/") for name, place in places.items()}
