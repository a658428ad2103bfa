"""A worker: its signals, and what it leaves behind."""

import asyncio
import signal
import threading
import time

import pytest
from hypercorn.config import Config
from quart import Quart

from quart_lanarky.serving.supervisor import FORCE_STOP_SIGNAL
from quart_lanarky.serving.worker import Worker, exit_unless_done_within

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


async def told_and_hurried(*numbers: signal.Signals, supervised: bool) -> tuple[bool, bool]:
    """Return what a worker takes from some signals: that it stops, that it hurries."""
    both = (signal.SIGTERM, signal.SIGINT)
    kinds = ((signal.SIGTERM,), (FORCE_STOP_SIGNAL,)) if supervised else (both, both)
    worker = Worker(app, Config(), stop=kinds[0], force_stop=kinds[1])
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
        ([signal.SIGTERM, FORCE_STOP_SIGNAL], (True, True)),
    ],
)
async def test_only_the_supervisor_hurries_a_worker(
    numbers: list[signal.Signals], expected: tuple[bool, bool]
) -> None:
    assert await told_and_hurried(*numbers, supervised=True) == expected
