"""Where an app is found by another process, and the Quart app inside of middleware."""

import sys
from types import ModuleType
from typing import Any

import pytest
from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart

from quart_lanarky import LanarkyExtension
from quart_lanarky.serving.app_location import extension_of, load_app, locate_app, settings_of

app = Quart(__name__)
app.config["QUART_LANARKY_DRAIN_TIMEOUT"] = 3
lanarky = LanarkyExtension(app)
proxied = ProxyFixMiddleware(app, mode="modern")


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Be an ASGI application of another kind."""


def test_an_app_is_found_where_it_is_a_global() -> None:
    for each in (app, proxied, plain):
        place = locate_app(each)
        assert load_app(place) is each


def test_an_app_is_looked_for_elsewhere_before_the_main_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = ModuleType("__main__")
    main.__file__ = "main.py"
    main.app = app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setitem(sys.modules, "__mp_main__", main)
    assert locate_app(app).module == __name__  # type: ignore[union-attr]
    main.app = Quart("main")
    assert locate_app(main.app) == ("__main__", "app")


def test_a_text_is_where_the_app_is() -> None:
    assert locate_app("package.module:app") == "package.module:app"
    assert load_app("tests.serving.test_app_location:plain") is plain


@pytest.mark.parametrize("served", [app, proxied, ProxyFixMiddleware(proxied, mode="modern")])
def test_the_extension_and_its_settings_are_found_inside_of_middleware(served: Any) -> None:
    assert extension_of(served) is lanarky
    assert settings_of(served).drain_timeout == 3


@pytest.mark.parametrize("served", [plain, Quart("bare"), ProxyFixMiddleware(plain, mode="modern")])
def test_other_apps_have_no_extension_and_the_settings_by_default(served: Any) -> None:
    assert extension_of(served) is None
    assert settings_of(served).drain_timeout == 8
