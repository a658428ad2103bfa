"""Checks before a chain runs: host, origin, body size, reconnects, time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from functools import lru_cache, wraps
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from quart import Request, request
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.exceptions import RequestEntityTooLarge

from ..errors import (
    MAX_NAME,
    DisallowedHostError,
    ForeignOriginError,
    InputError,
    InputTooLargeError,
    TooSlowError,
    shortened,
)
from ..events import is_end_id
from ..settings import current_settings
from .connection import current_connection

__all__ = [
    "check_host",
    "check_origin",
    "is_finished_reconnect",
    "limit_body",
    "read_json",
    "require_allowed_host",
    "setup_timeout",
]

logger = logging.getLogger(__name__)

View = Callable[..., Awaitable[Any]]

REJECTED_BODY_TIMEOUT: Final = 1.0
"""Seconds in which a client may send the rest of a refused body, so that it reads the answer."""

ANY_ORIGIN: Final = "*"
ANY_HOST: Final = "*"

_OWN_SITES: Final = ("same-origin", "none")
"""`Sec-Fetch-Site` of the app's own pages, and of what users open themselves."""

_AUTHORITY_END: Final = re.compile(r"[/?#\\]")

_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def check_host(client_request: BaseRequestWebsocket, allowed: Collection[str]) -> None:
    """Refuse a request that names a host which is none of the app's.

    Whoever owns a name may point it to any server (DNS rebinding). A page of that name is then of
    the app's own origin, for the browser and for `check_origin`. Only `Host` tells.

    Without `allowed`, what a browser of this machine sends to it has to name an IP address,
    `localhost` or a name below that. What a proxy passes on is not checked: its clients name
    another port than the one that the app listens on.

    Args:
        client_request: The request or the handshake.
        allowed: The app's hosts. `"*.example.org"` stands for all below it, `"*"` for all.

    Raises:
        DisallowedHostError: It names another.
    """
    own_port = _loopback_port(client_request)
    if ANY_HOST in allowed or not (allowed or own_port):
        return
    host = client_request.headers.get("Host", "")
    scheme = str(client_request.scheme)
    named = _host_and_port(scheme if scheme in _DEFAULT_PORTS else "http", host)
    name, port = named or ("", None)
    if allowed:
        is_known = any(_matches(name.rstrip("."), pattern.lower()) for pattern in allowed)
    else:
        is_known = port != own_port or _is_loopback_name(name.rstrip("."))
    if not is_known:
        logger.warning(
            "refused a request for the host %r; if it is yours, list it in "
            "QUART_LANARKY_ALLOWED_HOSTS",
            shortened(host, MAX_NAME),
        )
        raise DisallowedHostError(f"there is no host {shortened(host, MAX_NAME)!r} here")


def require_allowed_host(view: View) -> View:
    """Return a view of a page or a file that checks the host as a chain route does."""

    @wraps(view)
    async def checked(*args: Any, **kwargs: Any) -> Any:
        check_host(request, current_settings().allowed_hosts)
        return await view(*args, **kwargs)

    return checked


def _loopback_port(client_request: BaseRequestWebsocket) -> int | None:
    """Return the port that a client on this machine has connected to; None if it is elsewhere."""
    address, port = client_request.scope.get("server") or ("", None)
    return port if _is_loopback_address(address) else None


@lru_cache
def _is_loopback_address(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _is_loopback_name(name: str) -> bool:
    """Tell whether no DNS server answers for `name`; that is so for any IP address."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return name == pattern.strip("[]")


def check_origin(client_request: BaseRequestWebsocket, allowed: Collection[str]) -> None:
    """Refuse what a browser sends for a page of another origin.

    A browser lets any page open a WebSocket, and request any URL, with its visitor's cookies.
    It names the page's origin in `Origin`. Where it sends none, `Sec-Fetch-Site` says whether the
    page is of the same origin, and over plain HTTP, where it does not send that either, `Referer`
    may name the page. Clients that are no browsers send none of the three, and are let in.

    The host decides, and not the scheme: behind a proxy the app does not know its own.

    Args:
        client_request: The request or the handshake.
        allowed: The origins that are let in besides the app's own; `"*"` stands for all.

    Raises:
        ForeignOriginError: It comes from elsewhere.
    """
    if ANY_ORIGIN in allowed:
        return
    headers = client_request.headers
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    if origin is None and site is not None:
        # Not by `Referer`, allowed or not: that stays when another site redirects an image here.
        if site not in _OWN_SITES:
            raise ForeignOriginError("pages of another origin may not ask here")
        return
    page = _origin_of(headers.get("Referer")) if origin is None else origin
    if (
        page is not None
        and page not in allowed
        and not _is_same_host(page, headers.get("Host", ""))
    ):
        raise ForeignOriginError(f"pages of {shortened(page, MAX_NAME)} may not ask here")


def _origin_of(url: str | None) -> str | None:
    """Return the scheme, the host and the port of a URL, as `Origin` has them."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{_AUTHORITY_END.split(rest, maxsplit=1)[0]}"


def _is_same_host(origin: str, host: str) -> bool:
    scheme, _, authority = origin.partition("://")
    if scheme not in _DEFAULT_PORTS:
        return False
    theirs = _host_and_port(scheme, authority)
    return theirs is not None and theirs == _host_and_port(scheme, host)


def _host_and_port(scheme: str, authority: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port or _DEFAULT_PORTS[scheme]
    except ValueError:  # no URL at all, or a port that is no number
        return None
    return None if parts.hostname is None else (parts.hostname, port)


def is_finished_reconnect(client_request: Request) -> bool:
    """Tell whether an `EventSource` reconnects to a stream whose `end` it has seen.

    It does so by itself when the server has closed the stream. Status 204 makes it stop.
    """
    return is_end_id(client_request.headers.get("Last-Event-ID", ""))


def limit_body(limit: int) -> None:
    """Keep no more than `limit` bytes of the current request's body, read or not.

    Quart 0.23 would keep all of it, for as long as the request is answered.
    """
    if (connection := current_connection()) is not None:
        connection.max_body = limit


async def read_json(limit: int) -> str | bytes:
    """Return the body of the current request.

    Args:
        limit: How many bytes it may have. Quart's `MAX_CONTENT_LENGTH` holds as well.

    Raises:
        InputError: It is not sent as JSON. (Only JSON makes a browser ask before it lets a page
            of another site send it.)
        InputTooLargeError: It has more.
    """
    if not request.is_json:
        raise InputError("send the inputs as JSON, with the header Content-Type: application/json")
    own: Any = request.max_content_length
    limit = limit if own is None else min(limit, own)
    connection = current_connection()

    def is_too_large(size: int) -> bool:  # a connection may have been bounded lower
        return size > limit or (connection is not None and connection.body_is_too_large)

    try:
        body = None if is_too_large(request.content_length or 0) else await request.get_data()
    except RequestEntityTooLarge:
        body = None
    if body is None or is_too_large(len(body)):
        if connection is not None:
            await connection.wait_for_body(REJECTED_BODY_TIMEOUT)
        raise InputTooLargeError(f"send no more than {limit} bytes")
    return body


@asynccontextmanager
async def setup_timeout(seconds: float | None) -> AsyncIterator[None]:
    """Bound what is done before a run, such as making its chain.

    Args:
        seconds: How long it may take. None for any time.

    Raises:
        TooSlowError: It took longer. It is a 504.
    """
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():  # of another timeout
            raise
        raise TooSlowError(f"the server was not ready within {seconds:g} seconds") from error
