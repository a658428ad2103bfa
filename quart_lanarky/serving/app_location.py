"""Where an app is found by another process, and the Quart app inside of ASGI middleware."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

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
    """Import the app from where `locate_app` found it, or from `"package.module:app"`.

    Raises:
        ConfigurationError: There is no such module, or it has no such app.
    """
    if isinstance(location, AppLocation):
        return getattr(import_module(location.module), location.name)
    # As the `hypercorn` command takes it.
    place, _, app = location.removeprefix("asgi:").removeprefix("wsgi:").partition(":")
    module = _import_from(place, location)
    try:
        return eval(app or "app", vars(module))  # noqa: S307  # the operator's: `create_app()` as well
    except (AttributeError, NameError) as error:
        raise ConfigurationError(f"cannot load the app from {location!r}: {error}") from error


def _import_from(place: str, location: str) -> ModuleType:
    """Import a module by its name, in the working directory as well, or by the path of its file."""
    path = Path(place).resolve()
    sys.path.insert(0, str(path.parent))
    name = path.stem if path.is_file() else path.name
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):  # it is there, and lacks another
            raise
        raise ConfigurationError(
            f"cannot load the app from {location!r}: there is no module {error.name!r}"
        ) from error


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
