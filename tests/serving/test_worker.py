"""A worker: its signals, and what it leaves behind."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from hypercorn.config import Config
from quart import Quart

from quart_lanarky.serving.supervisor import FORCE_STOP_SIGNAL
from quart_lanarky.serving.worker import Worker, _handlers_restored, exit_unless_done_within

app = Quart(__name__)


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how the process would have exited."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    monkeypatch.setattr("atexit._run_exitfuncs", lambda: None)
    return codes


def test_the_process_is_left_when_what_has_to_end_takes_too_long(exits: list[int]) -> None:
    with exit_unless_done_within(0.05):
        time.sleep(0.3)
    assert exits == [0]


def test_the_process_is_not_left_when_it_ends_in_time(exits: list[int]) -> None:
    with exit_unless_done_within(0.1):
        pass
    time.sleep(0.3)
    assert exits == []
    assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]


async def stops_after(*numbers: signal.Signals, supervised: bool) -> tuple[bool, bool]:
    """Return whether a worker stops after some signals, and whether it is forced to."""
    both = (signal.SIGTERM, signal.SIGINT)
    kinds = ((signal.SIGTERM,), (FORCE_STOP_SIGNAL,)) if supervised else (both, both)
    worker = Worker(app, Config(), stop=kinds[0], force_stop=kinds[1])
    stopping, force_stopped = asyncio.Event(), asyncio.Event()
    worker._listen(stopping, force_stopped)
    try:
        for number in numbers:
            signal.raise_signal(number)
            await asyncio.sleep(0.01)
    finally:
        for number in {*kinds[0], *kinds[1]}:
            asyncio.get_running_loop().remove_signal_handler(number)
    return stopping.is_set(), force_stopped.is_set()


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], (False, False)),
        ([signal.SIGTERM], (True, False)),
        ([signal.SIGINT], (True, False)),
        ([signal.SIGTERM, signal.SIGINT], (True, True)),
    ],
)
async def test_a_second_signal_forces_a_server_without_workers_to_stop(
    numbers: list[signal.Signals], expected: tuple[bool, bool]
) -> None:
    assert await stops_after(*numbers, supervised=False) == expected


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([signal.SIGTERM], (True, False)),
        ([signal.SIGTERM, signal.SIGTERM], (True, False)),
        ([signal.SIGTERM, FORCE_STOP_SIGNAL], (True, True)),
    ],
)
async def test_only_the_supervisor_forces_a_worker_to_stop(
    numbers: list[signal.Signals], expected: tuple[bool, bool]
) -> None:
    assert await stops_after(*numbers, supervised=True) == expected


# -- an event loop without signals, as on Windows ------------------------------------------


class LoopWithoutSignals(asyncio.SelectorEventLoop):
    def add_signal_handler(self, *_: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_where_the_event_loop_handles_no_signals_python_does(number: signal.Signals) -> None:
    async def raise_twice() -> tuple[bool, bool]:
        worker._listen(stopping := asyncio.Event(), force_stopped := asyncio.Event())
        signal.raise_signal(number)
        await asyncio.wait_for(stopping.wait(), 1)
        was_forced = force_stopped.is_set()
        signal.raise_signal(number)
        await asyncio.wait_for(force_stopped.wait(), 1)
        return stopping.is_set(), was_forced

    both = (signal.SIGTERM, signal.SIGINT)
    worker = Worker(app, Config(), stop=both, force_stop=both)
    before = [signal.getsignal(each) for each in both]
    with (
        _handlers_restored(both),
        asyncio.Runner(loop_factory=LoopWithoutSignals) as runner,
    ):
        assert runner.run(raise_twice()) == (True, False)
    assert [signal.getsignal(each) for each in both] == before


def test_a_server_on_such_an_event_loop_drains_and_leaves_the_handlers_as_they_were() -> None:
    code = """if True:
        import asyncio, os, signal
        from quart import Quart
        from quart_lanarky import LanarkyExtension, serve

        def refuse(*_):
            raise NotImplementedError

        asyncio.SelectorEventLoop.add_signal_handler = refuse
        app = Quart("here")
        lanarky = LanarkyExtension(app)

        @app.before_serving
        async def stop_soon():
            asyncio.get_running_loop().call_later(0.3, os.kill, os.getpid(), signal.SIGTERM)

        @app.after_serving
        async def report():
            print("drained:", lanarky.is_draining)

        before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        serve(app, bind="127.0.0.1:0")
        after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        print("handlers:", before == after)
    """
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "drained: True\nhandlers: True\n", out
