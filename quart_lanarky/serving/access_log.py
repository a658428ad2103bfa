"""The access log: what a client sends cannot end a line of it, nor a field in quotes."""

from __future__ import annotations

from typing import Any

from hypercorn.config import Config
from hypercorn.logging import AccessLogAtoms, Logger
from typing_extensions import override

__all__ = ["AccessLogger", "escape", "use_access_logger"]


def escape(text: str) -> str:
    r"""Return a text of a client's as it is safe in a line of a log and on a terminal.

    Control characters, those that change the direction of writing, line separators, quotes and
    backslashes become escapes such as `\x1b`.
    """
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character == '"':
        return r"\x22"
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode()


class _EscapedAtoms(AccessLogAtoms):
    """What a line of the access log may consist of, escaped where it is asked for."""

    @override
    def __getitem__(self, key: str) -> Any:
        value: Any = super().__getitem__(key)
        return escape(value) if isinstance(value, str) else value


class AccessLogger(Logger):
    """Hypercorn's logger, whose access log has one line for each request, whatever its path."""

    @override
    def atoms(self, request: Any, response: Any, request_time: float) -> Any:
        """Return what a line of the access log may consist of."""
        return _EscapedAtoms(request, response, request_time)


def use_access_logger(config: Config) -> None:
    """Take this logger, unless the configuration has one of its own."""
    if config.logger_class is Logger and config.statsd_host is None:
        config.logger_class = AccessLogger
