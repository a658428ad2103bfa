"""EventStream: bounded, orderly, usable from any thread, and always able to end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quart_lanarky.events import Event, json_event
from quart_lanarky.runs import stream as streams
from quart_lanarky.runs.stream import EVENTS_PER_TURN, EventStream

END = Event("end", "")


def token(number: int) -> Event:
    return Event("completion", str(number))


def tokens(count: int) -> list[Event]:
    return [token(number) for number in range(count)]


def open_stream(max_events: int = 4, flush_interval: float = 0.0) -> EventStream:
    stream = EventStream(max_events=max_events, flush_interval=flush_interval)
    stream.open()
    return stream


async def produce(stream: EventStream, count: int) -> None:
    for event in tokens(count):
        await stream.send(event)
    stream.finish(END)


async def read(stream: EventStream) -> list[Event]:
    return [event async for batch in stream.batches() for event in batch]


async def stalled_producer(stream: EventStream) -> "asyncio.Task[None]":
    """Start a producer that has more to send than fits, and wait until it waits."""
    task = asyncio.create_task(produce(stream, 100))
    while len(stream._events) < stream._max_events:
        await asyncio.sleep(0)
    return task


@given(count=st.integers(0, 60), max_events=st.integers(1, 9), window=st.sampled_from([0, 0.001]))
@settings(deadline=None, max_examples=50)
def test_everything_arrives_once_in_order_and_the_end_last(
    count: int, max_events: int, window: float
) -> None:
    async def scenario() -> list[Event]:
        stream = open_stream(max_events, window)
        reading = asyncio.create_task(read(stream))
        await produce(stream, count)
        return await reading

    assert asyncio.run(asyncio.wait_for(scenario(), 5)) == [*tokens(count), END]


async def test_the_producer_waits_while_the_reader_does_not_read() -> None:
    stream = open_stream(max_events=4)
    task = await stalled_producer(stream)
    await asyncio.sleep(0.02)
    assert len(stream._events) == 4
    assert not task.done()
    assert await read(stream) == [*tokens(100), END]
    await task


@pytest.mark.parametrize("ending", ["finish", "abandon", "cancel", "reader gone"])
@pytest.mark.timeout(5)
async def test_a_full_stream_always_ends(ending: str) -> None:
    stream = open_stream(max_events=3)
    task = await stalled_producer(stream)
    if ending == "finish":
        stream.finish(END)
        assert await read(stream) == [*tokens(3), END]
    elif ending == "abandon":
        stream.abandon()
        assert await read(stream) == []
    elif ending == "cancel":
        task.cancel()
        stream.finish(END)
        assert await read(stream) == [*tokens(3), END]
    else:
        batches = stream.batches()
        await anext(batches)
        await batches.aclose()  # type: ignore[attr-defined]
        assert stream.is_open  # what becomes of it, a policy decides
        stream.abandon()
    await asyncio.wait({task})


async def test_only_the_first_end_is_sent() -> None:
    stream = open_stream()
    stream.finish(END)
    stream.finish(Event("error", ""), Event("end", "again"))
    assert await read(stream) == [END]


async def test_what_is_sent_after_the_end_is_discarded() -> None:
    stream = open_stream()
    stream.finish(END)
    await stream.send(token(1))
    assert await read(stream) == [END]
    await stream.send(token(2))
    assert await read(stream) == [END]


async def test_what_a_thread_sends_after_the_end_is_discarded() -> None:
    stream = open_stream()
    stream.finish(END)
    await asyncio.to_thread(asyncio.run, stream.send(token(1)))
    assert await read(stream) == [END]
    await asyncio.to_thread(asyncio.run, stream.send(token(2)))
    assert await read(stream) == [END]


async def test_a_producer_that_never_suspends_can_be_cancelled_after_its_reader_left() -> None:
    stream = open_stream()

    async def spin() -> None:
        while True:
            await stream.send(token(0))

    task = asyncio.create_task(spin())
    await asyncio.sleep(0)
    stream.abandon()
    await asyncio.sleep(0.01)  # only runs at all if the spinning task lets the loop go
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    assert task.cancelled()


async def test_a_reader_of_an_endless_burst_yields_to_the_loop() -> None:
    stream = open_stream(max_events=4)

    async def burst() -> None:
        while stream.is_open:
            await stream.send(token(0))

    task = asyncio.create_task(burst())
    with pytest.raises(TimeoutError):  # and so can be cancelled
        await asyncio.wait_for(read(stream), 0.05)
    stream.abandon()
    await task


async def test_a_producer_that_never_suspends_yields_to_other_tasks() -> None:
    stream = open_stream(max_events=200)
    sent = []

    async def look_on() -> None:
        while stream.is_open:
            sent.append(stream.tokens)
            await asyncio.sleep(0)

    await asyncio.gather(look_on(), produce(stream, 200), read(stream))
    assert max(after - before for before, after in pairwise([*sent, 200])) == EVENTS_PER_TURN


async def timed_batches(stream: EventStream) -> AsyncIterator[tuple[float, int]]:
    started = time.monotonic()
    async for batch in stream.batches():
        yield time.monotonic() - started, len(batch)


async def test_the_first_event_is_sent_at_once_and_those_in_its_window_together() -> None:
    stream = open_stream(max_events=100, flush_interval=0.4)
    batches = timed_batches(stream)
    await stream.send(token(0))
    at, size = await anext(batches)
    assert (at < 0.2, size) == (True, 1)
    for number in (1, 2, 3):
        await stream.send(token(number))
    at, size = await anext(batches)
    assert (at >= 0.35, size) == (True, 3)


async def test_an_event_after_a_pause_longer_than_the_window_is_sent_at_once() -> None:
    stream = open_stream(flush_interval=0.5)
    batches = timed_batches(stream)
    await stream.send(token(0))
    await anext(batches)
    await asyncio.sleep(0.55)
    await stream.send(token(1))
    sent_at = time.monotonic()
    await anext(batches)
    assert time.monotonic() - sent_at < 0.25


@pytest.mark.parametrize("reason", ["the end", "a full buffer"])
async def test_neither_the_end_nor_a_full_buffer_waits_for_the_window(reason: str) -> None:
    stream = open_stream(max_events=3, flush_interval=30)
    batches = stream.batches()
    await stream.send(token(0))
    await anext(batches)
    reading = asyncio.ensure_future(anext(batches))
    await stream.send(token(1))
    await asyncio.sleep(0.01)
    if reason == "the end":
        stream.finish(END)
    else:
        await stream.send(token(2))
        await stream.send(token(3))
    assert len(await asyncio.wait_for(reading, 1)) >= 2


@asynccontextmanager
async def lagging_loop(seconds: float) -> AsyncIterator[None]:
    """Keep the loop busy for so long in each of its rounds."""

    async def be_busy() -> None:
        while True:
            time.sleep(seconds)  # noqa: ASYNC251  # that is what makes it lag
            await asyncio.sleep(0)

    hog = asyncio.create_task(be_busy())
    yield
    hog.cancel()


async def endless(stream: EventStream) -> None:
    while stream.is_open:
        await stream.send(token(0))
        await asyncio.sleep(0.001)


async def gaps_between(batches: AsyncIterator[list[Event]], count: int) -> list[float]:
    """Return the seconds from each batch to the next."""
    times = []
    while len(times) <= count:
        await anext(batches)
        times.append(time.monotonic())
    return [after - before for before, after in pairwise(times)]


async def test_the_window_widens_only_while_the_loop_lags() -> None:
    stream = open_stream(1000, 0.01)
    producing = asyncio.create_task(endless(stream))
    batches = stream.batches()
    async with lagging_loop(0.006):
        lagging = await gaps_between(batches, 8)
    await gaps_between(batches, 3)  # it takes two batches to see that the lag is over
    quiet = await gaps_between(batches, 8)
    stream.abandon()
    await producing
    assert streams.WIDEST_WINDOW * 0.9 <= median(lagging) <= streams.WIDEST_WINDOW + 4 * 0.006
    assert median(quiet) <= 0.02


async def test_a_window_of_zero_does_not_widen_in_a_lagging_loop() -> None:
    stream = open_stream(1000, 0.0)
    producing = asyncio.create_task(endless(stream))
    async with lagging_loop(0.006):
        gaps = await gaps_between(stream.batches(), 8)
    stream.abandon()
    await producing
    assert median(gaps) <= streams.WIDEST_WINDOW / 2


async def test_a_slow_reader_does_not_widen_the_window() -> None:
    stream = open_stream(1000, 0.01)
    producing = asyncio.create_task(endless(stream))
    batches = stream.batches()
    for _ in range(3):
        await anext(batches)
        await asyncio.sleep(0.04)  # the client does not take it
    gaps = await gaps_between(batches, 5)
    stream.abandon()
    await producing
    assert median(gaps) <= 0.02


async def test_events_from_a_thread_arrive_in_order_and_its_loop_waits_for_the_reader() -> None:
    stream = open_stream(max_events=4)
    reading = asyncio.create_task(read(stream))

    def in_thread() -> None:
        for event in tokens(50):
            asyncio.run(stream.send(event))  # a new loop for each event, as LangChain does it

    await asyncio.to_thread(in_thread)
    stream.finish(END)
    assert await reading == [*tokens(50), END]


async def test_a_thread_waits_while_the_stream_is_full() -> None:
    stream = open_stream(max_events=2)
    sending = asyncio.create_task(asyncio.to_thread(asyncio.run, produce(stream, 9)))
    await asyncio.sleep(0.1)
    assert len(stream._events) == 2
    assert await read(stream) == [*tokens(9), END]
    await sending


@pytest.mark.timeout(20)
async def test_a_thread_does_not_wait_for_a_blocked_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOP_BLOCKED_AFTER", 0.1)
    stream = open_stream(max_events=2)
    reading = asyncio.create_task(read(stream))
    await asyncio.sleep(0)
    # Synchronous code in a coroutine: LangChain runs the handlers in a thread and waits here.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        pool.submit(asyncio.run, produce(stream, 20)).result(10)
    assert await reading == [*tokens(20), END]


def test_a_thread_that_outlives_the_loop_discards_its_events() -> None:
    stream = EventStream()

    async def scenario() -> None:
        stream.open()

    asyncio.run(scenario())
    asyncio.run(stream.send(token(0)))  # another loop; the first one is closed
    assert stream.is_open


async def test_events_sent_before_the_stream_is_opened_are_kept() -> None:
    stream = EventStream()
    await stream.send(token(0))
    stream.open()
    stream.finish(END)
    assert await read(stream) == [token(0), END]
    stream = EventStream()
    await stream.send(token(1))
    stream.open()
    assert await anext(stream.batches()) == [token(1)]


# -- a bound on the text that waits --------------------------------------------------------


@pytest.fixture
def few_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no more than about ten characters wait."""
    monkeypatch.setattr(streams, "MAX_BUFFERED_CHARACTERS", 10)


async def words(stream: EventStream, count: int) -> None:
    for number in range(count):
        await stream.send(Event("completion", f"{number:04}"))
    stream.finish(END)


WORDS = [*(Event("completion", f"{number:04}") for number in range(20)), END]


@pytest.mark.usefixtures("few_characters")
@pytest.mark.parametrize("where", ["at home", "in a thread"])
async def test_the_producer_waits_while_too_much_text_is_buffered(where: str) -> None:
    stream = open_stream(max_events=100)
    sending = words(stream, 20)
    task = asyncio.ensure_future(
        sending if where == "at home" else asyncio.to_thread(asyncio.run, sending)
    )
    await asyncio.sleep(0.1)
    assert [event.data for event in stream._events] == ["0000", "0001", "0002"]
    assert not task.done()
    assert await read(stream) == WORDS
    await task


@pytest.mark.usefixtures("few_characters")
async def test_an_event_longer_than_the_buffer_limit_is_sent() -> None:
    stream = open_stream()
    long = Event("completion", "x" * 1000)
    await asyncio.wait_for(stream.send(long), 1)
    waiting = asyncio.ensure_future(stream.send(END))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    batches = stream.batches()
    assert await anext(batches) == [long]
    assert await anext(batches) == [END]


@pytest.mark.usefixtures("few_characters")
async def test_a_buffer_that_is_full_of_text_does_not_wait_for_the_window() -> None:
    stream = open_stream(max_events=100, flush_interval=30)
    batches = stream.batches()
    await stream.send(token(0))
    await anext(batches)
    reading = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0.01)
    await stream.send(Event("completion", "0123456789"))
    assert len(await asyncio.wait_for(reading, 1)) == 1


async def test_megabytes_are_not_buffered_in_the_stream() -> None:
    stream = EventStream()
    stream.open()
    page = Event("completion", "x" * 2**16)

    async def write() -> None:
        while stream.is_open:
            await stream.send(page)

    task = asyncio.create_task(write())
    await asyncio.sleep(0.05)
    assert sum(len(event.data) for event in stream._events) <= 2**18
    stream.abandon()
    await task


async def test_buffered_events_are_measured_by_their_text_or_json() -> None:
    stream = open_stream(max_events=100)
    for event in (Event("note", "0123"), Event("tool", {"a": [1, None]}), json_event("note", "hi")):
        await stream.send(event)
    assert stream._characters == len("0123") + len('{"a": [1, null]}') + len('"hi"')
    stream.finish(END)
    await read(stream)
    assert stream._characters == 0


# -- heartbeats ----------------------------------------------------------------------------


async def test_a_silent_stream_has_heartbeats_until_the_next_event() -> None:
    stream = open_stream()
    batches = stream.batches(heartbeat=0.05)
    started = time.monotonic()
    assert [await anext(batches) for _ in range(3)] == [[]] * 3
    assert 0.14 < time.monotonic() - started < 5
    await stream.send(token(1))
    assert await anext(batches) == [token(1)]
    assert await anext(batches) == []
    stream.finish(END)
    assert [batch async for batch in batches] == [[END]]


async def test_a_stream_in_which_events_flow_has_no_heartbeat() -> None:
    stream = open_stream()

    async def flow() -> None:
        for event in tokens(100):
            await stream.send(event)
            await asyncio.sleep(0.01)
        stream.finish(END)

    flowing = asyncio.create_task(flow())
    batches = [batch async for batch in stream.batches(heartbeat=0.5)]
    assert [event for batch in batches for event in batch] == [*tokens(100), END]
    assert [] not in batches
    await flowing


async def test_without_a_heartbeat_a_silent_stream_is_silent() -> None:
    stream = open_stream()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(stream.batches()), 0.1)


async def test_a_reader_that_was_slow_gets_events_and_only_after_a_silence_a_heartbeat() -> None:
    stream = open_stream()
    batches = stream.batches(heartbeat=0.1)
    await stream.send(token(0))
    await anext(batches)
    await asyncio.sleep(0.25)  # the client does not take it any faster
    await stream.send(token(1))
    assert await anext(batches) == [token(1)]
    await asyncio.sleep(0.25)
    taken_at = time.monotonic()
    assert await anext(batches) == []
    assert time.monotonic() - taken_at > 0.09


@pytest.mark.parametrize("way", ["to its end", "half"])
async def test_a_finished_stream_leaves_no_timer_behind(way: str) -> None:
    stream = open_stream()
    batches = stream.batches(heartbeat=30)
    await stream.send(token(0))
    await anext(batches)
    assert beats()
    if way == "half":
        await batches.aclose()  # type: ignore[attr-defined]
    else:
        stream.finish(END)
        assert [batch async for batch in batches] == [[END]]
    assert not beats()


def beats() -> list[asyncio.TimerHandle]:
    timers: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [timer for timer in timers if "_beat" in repr(timer) and not timer.cancelled()]


# -- what it counts ------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["at home", "in a thread"])
async def test_a_stream_counts_its_tokens_and_notes_when_the_first_was_sent(where: str) -> None:
    stream = open_stream(max_events=100)
    assert (stream.tokens, stream.first_token_at) == (0, None)
    await stream.send(Event("note", "thinking"))
    assert (stream.tokens, stream.first_token_at) == (0, None)
    before = time.monotonic()
    for event in tokens(3):
        sending = stream.send(event)
        await (sending if where == "at home" else asyncio.to_thread(asyncio.run, sending))
        after = time.monotonic()
        first_token_at = stream.first_token_at
        assert first_token_at is not None
        if event == token(0):
            assert before <= first_token_at <= after
            first = first_token_at
    assert (stream.tokens, stream.first_token_at) == (3, first)


async def test_tokens_discarded_after_the_end_are_not_counted() -> None:
    stream = open_stream()
    stream.finish(END)
    await stream.send(token(0))
    assert (stream.tokens, stream.first_token_at) == (0, None)
