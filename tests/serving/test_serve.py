"""`serve`, as far as no process is needed: what it finds out before it starts any."""

import sys
from types import ModuleType

import pytest
from hypercorn.config import Config
from quart import Quart

from quart_lanarky import ConfigurationError, serve


def test_a_local_app_cannot_be_served_by_workers_and_the_error_says_what_can() -> None:
    with pytest.raises(ConfigurationError, match=r"global of a module.*package\.module:app"):
        serve(Quart("local"), workers=2)


def test_an_app_of_an_interactive_session_cannot_either(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")  # without a file, as `python -c` has it
    main.app = Quart("local")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(ConfigurationError, match="global of a module"):
        serve(main.app, workers=2)


def test_the_config_of_the_caller_stays_as_it_was() -> None:
    config = Config()
    config.bind = ["elsewhere:1"]
    config.graceful_timeout = 77
    with pytest.raises(ConfigurationError):
        serve(Quart("local"), workers=2, config=config)
    assert (config.bind, config.graceful_timeout, config.workers) == (["elsewhere:1"], 77, 1)


# -- Windows -------------------------------------------------------------------------------


@pytest.fixture
def _windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.usefixtures("_windows")
def test_on_windows_there_are_no_workers() -> None:
    with pytest.raises(ConfigurationError, match=r"workers take POSIX.* serve with workers=0"):
        serve("tests.serving.test_serve:nothing", workers=1)


@pytest.mark.parametrize("bind", ["unix:app.sock", "fd://3", ["127.0.0.1:8000", "unix:app.sock"]])
@pytest.mark.usefixtures("_windows")
def test_on_windows_there_are_only_ports(bind: str | list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"'(unix:app\.sock|fd://3)' takes POSIX"):
        serve(Quart("local"), bind=bind)
