"""Where an app is found by another process, and the Quart app inside of middleware."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart

from quart_lanarky import ConfigurationError, LanarkyExtension
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


CODE = """
class Holder: app = "held"
app, another, holder = "by default", "another", Holder()
def create_app(name="made"): return name
def create_broken_app(): return nothing_of_this_name
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an app, in a module and in a package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "a_package").mkdir()
    for place in ("an_app.py", "a_package/__init__.py", "a_package/inner.py", "elsewhere/my.py"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(CODE, encoding="utf-8")
    (tmp_path / "needs_more.py").write_text("import not_installed_here", encoding="utf-8")
    for name in ("an_app", "a_package", "a_package.inner", "my", "needs_more"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("location", "app"),
    {
        "an_app": "by default",
        "an_app:app": "by default",
        "an_app.py:app": "by default",
        "an_app:another": "another",
        "an_app:holder.app": "held",
        "an_app:create_app()": "made",
        "an_app:create_app('other')": "other",
        "asgi:an_app:app": "by default",
        "a_package:app": "by default",
        "a_package.inner:another": "another",
        "elsewhere/my.py:app": "by default",
        "elsewhere/my:app": "by default",
    }.items(),
)
@pytest.mark.usefixtures("folder")
def test_an_app_is_imported_from_where_the_command_of_hypercorn_would_take_it(
    location: str, app: str
) -> None:
    assert load_app(location) == app


@pytest.mark.parametrize(
    ("location", "reason"),
    {
        "nowhere:app": "there is no module 'nowhere'",
        "nowhere.at.all:app": "there is no module 'nowhere'",
        "a_package.nowhere:app": "there is no module 'a_package.nowhere'",
        "an_app:nothing": "name 'nothing' is not defined",
        "an_app:holder.nothing": "no attribute 'nothing'",
        "an_app:create_broken_app()": "name 'nothing_of_this_name' is not defined",
    }.items(),
)
@pytest.mark.usefixtures("folder")
def test_the_error_for_an_app_that_is_not_there_says_what_is_missing(
    location: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        load_app(location)
    assert str(caught.value).startswith(f"cannot load the app from {location!r}: ")


@pytest.mark.usefixtures("folder")
def test_an_import_error_of_the_app_itself_is_raised_unchanged() -> None:
    with pytest.raises(ModuleNotFoundError, match="not_installed_here"):
        load_app("needs_more:app")


@pytest.mark.parametrize("served", [app, proxied, ProxyFixMiddleware(proxied, mode="modern")])
def test_the_extension_and_its_settings_are_found_inside_of_middleware(served: Any) -> None:
    assert extension_of(served) is lanarky
    assert settings_of(served).drain_timeout == 3


@pytest.mark.parametrize("served", [plain, Quart("bare"), ProxyFixMiddleware(plain, mode="modern")])
def test_other_apps_have_no_extension_and_the_settings_by_default(served: Any) -> None:
    assert extension_of(served) is None
    assert settings_of(served).drain_timeout == 8
