"""Signals: every receiver is called, and none can harm a run or the other receivers."""

import asyncio
import logging
from contextlib import ExitStack
from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest
from blinker import NamedSignal
from quart import Quart

from quart_lanarky.runs import signals
from quart_lanarky.runs.signals import (
    RunReport,
    publish,
    run_cancelled,
    run_failed,
    run_finished,
    run_started,
)

REPORT = RunReport(run_id=UUID(int=7), route="/qa", transport="sse")
Seen = list[tuple[object, RunReport]]


@pytest.fixture
def app() -> Quart:
    return Quart(__name__)


@pytest.fixture
def seen() -> Seen:
    return []


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("signal", [run_started, run_finished, run_failed, run_cancelled])
async def test_a_receiver_gets_the_app_and_the_run(
    signal: NamedSignal, app: Quart, seen: Seen
) -> None:
    with signal.connected_to(lambda sender, run: seen.append((sender, run))):
        publish(signal, app, REPORT)
    assert seen == [(app, REPORT)]


async def test_a_receiver_for_one_app_gets_no_signals_of_another(app: Quart, seen: Seen) -> None:
    def note(sender: object, run: RunReport) -> None:
        seen.append((sender, run))

    with run_finished.connected_to(note, sender=app):
        publish(run_finished, Quart("another"), REPORT)
        assert not seen
        publish(run_finished, app, REPORT)
    assert seen == [(app, REPORT)]


async def test_a_receiver_that_raises_is_logged_and_the_others_are_called(
    app: Quart, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(sender: object, run: RunReport) -> None:
        seen.append((sender, run))
        raise RuntimeError("the disk is full")

    def fail_as_well(sender: object, run: RunReport) -> None:
        fail(sender, run)

    with run_failed.connected_to(fail), run_failed.connected_to(fail_as_well):
        publish(run_failed, app, REPORT)
    assert len(seen) == 2
    assert errors(caplog) == ["a receiver of run-failed raised"] * 2
    assert "the disk is full" in caplog.text


async def test_an_async_receiver_runs_in_its_own_task(app: Quart, seen: Seen) -> None:
    may_go_on = asyncio.Event()

    async def note(sender: object, run: RunReport) -> None:
        await may_go_on.wait()
        seen.append((sender, run))

    with run_finished.connected_to(note):
        publish(run_finished, app, REPORT)
    assert not seen
    may_go_on.set()
    await asyncio.sleep(0.01)
    assert seen == [(app, REPORT)]


async def test_an_async_receiver_that_raises_is_logged(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(sender: object, run: RunReport) -> None:
        raise RuntimeError("the disk is full")

    with run_started.connected_to(fail):
        publish(run_started, app, REPORT)
        await asyncio.sleep(0.01)
    assert errors(caplog) == ["a receiver of run-started raised"]
    assert "the disk is full" in caplog.text


async def test_a_full_log_does_not_keep_receivers_from_being_called(
    app: Quart, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    async def fail_later(sender: object, run: RunReport) -> None:
        fail()

    def note(sender: object, run: RunReport) -> None:
        seen.append((sender, run))

    monkeypatch.setattr(signals.logger, "exception", fail)
    with ExitStack() as stack:
        for receiver in (fail, fail_later, note, lambda sender, run: fail()):
            stack.enter_context(run_failed.connected_to(receiver))
        publish(run_failed, app, REPORT)
        await asyncio.sleep(0.01)
    assert seen == [(app, REPORT)]


def test_a_report_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        REPORT.tokens = 7  # type: ignore[misc]
