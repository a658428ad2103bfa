"""Where an app is found by another process, and the Quart app inside of ASGI middleware."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, NamedTuple

from hypercorn.utils import load_application
from quart import Quart

from ..errors import ConfigurationError
from ..extension import LanarkyExtension
from ..settings import EXTENSION_KEY, Settings

__all__ = ["AppLocation", "extension_of", "load_app", "locate_app", "quart_app_of", "settings_of"]


class AppLocation(NamedTuple):
    """Where a worker finds the app."""

    module: str
    name: str


def locate_app(app: Any) -> AppLocation | str:
    """Return where another process finds `app`."""
    if isinstance(app, str):
        return app
    main = sys.modules["__main__"]  # under several names; any other module is better
    others = [(name, module) for name, module in sys.modules.items() if module is not main]
    for module_name, module in [*others, (_name_of(main), main)]:
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is app and module_name is not None:
                return AppLocation(module_name, name)
    raise ConfigurationError(
        "with workers, the app must be a global of a module, since each worker imports it: pass "
        '"package.module:app", or serve with workers=0'
    )


def _name_of(main: ModuleType) -> str | None:
    """Return by which name a worker finds the main module; None if it does not."""
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name.endswith(".__main__"):  # `python -m package`
        return str(spec.name)
    return "__main__" if hasattr(main, "__file__") else None  # not so in `python -c`


def load_app(location: AppLocation | str) -> Any:
    """Import the app from where `locate_app` found it, or from `"package.module:app"`."""
    if isinstance(location, str):
        return load_application(location, 0).app  # type: ignore[attr-defined]
    __import__(location.module)
    return getattr(sys.modules[location.module], location.name)


def quart_app_of(app: Any) -> Quart | None:
    """Return the Quart app inside of ASGI middleware, if that keeps it where all do."""
    while app is not None and not isinstance(app, Quart):
        app = getattr(app, "app", None)
    return app


def extension_of(app: Any) -> LanarkyExtension | None:
    """Return the extension of the Quart app inside of `app`, if there is one."""
    quart = quart_app_of(app)
    return None if quart is None else quart.extensions.get(EXTENSION_KEY)


def settings_of(app: Any) -> Settings:
    """Return the settings of the Quart app inside of `app`; the defaults of any other app."""
    quart = quart_app_of(app)
    return Settings() if quart is None else Settings.from_config(quart.config)
