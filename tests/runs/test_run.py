"""Run: whatever the work does, the stream ends properly and nothing runs on."""

import asyncio
import gc
import logging
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from quart_lanarky.errors import InputError, ServerBusyError
from quart_lanarky.events import Event, Interrupt, end, interrupt
from quart_lanarky.protocols.base import EncodedEvent
from quart_lanarky.protocols.native.encode import encode
from quart_lanarky.runs import registry
from quart_lanarky.runs import run as runs
from quart_lanarky.runs.run import Run
from quart_lanarky.runs.stream import EventStream
from tests.runs.reading import events_of, reading

SECRET = "sk-the-text-of-an-exception"
TOKEN = Event("completion", "hi")


def run_of(work: Callable[[EventStream], Awaitable[object]]) -> Run:
    stream = EventStream(flush_interval=0)
    return Run(stream, lambda: work(stream))


async def hang(stream: EventStream) -> None:
    await stream.send(TOKEN)
    await asyncio.Event().wait()


async def clean_up(stream: EventStream) -> None:
    """Hang, and take a while to clean up when cancelled."""
    try:
        await hang(stream)
    finally:
        await asyncio.sleep(0.1)
        await stream.send(Event("note", "cleaned up"))


class Stubborn:
    """Work that ignores every cancellation until it is released, or a test has gone wrong."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, stream: EventStream) -> str:
        asyncio.get_running_loop().call_later(10, self.released.set)
        await stream.send(TOKEN)
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                continue
        await stream.send(Event("note", "late"))
        self.ended.set()
        return "late"

    async def release(self) -> None:
        """Let the work end, and wait until the run has noticed."""
        self.released.set()
        await self.ended.wait()
        await asyncio.sleep(0.01)


class Watcher:
    """Records its notifications."""

    def __init__(self, timeout: float | None = None) -> None:
        self.timeout = timeout
        self.notified: list[tuple[str, str | None]] = []

    def started(self, run: Run) -> None:
        self.notified.append(("started", run.outcome))

    def ended(self, run: Run) -> None:
        self.notified.append(("ended", run.outcome))


def names(events: list[Event]) -> list[str]:
    return [event.name for event in events]


def timers_of(run: Run) -> list[asyncio.TimerHandle]:
    timers: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    ours = [timer for timer in timers if getattr(timer._callback, "__self__", None) is run]  # type: ignore[attr-defined]
    return [timer for timer in ours if not timer.cancelled()]


async def test_a_run_that_returns_ends_with_end_and_keeps_its_result() -> None:
    async def work(stream: EventStream) -> str:
        await stream.send(TOKEN)
        return "result"

    run = run_of(work)
    run.usage = {"total_tokens": 1}
    events = await events_of(run)
    assert [event.name for event in events] == ["completion", "end"]
    assert events[-1].data == {
        "run_id": str(run.id),
        "usage": {"total_tokens": 1},
        "outcome": "finished",
    }
    assert (run.result, run.failure) == ("result", None)


@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), asyncio.CancelledError(SECRET), ExceptionGroup(SECRET, [OSError()])],
)
async def test_a_run_that_raises_sends_error_and_end_and_logs_the_reason(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(stream: EventStream) -> None:
        await stream.send(TOKEN)
        raise error

    run = run_of(work)
    events = await events_of(run)
    assert [event.name for event in events] == ["completion", "error", "end"]
    assert events[1].data == {"status_code": 500, "detail": "Internal Server Error"}
    assert not any(SECRET in encode(event, "json").data for event in events)
    [record] = caplog.records
    assert (record.levelno, str(run.id) in record.getMessage()) == (logging.ERROR, True)
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_an_input_error_is_sent_with_its_detail_and_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(stream: EventStream) -> None:
        raise InputError("no", {"k": "not a number"})

    events = await events_of(run_of(work))
    assert events[0].data == {
        "status_code": 400,
        "detail": "no: k: not a number",
        "errors": [{"field": "k", "message": "not a number"}],
    }
    assert events[1].name == "end"
    assert not caplog.records


async def test_stop_cancels_the_work_and_the_end_follows_what_was_sent() -> None:
    cancelled = asyncio.Event()

    async def work(stream: EventStream) -> None:
        await stream.send(TOKEN)
        run.stop()
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    run = run_of(work)
    assert [event.name for event in await events_of(run)] == ["completion", "end"]
    assert cancelled.is_set()


async def test_a_failure_after_a_stop_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(stream: EventStream) -> None:
        await stream.send(TOKEN)
        run.stop()
        try:
            await asyncio.sleep(30)
        finally:
            raise RuntimeError(SECRET)

    run = run_of(work)
    assert [event.name for event in await events_of(run)] == ["completion", "end"]
    assert SECRET in caplog.text


async def test_a_run_stopped_before_its_start_only_ends() -> None:
    async def work(stream: EventStream) -> None:
        pytest.fail("it was stopped")

    run = run_of(work)
    run.stop()
    assert [event.name for event in await events_of(run)] == ["end"]


async def test_a_run_stopped_between_its_start_and_its_first_step_ends_too() -> None:
    async def work(stream: EventStream) -> None:
        pytest.fail("it was stopped")

    run = run_of(work)
    async with asyncio.timeout(1), reading(run):
        run.stop()
        events = [event async for batch in run.stream.batches() for event in batch]
    assert [event.name for event in events] == ["end"]


async def test_leaving_a_run_cancels_its_work() -> None:
    cancelled = asyncio.Event()

    async def work(stream: EventStream) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            cancelled.set()

    async with reading(run_of(work)):
        await asyncio.sleep(0)
    assert cancelled.is_set()


async def test_work_that_ignores_its_cancellation_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runs, "CANCEL_TIMEOUT", 0.05)
    released = asyncio.Event()
    tasks: set[asyncio.Task[object] | None] = set()

    async def work(stream: EventStream) -> None:
        tasks.add(asyncio.current_task())
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        await stream.send(TOKEN)  # late: discarded

    run = run_of(work)
    async with reading(run):
        await asyncio.sleep(0)
    assert "left to itself" in caplog.text
    released.set()
    await asyncio.gather(*(task for task in tasks if task))
    assert [event async for batch in run.stream.batches() for event in batch] == []


async def test_work_runs_in_the_context_in_which_the_run_was_made() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def work(stream: EventStream) -> str:
        return user.get()

    token = user.set("ada")
    run = run_of(work)
    user.reset(token)
    await events_of(run)
    assert run.result == "ada"


async def test_a_base_exception_also_ends_the_stream() -> None:
    class Halt(BaseException):
        pass

    async def work(stream: EventStream) -> None:
        raise Halt

    assert [event.name for event in await events_of(run_of(work))] == ["error", "end"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_an_exception_that_would_end_the_process_ends_only_the_run(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(stream: EventStream) -> None:
        raise error

    assert names(await events_of(run_of(work))) == ["error", "end"]
    assert type(error).__name__ in caplog.text


async def test_in_text_mode_the_end_is_empty() -> None:
    stream = EventStream()
    run = Run(stream, lambda: asyncio.sleep(0), mode="text")
    [event] = await events_of(run)
    assert event == end(run.id, None)
    assert run.mode == "text"
    assert encode(event, "text") == EncodedEvent("end", "", f"{run.id}/end")


@pytest.mark.parametrize(
    ("of_the_stream", "said", "mode"),
    [
        *((None, None, None), ("text", None, "text"), ("json", None, "json")),
        *((None, "text", "text"), ("text", "json", "json"), ("json", "text", "text")),
    ],
)
async def test_the_mode_of_a_run_is_its_argument_or_else_its_streams(
    of_the_stream: str | None, said: str | None, mode: str | None
) -> None:
    stream = EventStream()
    stream.mode = of_the_stream
    assert Run(stream, lambda: asyncio.sleep(0), mode=said).mode == mode


async def test_the_mode_does_not_change_the_events_of_a_run() -> None:
    for mode in ("text", "json", "one that nobody knows"):
        stream = EventStream(flush_interval=0)
        run = Run(stream, lambda stream=stream: stream.send(TOKEN), mode=mode)  # type: ignore[misc]
        assert await events_of(run) == [TOKEN, end(run.id, None)]
        assert run.mode == mode


# -- what is known of a run that has ended -------------------------------------------------


async def test_a_run_that_returns_is_finished() -> None:
    async def work(stream: EventStream) -> None:
        await asyncio.sleep(0.05)
        await stream.send(TOKEN)
        await asyncio.sleep(0.05)

    run = run_of(work)
    assert (run.outcome, run.duration, run.time_to_first_token) == (None, 0, None)
    await events_of(run)
    assert (run.outcome, run.reason, run.failure) == ("finished", None, None)
    assert run.time_to_first_token is not None
    assert 0.04 < run.time_to_first_token < run.duration < 5


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError(SECRET), 500, "ValueError"),
        (asyncio.CancelledError(SECRET), 500, "CancelledError"),
        (InputError(SECRET), 400, "bad input"),
        (ServerBusyError("too many"), 503, "too many"),
    ],
)
async def test_the_reason_of_a_failed_run_discloses_no_details(
    error: BaseException, status: int, reason: str
) -> None:
    async def work(stream: EventStream) -> None:
        raise error

    run = run_of(work)
    events = await events_of(run)
    assert (run.outcome, run.reason, run.failure) == ("failed", reason, events[0])
    assert events[0].data["status_code"] == status
    assert run.time_to_first_token is None


async def test_a_run_whose_reader_leaves_is_cancelled() -> None:
    run = run_of(hang)
    async with reading(run) as batches:
        await anext(batches)
    assert (run.outcome, run.reason, run.failure) == ("cancelled", "the client left", None)


async def test_a_run_that_is_stopped_is_cancelled_and_not_failed() -> None:
    run = run_of(hang)
    async with reading(run) as batches:
        run.stop()
        assert names([e async for batch in batches for e in batch]) == ["end"]
    assert (run.outcome, run.reason) == ("cancelled", "the client stopped it")
    assert run.failure is None


async def test_a_run_that_is_stopped_before_its_start_is_cancelled() -> None:
    run = run_of(hang)
    run.stop()
    assert names(await events_of(run)) == ["end"]
    assert (run.outcome, run.reason) == ("cancelled", "the client stopped it")


# -- ending it before its time -------------------------------------------------------------


async def test_a_run_that_takes_too_long_ends_with_504_and_has_failed() -> None:
    run = run_of(hang)
    run.watch(Watcher(timeout=0.05))
    events = await asyncio.wait_for(events_of(run), 5)
    assert names(events) == ["completion", "error", "end"]
    detail = "the run took longer than 0.05 seconds"
    assert events[1].data == {"status_code": 504, "detail": detail}
    assert (run.outcome, run.reason) == ("failed", "it took too long")
    assert run.duration >= 0.04


async def test_a_run_that_is_ended_by_a_shutdown_sends_503_and_is_cancelled() -> None:
    run = run_of(hang)
    async with asyncio.timeout(5), reading(run) as batches:
        await anext(batches)
        run.shut_down()
        events = [event async for batch in batches for event in batch]
    assert names(events) == ["error", "end"]
    assert events[0].data == {"status_code": 503, "detail": "the server is shutting down"}
    assert (run.outcome, run.reason) == ("cancelled", "the server is shutting down")


Ending = tuple[str, str, list[int]]
STOPPED: Ending = ("cancelled", "the client stopped it", [])
SHUT_DOWN: Ending = ("cancelled", "the server is shutting down", [503])
TOO_LONG: Ending = ("failed", "it took too long", [504])


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        (Run.stop, Run.shut_down, STOPPED),
        (Run.stop, lambda run: run._time_out(1), STOPPED),
        (Run.shut_down, Run.stop, SHUT_DOWN),
        (Run.shut_down, lambda run: run._time_out(1), SHUT_DOWN),
        (lambda run: run._time_out(1), Run.stop, TOO_LONG),
        (lambda run: run._time_out(1), Run.shut_down, TOO_LONG),
    ],
)
async def test_the_first_reason_to_end_is_kept(
    first: Callable[[Run], None],
    then: Callable[[Run], None],
    expected: Ending,
) -> None:
    run = run_of(hang)
    async with asyncio.timeout(5), reading(run) as batches:
        await asyncio.sleep(0)
        first(run)
        then(run)
        events = [event async for batch in batches for event in batch]
    statuses = [event.data["status_code"] for event in events if event.name == "error"]
    assert (run.outcome, run.reason, statuses) == expected
    assert names(events)[-1] == "end"
    assert names(events).count("end") == 1


@pytest.mark.parametrize("late", [Run.stop, Run.shut_down, lambda run: run._time_out(1)])
async def test_ending_a_run_that_has_ended_changes_nothing(
    late: Callable[[Run], None],
) -> None:
    run = run_of(lambda stream: stream.send(TOKEN))
    async with reading(run) as batches:
        while run.outcome is None:
            await asyncio.sleep(0)
        late(run)
        events = [event async for batch in batches for event in batch]
    late(run)
    assert names(events) == ["completion", "end"]
    assert (run.outcome, run.reason, run.failure) == ("finished", None, None)


@pytest.mark.parametrize("second", ["leaves", "shut down"])
async def test_work_is_not_cancelled_again_during_its_cleanup(second: str) -> None:
    cleaned_up = asyncio.Event()

    async def work(stream: EventStream) -> None:
        try:
            await hang(stream)
        finally:
            await asyncio.sleep(0.1)  # such as to close a connection
            cleaned_up.set()

    run = run_of(work)
    async with reading(run) as batches:
        await anext(batches)
        run.stop()
        await asyncio.sleep(0.01)
        if second == "shut down":
            run.shut_down()
            await asyncio.sleep(0.15)
    assert cleaned_up.is_set()


async def test_events_sent_during_the_cleanup_of_a_cancelled_run_come_before_the_end() -> None:
    run = run_of(clean_up)
    async with asyncio.timeout(5), reading(run) as batches:
        await anext(batches)
        run.stop()
        assert names([event async for batch in batches for event in batch]) == ["note", "end"]


# -- work that does not stop ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (Run.stop, ["completion", "end"]),
        (Run.shut_down, ["completion", "error", "end"]),
        (lambda run: run._time_out(1), ["completion", "error", "end"]),
    ],
)
async def test_a_stream_ends_in_time_even_if_its_work_ignores_its_cancellation(
    end: Callable[[Run], None],
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(runs, "CANCEL_TIMEOUT", 0.1)
    stubborn = Stubborn()
    run = run_of(stubborn)
    async with asyncio.timeout(5):
        async with reading(run) as batches:
            await asyncio.sleep(0)
            end(run)
            assert run.outcome is None  # it has its time
            events = [event async for batch in batches for event in batch]
            assert not stubborn.ended.is_set()
        before = (run.outcome, run.reason, run.failure, run.duration)
        await stubborn.release()
    assert names(events) == expected
    assert (run.outcome, run.reason, run.failure, run.duration) == before
    assert f"run {run.id} ignores its cancellation: left to itself" in caplog.text


async def test_the_cancel_timeout_of_stubborn_work_is_waited_for_only_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "CANCEL_TIMEOUT", 0.5)
    stubborn = Stubborn()
    run = run_of(stubborn)
    async with asyncio.timeout(10):
        async with reading(run) as batches:
            await asyncio.sleep(0)
            run.stop()
            assert names([e async for batch in batches for e in batch])[-1] == "end"
            ended_at = time.monotonic()
        assert time.monotonic() - ended_at < 0.4
        await stubborn.release()


async def test_the_cancel_timeout_is_shorter_during_shutdown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "SHUTDOWN_CANCEL_TIMEOUT", 0.05)
    stubborn = Stubborn()
    run = run_of(stubborn)
    async with asyncio.timeout(runs.CANCEL_TIMEOUT + 20):
        async with reading(run) as batches:
            await asyncio.sleep(0)
            run.stop()
            run.shut_down()
            began = time.monotonic()
            assert names([e async for batch in batches for e in batch])[-1] == "end"
            assert time.monotonic() - began < runs.CANCEL_TIMEOUT / 2
            monkeypatch.setattr(runs, "CANCEL_TIMEOUT", 0.05)
        await stubborn.release()


async def test_a_failure_of_work_long_after_the_end_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runs, "CANCEL_TIMEOUT", 0.05)
    stubborn = Stubborn()

    async def work(stream: EventStream) -> None:
        await stubborn(stream)
        raise RuntimeError(SECRET)

    run = run_of(work)
    async with asyncio.timeout(5):
        async with reading(run):
            await asyncio.sleep(0)
        await stubborn.release()
    assert run.outcome == "cancelled"
    assert SECRET in caplog.text


# -- a run that does not begin, a client that does not read --------------------------------


@pytest.mark.parametrize(
    ("error", "payload"),
    [
        (InputError("send JSON"), {"status_code": 400, "detail": "send JSON"}),
        (ServerBusyError("too many"), {"status_code": 503, "detail": "too many"}),
        (RuntimeError(SECRET), {"status_code": 500, "detail": "Internal Server Error"}),
    ],
)
async def test_a_refused_run_only_sends_its_error_and_end(
    error: Exception, payload: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def work(stream: EventStream) -> None:
        pytest.fail("it was refused")

    run = run_of(work)
    run.refuse(error)
    assert run.refusal == payload["status_code"]
    events = await events_of(run)
    assert names(events) == ["error", "end"]
    assert events[0].data == payload
    assert (SECRET in caplog.text) is isinstance(error, RuntimeError)
    assert bool(caplog.records) is isinstance(error, RuntimeError)


async def test_a_discarded_run_has_ended_for_its_watcher() -> None:
    run, watcher = run_of(hang), Watcher()
    run.discard_unstarted()  # without a watcher
    run.watch(watcher)
    run.discard_unstarted()
    assert watcher.notified == [("ended", None)]


async def test_a_run_that_has_begun_cannot_be_discarded() -> None:
    run, watcher = run_of(hang), Watcher()
    run.watch(watcher)
    async with reading(run):
        run.discard_unstarted()
        assert watcher.notified == [("started", None)]
    assert watcher.notified == [("started", None), ("ended", "cancelled")]


async def test_a_run_does_not_start_if_the_cancellation_of_its_owner_was_swallowed() -> None:
    async def work(stream: EventStream) -> None:
        pytest.fail("nobody is there to read it")

    run, watcher = run_of(work), Watcher()
    run.watch(watcher)

    async def own() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        async with reading(run):
            pytest.fail("it does not begin")

    owner = asyncio.create_task(own())
    await asyncio.sleep(0)
    owner.cancel()
    await asyncio.wait({owner}, timeout=5)
    assert owner.cancelled()
    run.discard_unstarted()
    assert watcher.notified == [("ended", None)]


@pytest.mark.parametrize("way", ["reads it all", "leaves", "is cancelled"])
async def test_a_watcher_is_notified_once_of_the_start_and_once_of_the_end(way: str) -> None:
    run, watcher = run_of(clean_up), Watcher()
    run.watch(watcher)

    async def own() -> None:
        async with reading(run) as batches:
            await anext(batches)
            if way == "reads it all":
                run.stop()
                assert names([e async for batch in batches for e in batch])[-1] == "end"

    owner = asyncio.create_task(own())
    await asyncio.sleep(0.03)
    if way == "is cancelled":
        owner.cancel()
    await asyncio.wait({owner}, timeout=5)
    assert watcher.notified == [("started", None), ("ended", "cancelled")]
    assert not timers_of(run)


async def test_a_client_that_does_not_read_the_rest_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "DELIVERY_TIMEOUT", 0.05)
    run, watcher = run_of(lambda stream: stream.send(TOKEN)), Watcher()
    run.watch(watcher)

    async def own() -> None:
        async with reading(run):
            await asyncio.Event().wait()  # as `send` does without a reader

    owner = asyncio.create_task(own())
    await asyncio.wait({owner}, timeout=5)
    assert owner.cancelled()
    assert watcher.notified == [("started", None), ("ended", "finished")]


async def test_a_client_that_reads_the_rest_in_time_is_not_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "DELIVERY_TIMEOUT", 0.05)
    run = run_of(lambda stream: stream.send(TOKEN))
    assert names(await events_of(run)) == ["completion", "end"]
    await asyncio.sleep(0.1)  # this task was the owner
    assert not timers_of(run)


async def test_a_run_that_ends_at_once_leaves_no_timer_behind() -> None:
    run = run_of(lambda stream: stream.send(TOKEN))
    run.watch(Watcher(timeout=60))
    async with reading(run):
        assert timers_of(run)
    assert not timers_of(run)


async def test_the_reader_sets_the_heartbeat_interval_of_a_quiet_run() -> None:
    run = run_of(hang)
    async with reading(run, heartbeat=0.02) as batches:
        assert [await anext(batches) for _ in range(3)] == [[TOKEN], [], []]


async def test_a_reader_without_a_heartbeat_interval_gets_none() -> None:
    run = run_of(hang)
    async with reading(run) as batches:
        await anext(batches)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(batches), 0.05)


# -- what is left of it --------------------------------------------------------------------


class RunWithOwnWork(Run):
    """A run whose work is a method of its own."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(EventStream(flush_interval=0), self.work)
        self.fails = fails

    async def work(self) -> None:
        await self.stream.send(TOKEN)
        if self.fails:
            raise InputError("it was told to")


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_collector")
async def test_an_ended_run_is_freed_without_the_garbage_collector() -> None:
    run = RunWithOwnWork()
    left = weakref.ref(run)
    assert names(await events_of(run)) == ["completion", "end"]
    del run
    await asyncio.sleep(0)
    assert left() is None


@pytest.mark.usefixtures("_without_collector")
@pytest.mark.parametrize("way", ["the run fails", "the owner is cancelled"])
async def test_a_run_referenced_by_tracebacks_is_freed_without_the_garbage_collector(
    way: str,
) -> None:
    run = RunWithOwnWork(fails=way == "the run fails")
    left = weakref.ref(run)

    async def own(run: Run) -> None:
        async with reading(run):
            await asyncio.Event().wait()

    owner = asyncio.create_task(own(run))
    del run
    await asyncio.sleep(0.01)
    owner.cancel()
    await asyncio.gather(owner, return_exceptions=True)
    del owner
    await asyncio.sleep(0)
    assert left() is None


# -- a log that is full --------------------------------------------------------------------


def raise_error(*_: object, **__: object) -> None:
    raise OSError("no space left on device")


async def test_a_full_log_does_not_prevent_the_end_of_a_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(stream: EventStream) -> None:
        await stream.send(TOKEN)
        raise RuntimeError

    monkeypatch.setattr(runs.logger, "error", raise_error)
    run, watcher = run_of(work), Watcher()
    run.watch(watcher)
    events = await asyncio.wait_for(events_of(run), 5)
    assert names(events) == ["completion", "error", "end"]
    assert watcher.notified == [("started", None), ("ended", "failed")]


async def test_a_full_log_does_not_prevent_the_end_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs, "CANCEL_TIMEOUT", 0.05)
    monkeypatch.setattr(runs.logger, "warning", raise_error)
    stubborn, watcher = Stubborn(), Watcher()
    run = run_of(stubborn)
    run.watch(watcher)
    with suppress(OSError):
        async with asyncio.timeout(5), reading(run):
            await asyncio.sleep(0)
    assert watcher.notified == [("started", None), ("ended", "cancelled")]
    await stubborn.release()


async def test_a_run_that_sent_an_interrupt_ends_interrupted() -> None:
    stream = EventStream()
    asked = interrupt([Interrupt(id="1", value="sure?", response_schema=None)])
    run = Run(stream, lambda: stream.send(asked))
    events = await events_of(run)
    assert [event.name for event in events] == ["interrupt", "end"]
    assert (run.outcome, events[-1].data["outcome"]) == ("interrupted", "interrupted")


async def test_a_run_is_prepared_once_before_its_work() -> None:
    done: list[str] = []

    class Prepared(Run):
        async def _prepare(self) -> None:
            done.append("prepared")

    async def work() -> None:
        done.append("worked")

    run = Prepared(EventStream(), work)
    await run.prepare()
    await events_of(run)
    assert done == ["prepared", "worked"]
    await events_of(Prepared(EventStream(), work))
    assert done == ["prepared", "worked"] * 2


async def test_a_run_that_is_refused_when_it_starts_says_why() -> None:
    class Refused(Run):
        async def _prepare(self) -> None:
            raise InputError("not now")

    run = Refused(EventStream(), lambda: pytest.fail("it did its work"))
    error, end = await events_of(run)
    assert (error.name, error.data["status_code"]) == ("error", 400)
    assert end.data["outcome"] == "failed"
