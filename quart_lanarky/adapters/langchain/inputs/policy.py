"""What a route accepts from its clients besides a conversation in text."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from ....errors import ConfigurationError

__all__ = ["Acceptable", "InputPolicy", "NotAcceptedError", "check_accept", "describe_accepted"]

Acceptable = Literal["system", "tools", "files", "serialized", "overwrite"]
"""What the route option `accept=` can name."""


def check_accept(accept: Any) -> None:
    """Validate the route option `accept=`.

    Raises:
        ConfigurationError: It is no list of the names in `Acceptable`.
    """
    known = get_args(Acceptable)
    is_list = isinstance(accept, Collection) and not isinstance(accept, str)
    if not is_list or not all(name in known for name in accept):
        raise ConfigurationError(
            f'accept= takes a tuple of {", ".join(map(repr, known))}, such as accept=("system",), '
            f"not {accept!r}"
        )


_NAMES: Final[dict[str, str]] = {
    "system": "messages with the roles `system` and `developer`",
    "tools": "tool calls and their results",
    "files": "files in content blocks",
    "serialized": "LangChain's serialised objects",
    "overwrite": "ids of messages, and values that replace the state of a graph",
}


def describe_accepted(accept: Collection[str]) -> str:
    """Return a sentence for the API docs on what a route accepts besides a conversation in text.

    It is empty if that is nothing.
    """
    names = [text for option, text in _NAMES.items() if option in accept]
    return f"The inputs may also have {', '.join(names)}." if names else ""


class NotAcceptedError(Exception):
    """A client sent what its route does not accept. The text is for the client."""


@dataclass(frozen=True)
class InputPolicy:
    """What a route accepts from its clients. By default only a conversation in text.

    Args:
        accept: The names in the route option `accept=`.
        file_urls: Where the files of content blocks may be, each a scheme and a host, such as
            `"https://files.example.org"` (the setting `QUART_LANARKY_FILE_URLS`).
        max_messages: How many messages the inputs of a run may contain. None for no limit.
    """

    accept: Collection[str] = ()
    file_urls: Collection[str] = ()
    max_messages: int | None = None

    def require(self, *options: Acceptable, what: str) -> None:
        """Raise unless the route accepts all of `options`.

        Args:
            *options: What the route has to accept.
            what: What the client sent, in the plural.

        Raises:
            NotAcceptedError: The route does not accept it.
        """
        missing = [option for option in options if option not in self.accept]
        if missing:
            named = " and ".join(f'"{option}"' for option in missing)
            raise NotAcceptedError(
                f"this route does not accept {what}: its option accept= would have to name {named}"
            )

    def check_file_url(self, url: str) -> None:
        """Raise unless a file may be at `url`: a `data:` URL, or at a place that the app names.

        Raises:
            NotAcceptedError: The route does not accept it.
        """
        if url[:5].lower() == "data:":
            return
        place = _place_of(url)
        if place is None or place not in map(_place_of, self.file_urls):
            raise NotAcceptedError(
                "the URL of a file has to be a data: URL, or at a scheme and host that the app "
                "names in QUART_LANARKY_FILE_URLS"
            )


_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?(?:[/?#]|$)",
    re.IGNORECASE,
)
_UNSAFE: Final = re.compile(r"[^\x21-\x7e]|\\")
"""What URL parsers do not agree on: white space, control characters, other than ASCII, and `\\`."""

_DEFAULT_PORTS: Final = {"http": "80", "https": "443"}


def _place_of(url: str) -> tuple[str, str, str] | None:
    """Return the scheme, the host and the port of a URL; None if parsers may not agree on them.

    A URL with a user, an encoded host or a relative one has none.
    """
    found = None if _UNSAFE.search(url) else _URL.match(url)
    if found is None:
        return None
    scheme, host, port = found.group(1).lower(), found.group(2).lower(), found.group(3)
    return scheme, host, (port or _DEFAULT_PORTS.get(scheme, "")).lstrip("0")
