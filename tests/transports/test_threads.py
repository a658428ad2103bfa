"""Threads of runs and factories: what cannot be stopped counts, and takes no place of others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from quart import Quart

from quart_lanarky import LanarkyExtension, Run
from quart_lanarky.runs.stream import EventStream
from quart_lanarky.transports.admission import register_run
from quart_lanarky.transports.threads import ChainThreadPool, ThreadPool


@pytest.fixture
async def lanarky() -> AsyncIterator[LanarkyExtension]:
    app = Quart(__name__)
    lanarky = LanarkyExtension(app)
    async with app.test_request_context("/"):
        yield lanarky


@pytest.fixture
async def pool() -> ChainThreadPool:  # it is that of the loop
    pool = ChainThreadPool(1)
    asyncio.get_running_loop().set_default_executor(pool)
    return pool


def in_a_thread(function: Callable[[], Any]) -> Run:
    return Run(EventStream(), lambda: asyncio.to_thread(function))


async def wait_for_count(lanarky: LanarkyExtension, count: int) -> None:
    async with asyncio.timeout(5):
        while lanarky.registry.count != count:
            await asyncio.sleep(0.005)


async def leave(run: Run, started: threading.Event) -> None:
    """Read a run until it has started, and leave it."""
    async with register_run(run, "sse"):
        async with asyncio.timeout(5):
            while not started.is_set():
                await asyncio.sleep(0.005)


async def test_a_thread_whose_run_has_ended_counts_and_takes_no_place(
    lanarky: LanarkyExtension, pool: ChainThreadPool
) -> None:
    gate = threading.Event()
    for number in range(1, 4):
        started = threading.Event()

        def block(started: threading.Event = started) -> None:
            started.set()
            gate.wait(10)

        await leave(in_a_thread(block), started)
        assert lanarky.registry.count == number
    async with asyncio.timeout(5):
        assert await asyncio.to_thread(lambda: "there is a thread") == "there is a thread"
    assert pool._max_workers == 4
    gate.set()
    await wait_for_count(lanarky, 0)
    assert pool._max_workers == 1


async def test_a_call_that_waits_for_a_thread_when_its_run_has_ended_is_never_made(
    lanarky: LanarkyExtension, pool: ChainThreadPool
) -> None:
    gate, started = threading.Event(), threading.Event()
    made: list[str] = []

    async def chain() -> None:
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, lambda: (started.set(), gate.wait(10)))
        await asyncio.shield(loop.run_in_executor(None, made.append, "the second"))

    await leave(Run(EventStream(), chain), started)
    assert (lanarky.registry.count, pool._max_workers) == (1, 2)
    gate.set()
    await wait_for_count(lanarky, 0)
    await asyncio.to_thread(made.append, "another run")
    assert made == ["another run"]


@pytest.mark.usefixtures("pool")
async def test_a_run_whose_threads_are_done_counts_no_more(lanarky: LanarkyExtension) -> None:
    run = in_a_thread(lambda: 7)
    async with register_run(run, "sse") as batches:
        async for _ in batches:
            pass
    assert (run.result, lanarky.registry.count) == (7, 0)
    assert run.thread_calls.abandon() == []


@pytest.mark.usefixtures("pool")
async def test_what_such_a_thread_raises_is_logged(
    lanarky: LanarkyExtension, caplog: pytest.LogCaptureFixture
) -> None:
    gate, started = threading.Event(), threading.Event()

    def fail() -> None:
        started.set()
        gate.wait(10)
        raise RuntimeError("late")

    await leave(in_a_thread(fail), started)
    gate.set()
    await wait_for_count(lanarky, 0)
    assert "what went on after its client had left has failed" in caplog.text
    assert "late" in caplog.text


async def test_a_function_that_raises_stop_iteration_does_not_hang() -> None:
    pool = ThreadPool("test", 1)
    empty: Any = iter(())
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await pool.run(next, empty)
    pool.shut_down()
    assert await pool.run(str, 7) == "7"  # opened again
    pool.shut_down()


async def test_a_call_whose_caller_has_left_takes_no_place_in_a_pool_that_grows(
    lanarky: LanarkyExtension,
) -> None:
    pool, gate, started = ThreadPool("test", 1, grows=True), threading.Event(), threading.Event()

    def block() -> None:
        started.set()
        gate.wait(10)

    calling = asyncio.create_task(pool.run(block))
    async with asyncio.timeout(5):
        while not started.is_set():
            await asyncio.sleep(0.005)
        calling.cancel()
        assert await pool.run(str, 7) == "7"
    assert lanarky.registry.count == 1
    gate.set()
    await wait_for_count(lanarky, 0)
    pool.shut_down()
