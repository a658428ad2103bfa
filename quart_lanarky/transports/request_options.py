"""What a request may ask of its run besides the inputs: in the query string, or in a header.

A request may ask for less than its route allows, and never for more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.datastructures import MultiDict

from ..errors import InputError
from ..protocols.base import RequestOption

__all__ = ["asked_names", "read_request_options"]


def read_request_options(
    options: Sequence[RequestOption], connection: BaseRequestWebsocket, query: MultiDict[str, str]
) -> dict[str, str]:
    """Take the options of a request out of its query string, and read the others in its headers.

    Args:
        options: Those that the route has.
        connection: The request, or the handshake of a WebSocket.
        query: The query string; what is an option is removed from it.

    Returns:
        The options that were given, by name. The query string counts before the header.

    Raises:
        InputError: One is given more than once.
    """
    given: dict[str, str] = {}
    for option in options:
        values = query.poplist(option.name)
        if len(values) > 1:
            raise InputError("the query string", {option.name: "is given more than once"})
        if not values and option.header is not None:
            values = [v for v in [connection.headers.get(option.header)] if v is not None]
        if values:
            given[option.name] = values[0]
    return given


def asked_names(asked: Mapping[str, Any], option: str, allowed: Collection[str]) -> list[str]:
    """Return which of several names a request asks for: all that are allowed, or fewer.

    Args:
        asked: What `read_request_options` returned.
        option: The option whose value is a list of names with commas between them.
        allowed: What its route allows.

    Raises:
        InputError: It asks for one that its route does not allow.
    """
    if option not in asked:
        return list(allowed)
    names = [name.strip() for name in asked[option].split(",") if name.strip()]
    if more := [name for name in names if name not in allowed]:
        what = ", ".join(allowed)
        raise InputError(
            "the request asks for more than its route allows",
            {option: f"{more[0][:40]!r} is not among {what}"},
        )
    return [name for name in allowed if name in names]
