"""Read the settings of an app from `app.config`; all have a default."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Literal, Self, get_args

from quart import current_app

from .errors import ConfigurationError
from .protocols.native.encode import Mode, check_mode
from .runs.stream import DEFAULT_BUFFER_EVENTS, DEFAULT_FLUSH_INTERVAL

__all__ = [
    "EXTENSION_KEY",
    "SETTING_KEYS",
    "WORKERS_VARIABLE",
    "OpenAPIVersion",
    "Settings",
    "check_names",
    "current_settings",
]

EXTENSION_KEY: Final = "QUART_LANARKY"

WORKERS_VARIABLE: Final = "LANARKY_WORKER_COUNT"
"""The environment variable that tells a worker how many there are.

It begins like no setting: an app may take its settings from the environment, by their prefix.
"""
"""The key in `app.extensions`; followed by `_`, the prefix of the settings in `app.config`."""


OpenAPIVersion = Literal["3.2.0", "3.1.0"]
"""The version of the OpenAPI spec: only 3.2 can describe the events of a stream."""

_MINIMUM: Final = {
    "flush_interval": 0,
    "buffer_events": 1,
    "heartbeat": 0.01,
    "run_timeout": 0.01,
    "max_runs": 1,
    "max_message_bytes": 1,
    "max_messages": 1,
    "max_queued_turns": 0,
    "max_sessions": 1,
    "idle_timeout": 0.01,
    "drain_timeout": 0,
}
_ORIGIN: Final = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^/?#\s]+")
_HOST: Final = re.compile(r"\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]", re.IGNORECASE)
_FILE_URL: Final = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_OPTIONAL: Final = {
    "heartbeat",
    "run_timeout",
    "max_runs",
    "max_messages",
    "max_sessions",
    "idle_timeout",
}


@dataclass(frozen=True)
class Settings:
    """The settings of an app, read from `app.config["QUART_LANARKY_…"]`.

    Args:
        default_mode: The mode of routes without a `mode`: `"json"` or `"text"`.
        flush_interval: The flush window in seconds; 0 sends every batch as soon as it can.
        buffer_events: How many events of a run are buffered for its client.
        heartbeat: After how many seconds without an event the client gets a heartbeat: a comment
            in a stream, a `ping` on a WebSocket. None for never.
        run_timeout: How many seconds a run may take. None for no limit.
        max_runs: How many runs may be live in a process. None for no limit.
        max_message_bytes: How many bytes a WebSocket message or a request body may have.
        max_messages: How many chat messages the inputs of a chain may contain. None for no
            limit.
        max_queued_turns: How many turns of a WebSocket may wait behind the one in progress.
        idle_timeout: How many seconds a WebSocket without a turn stays open when its client sends
            nothing, not even a `pong`. None for no limit.
        max_sessions: How many WebSockets of chain routes may be open in a process, idle ones as
            well. None for no limit.
        allowed_origins: The other origins whose pages may start runs, such as
            `"https://chat.example.org"`; `"*"` for all. Same-origin pages always may.
        allowed_hosts: The hosts that requests may name, such as `"chat.example.org"`, or
            `"*.example.org"` for all below it; `"*"` for all. With none, a request that a browser
            of this machine sends straight to it has to name a loopback host.
        file_urls: Where the files are that clients may name by URL, on routes with
            `accept=("files",)`: a scheme and a host each, such as `"https://files.example.org"`
            or `"s3://bucket"`. Inline `data:` URLs are always accepted there.
        drain_timeout: How many seconds live runs have to finish when the server is stopped.
        openapi_version: The version of the OpenAPI spec: `"3.2.0"` or `"3.1.0"`.

    Raises:
        ConfigurationError: A setting has an invalid value.
    """

    default_mode: Mode = "json"
    flush_interval: float = DEFAULT_FLUSH_INTERVAL
    buffer_events: int = DEFAULT_BUFFER_EVENTS
    heartbeat: float | None = 15.0
    run_timeout: float | None = 600.0
    max_runs: int | None = 1000
    max_message_bytes: int = 2**20
    max_messages: int | None = 1000
    max_queued_turns: int = 8
    idle_timeout: float | None = 600.0
    max_sessions: int | None = 1000
    allowed_origins: Collection[str] = ()
    allowed_hosts: Collection[str] = ()
    file_urls: Collection[str] = ()
    drain_timeout: float = 8.0
    openapi_version: OpenAPIVersion = "3.2.0"

    def __post_init__(self) -> None:
        """Validate the values, so that an invalid one is reported at start-up."""
        check_mode(self.default_mode)
        for name, minimum in _MINIMUM.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, str):
                raise ConfigurationError(
                    f"{SETTING_KEYS[name]} must be a number, not the text {value!r}: what comes "
                    "from the environment has to be converted, for example by float()"
                )
            if not isinstance(value, int | float) or not value >= minimum:
                raise ConfigurationError(
                    f"{SETTING_KEYS[name]} must be at least {minimum}, not {value!r}"
                )
        if not _is_list_of(_ORIGIN, self.allowed_origins):
            raise ConfigurationError(
                f"{SETTING_KEYS['allowed_origins']} must be a list of origins such as "
                f"'https://chat.example.org', without a path, or '*', not {self.allowed_origins!r}"
            )
        if not _is_list_of(_HOST, self.allowed_hosts):
            raise ConfigurationError(
                f"{SETTING_KEYS['allowed_hosts']} must be a list of hosts such as "
                f"'chat.example.org' or '*.example.org', without a scheme and a port, or '*', "
                f"not {self.allowed_hosts!r}"
            )
        if not _is_list_of(_FILE_URL, self.file_urls):
            raise ConfigurationError(
                f"{SETTING_KEYS['file_urls']} must be a list of schemes and hosts such as "
                f"'https://files.example.org', without a path, not {self.file_urls!r}"
            )
        if self.openapi_version not in get_args(OpenAPIVersion):
            raise ConfigurationError(
                f"{SETTING_KEYS['openapi_version']} must be one of "
                f"{', '.join(get_args(OpenAPIVersion))}, not {self.openapi_version!r}"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the settings from `config`, with defaults for missing ones."""
        given = {name: config[key] for name, key in SETTING_KEYS.items() if key in config}
        items = [(name, tuple(v) if isinstance(v, list) else v) for name, v in given.items()]
        kind: Any = cls
        try:
            settings: Self = _cached(kind, tuple(items))
        except (TypeError, ValueError):  # unhashable, or invalid: its error shows what was given
            return cls(**given)
        return settings


@lru_cache(32)
def _cached(kind: type[Any], items: tuple[tuple[str, Any], ...]) -> Any:
    """Return settings that were checked before: each request reads them twice."""
    return kind(**dict(items))


def _is_list_of(pattern: re.Pattern[str], values: Any) -> bool:
    is_list = isinstance(values, Collection) and not isinstance(values, str)
    return is_list and all(isinstance(each, str) and pattern.fullmatch(each) for each in values)


SETTING_KEYS = {field.name: f"{EXTENSION_KEY}_{field.name.upper()}" for field in fields(Settings)}
"""For each setting its key in `app.config`."""


def check_names(config: Mapping[str, Any]) -> None:
    """Refuse keys that look like settings but are none: they would have no effect.

    Raises:
        ConfigurationError: There is one; the error says which it may stand for.
    """
    known = SETTING_KEYS.values()
    for key in config:
        if key.startswith(f"{EXTENSION_KEY}_") and key not in known:
            name = key.removeprefix(f"{EXTENSION_KEY}_").lower()
            similar = [SETTING_KEYS[each] for each in get_close_matches(name, SETTING_KEYS, 1)]
            meant = f"did you mean {similar[0]}?" if similar else f"there are {', '.join(known)}"
            raise ConfigurationError(f"there is no setting {key}: {meant}")
        if f"QUART_{key}" in known:  # what `from_prefixed_env()` makes of it, without its QUART_
            raise ConfigurationError(
                f"the setting {key} has no effect; did you mean QUART_{key}? In the environment, "
                f"app.config.from_prefixed_env() wants it as QUART_QUART_{key}"
            )


def current_settings() -> Settings:
    """Return the settings of the current app.

    Raises:
        ConfigurationError: The app was not set up with the extension.
    """
    if EXTENSION_KEY not in current_app.extensions:
        raise ConfigurationError(
            "this app has chain routes but not the extension: call LanarkyExtension(app), "
            "or init_app(app), where the app is made"
        )
    return Settings.from_config(current_app.config)
