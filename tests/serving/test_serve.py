"""`serve`, as far as no process is needed: what it finds out before it starts any."""

import asyncio
import signal
import sys
import threading
import time
from types import ModuleType
from typing import Any

import pytest
from hypercorn.config import Config
from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart

from quart_lanarky import ConfigurationError, LanarkyExtension, serve
from quart_lanarky.serving import serve as serving

app = Quart(__name__)
app.config["QUART_LANARKY_DRAIN_TIMEOUT"] = 3
lanarky = LanarkyExtension(app)
proxied = ProxyFixMiddleware(app, mode="modern")


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Be an ASGI application of another kind."""


# -- where workers find the app ------------------------------------------------------------


def test_a_local_app_cannot_be_served_by_workers_and_the_error_says_what_can() -> None:
    with pytest.raises(ConfigurationError, match=r"global of a module.*package\.module:app"):
        serve(Quart("local"), workers=2)


def test_an_app_of_an_interactive_session_cannot_either(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")  # without a file, as `python -c` has it
    main.app = Quart("local")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    with pytest.raises(ConfigurationError, match="global of a module"):
        serve(main.app, workers=2)


def test_an_app_is_found_where_it_is_a_global() -> None:
    for each in (app, proxied, plain):
        place = serving._location_of(each)
        assert serving._load(place) is each


def test_an_app_is_looked_for_elsewhere_before_the_main_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = ModuleType("__main__")
    main.__file__ = "main.py"
    main.app = app  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setitem(sys.modules, "__mp_main__", main)
    assert serving._location_of(app).module == __name__  # type: ignore[union-attr]
    main.app = Quart("main")
    assert serving._location_of(main.app) == ("__main__", "app")


def test_a_text_is_where_the_app_is() -> None:
    assert serving._location_of("package.module:app") == "package.module:app"
    assert serving._load("tests.serving.test_serve:plain") is plain


# -- what it takes from the app ------------------------------------------------------------


@pytest.mark.parametrize("served", [app, proxied, ProxyFixMiddleware(proxied, mode="modern")])
def test_the_extension_and_its_settings_are_found_inside_of_middleware(served: Any) -> None:
    assert serving._extension_of(served) is lanarky
    assert serving._settings_of(served).drain_timeout == 3


@pytest.mark.parametrize("served", [plain, Quart("bare"), ProxyFixMiddleware(plain, mode="modern")])
def test_other_apps_have_no_extension_and_the_settings_by_default(served: Any) -> None:
    assert serving._extension_of(served) is None
    assert serving._settings_of(served).drain_timeout == 8


def test_the_config_of_the_caller_stays_as_it_was() -> None:
    config = Config()
    config.bind = ["elsewhere:1"]
    config.graceful_timeout = 77
    with pytest.raises(ConfigurationError):
        serve(Quart("local"), workers=2, config=config)
    assert (config.bind, config.graceful_timeout, config.workers) == (["elsewhere:1"], 77, 1)


# -- threads and tasks that do not end -----------------------------------------------------


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how the process would have exited."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    monkeypatch.setattr("atexit._run_exitfuncs", lambda: None)
    return codes


def test_the_process_is_left_when_what_has_to_end_takes_too_long(exits: list[int]) -> None:
    with serving._exit_unless_done_within(0.05):
        time.sleep(0.3)
    assert exits == [0]


def test_the_process_is_not_left_when_it_ends_in_time(exits: list[int]) -> None:
    with serving._exit_unless_done_within(0.1):
        pass
    time.sleep(0.3)
    assert exits == []
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]


# -- being told ----------------------------------------------------------------------------


async def told_and_hurried(*numbers: signal.Signals, supervised: bool) -> tuple[bool, bool]:
    """Return what a worker takes from some signals: that it stops, that it hurries."""
    both = (signal.SIGTERM, signal.SIGINT)
    kinds = ((signal.SIGTERM,), (serving.FORCE_STOP_SIGNAL,)) if supervised else (both, both)
    worker = serving._Worker(app, Config(), stop=kinds[0], force_stop=kinds[1])
    told, force_stopped = asyncio.Event(), asyncio.Event()
    worker._listen(told, force_stopped)
    try:
        for number in numbers:
            signal.raise_signal(number)
            await asyncio.sleep(0.01)
    finally:
        for number in {*kinds[0], *kinds[1]}:
            asyncio.get_running_loop().remove_signal_handler(number)
    return told.is_set(), force_stopped.is_set()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], (False, False)),
        ([signal.SIGTERM], (True, False)),
        ([signal.SIGINT], (True, False)),
        ([signal.SIGTERM, signal.SIGINT], (True, True)),
    ],
)
async def test_a_second_signal_hurries_a_server_without_workers(
    numbers: list[signal.Signals], expected: tuple[bool, bool]
) -> None:
    assert await told_and_hurried(*numbers, supervised=False) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([signal.SIGTERM], (True, False)),
        ([signal.SIGTERM, signal.SIGTERM], (True, False)),
        ([signal.SIGTERM, serving.FORCE_STOP_SIGNAL], (True, True)),
    ],
)
async def test_only_the_supervisor_hurries_a_worker(
    numbers: list[signal.Signals], expected: tuple[bool, bool]
) -> None:
    assert await told_and_hurried(*numbers, supervised=True) == expected
