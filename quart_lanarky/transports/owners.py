"""Whose thread it is: keys that different owners do not share."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

from quart.wrappers.base import BaseRequestWebsocket

from ..errors import ConfigurationError
from .admission import current_owner_function

__all__ = ["FindOwner", "owned_key"]

FindOwner = Callable[[Any], str | Awaitable[str | None] | None]
"""Says who asks: called with Quart's request, or the handshake of a WebSocket."""


async def owned_key(connection: BaseRequestWebsocket, name: str) -> str:
    """Return the key of something that belongs to whoever asks, for a store of many owners.

    With `owner=` of the extension it is a JSON array of the owner and the name, which no other pair
    is written as; without it, it is the name.

    Args:
        connection: The request, or the handshake.
        name: The name that it has among its owner's.

    Raises:
        ConfigurationError: `owner=` returned neither a text nor None.
    """
    find_owner = current_owner_function()
    if find_owner is None:
        return name
    found = find_owner(connection)
    owner = await found if isawaitable(found) else found
    if owner is not None and not isinstance(owner, str):
        raise ConfigurationError(f"owner= returns a str or None, not {type(owner).__name__}")
    return json.dumps([owner, name])
