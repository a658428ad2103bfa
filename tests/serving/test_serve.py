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
