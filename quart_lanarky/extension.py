"""LanarkyExtension: what an app gets once, its settings and its chain routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, Self
from weakref import WeakSet

from quart import Blueprint, Quart, current_app

from .errors import ConfigurationError
from .events import Mode, check_mode
from .streams import DEFAULT_BUFFER_EVENTS, DEFAULT_FLUSH_INTERVAL

__all__ = ["EXTENSION_KEY", "LanarkyExtension", "Settings"]

EXTENSION_KEY = "QUART_LANARKY"
"""The key in `app.extensions`, and with `_` the prefix of the settings in `app.config`."""


@dataclass(frozen=True)
class Settings:
    """The settings of an app, read from `app.config["QUART_LANARKY_…"]`.

    Args:
        default_mode: The mode of routes that name none: `"json"` or `"text"`.
        flush_interval: The flush window in seconds; 0 sends every batch as soon as it can.
        buffer_events: How many events of a run may wait for its client.
        max_queued_turns: How many turns of a WebSocket may wait behind the one in progress.

    Raises:
        ConfigurationError: A setting has a value that makes no sense.
    """

    default_mode: Mode = "json"
    flush_interval: float = DEFAULT_FLUSH_INTERVAL
    buffer_events: int = DEFAULT_BUFFER_EVENTS
    max_queued_turns: int = 8

    def __post_init__(self) -> None:
        """Check the values, so that a wrong one is found at start-up."""
        check_mode(self.default_mode)
        for name, least in (("flush_interval", 0), ("buffer_events", 1), ("max_queued_turns", 0)):
            if getattr(self, name) < least:
                raise ConfigurationError(
                    f"{_KEYS[name]} must be at least {least}, not {getattr(self, name)}"
                )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the settings; those that `config` lacks have their defaults."""
        return cls(**{name: config[key] for name, key in _KEYS.items() if key in config})


_KEYS = {field.name: f"{EXTENSION_KEY}_{field.name.upper()}" for field in fields(Settings)}


class LanarkyExtension:
    """Adds streaming chain routes to a Quart app.

    Args:
        app: The app; without one, call `init_app` later. One extension may serve several apps.
    """

    adapter = "quart_lanarky.adapters.langchain.routing"
    """The module whose `chain_blueprint()` makes routes from a chain.

    It is imported when it is first needed: the core knows no LLM framework.
    """

    def __init__(self, app: Quart | None = None) -> None:
        self._apps: WeakSet[Quart] = WeakSet()
        self._blueprints: list[Blueprint] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Quart) -> None:
        """Set the app up: defaults for its settings, and the chain routes added so far.

        Raises:
            ConfigurationError: A setting has a value that makes no sense.
        """
        settings = Settings.from_config(app.config)
        for name, key in _KEYS.items():
            app.config.setdefault(key, getattr(settings, name))
        app.extensions[EXTENSION_KEY] = self
        self._apps.add(app)
        for blueprint in self._blueprints:
            app.register_blueprint(blueprint)

    def add_chain(self, rule: str, chain: Any | Callable[..., Any], **options: Any) -> Blueprint:
        """Serve a chain at `rule`: POST and GET there, and a WebSocket at `rule` + `/ws`.

        Args:
            rule: The URL rule, such as `/qa`.
            chain: A chain that is ready, or a factory as `@stream_chain` decorates.
            **options: `name`, the blueprint's name (by default made from the rule), and
                whatever `stream_chain` takes.

        Returns:
            The blueprint, registered on the extension's apps.

        Raises:
            ChainTypeError: `chain` is neither a chain nor callable.
        """
        blueprint: Blueprint = import_module(self.adapter).chain_blueprint(rule, chain, **options)
        self._blueprints.append(blueprint)
        for app in self._apps:
            app.register_blueprint(blueprint)
        return blueprint


def current_settings() -> Settings:
    """Return the settings of the current app.

    Raises:
        ConfigurationError: The app was not set up with the extension.
    """
    if EXTENSION_KEY not in current_app.extensions:
        raise ConfigurationError(
            "this app has chain routes but not the extension: call LanarkyExtension(app)"
        )
    return Settings.from_config(current_app.config)
