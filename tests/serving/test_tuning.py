"""A process that serves: its event loop, and its garbage collector."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from quart_lanarky.errors import ConfigurationError
from quart_lanarky.serving.tuning import THRESHOLDS, loop_factory, tune_gc


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Leave the collector as it was."""
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


def test_existing_objects_are_frozen_and_collected_less_often() -> None:
    tune_gc()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == THRESHOLDS


def test_an_app_that_collects_even_less_often_keeps_its_thresholds() -> None:
    gc.set_threshold(10**6, 5, 10**6)
    tune_gc()
    assert gc.get_threshold() == (10**6, THRESHOLDS[1], 10**6)


@pytest.mark.parametrize("way", ["disabled", "no threshold"])
def test_a_collector_that_is_off_stays_as_it_is(way: str) -> None:
    if way == "disabled":
        gc.disable()
    else:
        gc.set_threshold(0)
    thresholds = gc.get_threshold()
    tune_gc()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == thresholds


def test_a_process_that_serves_does_it() -> None:
    code = """if True:
        import asyncio, gc, os, signal
        from quart import Quart
        from quart_lanarky import serve

        app = Quart("here")

        @app.before_serving
        async def stop_soon():
            asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)

        @app.after_serving
        async def report():
            print(gc.get_threshold(), gc.get_freeze_count() > 0)

        serve(app, bind="127.0.0.1:0")
    """
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"{THRESHOLDS} True" in out.stdout, out


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_the_event_loop_is_of_the_kind_that_was_asked_for(kind: str) -> None:
    loop = loop_factory(kind)()
    loop.close()
    assert type(loop).__module__.partition(".")[0] == kind


def test_there_is_no_other_kind() -> None:
    with pytest.raises(ConfigurationError, match="'asyncio' or 'uvloop' here, not 'trio'"):
        loop_factory("trio")


def test_without_uvloop_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(ConfigurationError, match="pip install uvloop"):
        loop_factory("uvloop")
