"""Run: whatever the work does, the stream ends properly and nothing runs on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar

import pytest

from quart_lanarky import runs
from quart_lanarky.errors import InputError
from quart_lanarky.events import Event
from quart_lanarky.runs import Run
from quart_lanarky.streams import EventStream

SECRET = "sk-the-text-of-an-exception"
TOKEN = Event("completion", "hi")


async def events_of(run: Run) -> list[Event]:
    async with run:
        return [event async for batch in run.stream.batches() for event in batch]


def run_of(work: Callable[[EventStream], Awaitable[object]]) -> Run:
    stream = EventStream(flush_interval=0)
    return Run(stream, lambda: work(stream))


async def test_a_run_that_returns_ends_with_end_and_keeps_its_result() -> None:
    async def work(stream: EventStream) -> str:
        await stream.send(TOKEN)
        return "result"

    run = run_of(work)
    run.usage = {"total_tokens": 1}
    events = await events_of(run)
    assert [event.name for event in events] == ["completion", "end"]
    assert events[-1].json() == {"run_id": str(run.id), "usage": {"total_tokens": 1}}
    assert (run.result, run.failure) == ("result", None)


@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), asyncio.CancelledError(SECRET), ExceptionGroup(SECRET, [OSError()])],
)
async def test_a_run_that_raises_ends_with_error_and_end_and_tells_only_the_log(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(stream: EventStream) -> None:
        await stream.send(TOKEN)
        raise error

    run = run_of(work)
    events = await events_of(run)
    assert [event.name for event in events] == ["completion", "error", "end"]
    assert events[1].json() == {"status_code": 500, "detail": "Internal Server Error"}
    assert not any(SECRET in event.data for event in events)
    [record] = caplog.records
    assert (record.levelno, str(run.id) in record.getMessage()) == (logging.ERROR, True)
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_an_input_error_is_the_clients_own_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work(stream: EventStream) -> None:
        raise InputError("no", {"k": "not a number"})

    events = await events_of(run_of(work))
    assert events[0].json() == {"status_code": 400, "detail": "no: k: not a number"}
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


async def test_a_run_that_fails_because_it_was_stopped_tells_only_the_log(
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
    async with asyncio.timeout(1), run:
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

    async with run_of(work):
        await asyncio.sleep(0)
    assert cancelled.is_set()


async def test_work_that_ignores_its_cancellation_is_left_to_itself(
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
    async with run:
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


async def test_what_is_no_exception_ends_the_stream_too() -> None:
    class Halt(BaseException):
        pass

    async def work(stream: EventStream) -> None:
        raise Halt

    assert [event.name for event in await events_of(run_of(work))] == ["error", "end"]


async def test_in_text_mode_the_end_is_empty() -> None:
    stream = EventStream()
    run = Run(stream, lambda: asyncio.sleep(0), mode="text")
    assert await events_of(run) == [Event("end", "")]
